"""Names that moved between versions of Airflow."""

from importlib import import_module

from .version_compat import AIRFLOW_V_3_1_PLUS

timezone = import_module("airflow.sdk.timezone" if AIRFLOW_V_3_1_PLUS else "airflow.utils.timezone")
