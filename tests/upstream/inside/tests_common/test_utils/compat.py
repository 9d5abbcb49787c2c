"""Names that moved between versions of Airflow."""

from importlib import import_module

timezone = import_module("airflow.providers.common.compat.sdk").timezone
