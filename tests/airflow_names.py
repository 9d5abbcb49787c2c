"""Names that moved between versions of Airflow, and that only the tests use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Connection, task

    redact: Any
else:
    from ecr_docker_operator.compat import find

    # Modules of Airflow that have it, newest first.
    _PLACES = {
        "BaseOperator": ("airflow.sdk", "airflow.models.baseoperator"),
        "Connection": ("airflow.sdk", "airflow.models.connection"),
        "redact": (
            "airflow.sdk.log",  # Airflow 3.1 and later
            "airflow.sdk.execution_time.secrets_masker",  # Airflow 3.0
            "airflow.utils.log.secrets_masker",  # Airflow 2
        ),
        "task": ("airflow.sdk", "airflow.decorators"),
    }

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(name)
        return find(name, *_PLACES[name])


__all__ = ["BaseOperator", "Connection", "redact", "task"]
