"""All differences between versions of Airflow."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, BaseOperatorLink, XCom

if TYPE_CHECKING:
    from collections.abc import Callable

_MASKERS = (
    "airflow.sdk.log",  # Airflow 3.1 and later
    "airflow.sdk.execution_time.secrets_masker",  # Airflow 3.0
    "airflow.utils.log.secrets_masker",  # Airflow 2
)


def _find_mask_secret() -> Callable[[str], None]:
    for name in _MASKERS:
        try:
            found: Callable[[str], None] = import_module(name).mask_secret
        except (ImportError, AttributeError):
            continue
        return found
    msg = f"This version of Airflow has mask_secret in none of {', '.join(_MASKERS)}."
    raise ImportError(msg)


mask_secret = _find_mask_secret()


def use_database() -> None:
    """Let a process outside a task look up connections in Airflow's database.

    Airflow 3.1 and later need this setting, which ``airflow connections test`` also sets.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


__all__ = [
    "AirflowException",
    "AirflowNotFoundException",
    "BaseOperatorLink",
    "XCom",
    "mask_secret",
    "use_database",
]
