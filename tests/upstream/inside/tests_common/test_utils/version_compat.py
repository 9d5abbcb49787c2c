"""Which Airflow is this?"""

from __future__ import annotations

from airflow import __version__
from packaging.version import Version

_RELEASE = Version(Version(__version__).base_version)

AIRFLOW_V_3_0_PLUS = Version("3.0") <= _RELEASE
AIRFLOW_V_3_1_PLUS = Version("3.1") <= _RELEASE
