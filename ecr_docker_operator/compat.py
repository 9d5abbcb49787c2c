"""All differences between versions of Airflow, and the least versions that this package works with."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from airflow.sdk import DAG
    from airflow.sdk.bases.decorator import task_decorator_factory
    from airflow.sdk.bases.operatorlink import BaseOperatorLink
    from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.sdk.log import mask_secret

LEAST = {
    "airflow": ("apache-airflow", "2.11"),
    "airflow.providers.amazon": ("apache-airflow-providers-amazon", "9.0"),
    "airflow.providers.docker": ("apache-airflow-providers-docker", "4.4"),
    "docker": ("docker", "7.1"),
}
"""Package -> its distribution and the least version, as in ``pyproject.toml``."""

_PLACES = {
    "AirflowException": ("airflow.sdk.exceptions", "airflow.exceptions"),
    "AirflowNotFoundException": ("airflow.sdk.exceptions", "airflow.exceptions"),
    "BaseOperatorLink": ("airflow.sdk", "airflow.models.baseoperatorlink"),
    "DAG": ("airflow.sdk", "airflow.models.dag"),
    "XCom": ("airflow.sdk.execution_time.xcom", "airflow.models.xcom"),
    "mask_secret": (
        "airflow.sdk.log",  # Airflow 3.1 and later
        "airflow.sdk.execution_time.secrets_masker",  # Airflow 3.0
        "airflow.utils.log.secrets_masker",  # Airflow 2
    ),
    "task_decorator_factory": ("airflow.sdk.bases.decorator", "airflow.decorators.base"),
}
"""Name -> modules of Airflow that have it, newest first."""


def require(package: str) -> ModuleType:
    """Import one of the packages in :data:`LEAST`, and return it.

    Pip refuses older versions, unless it is told not to look at dependencies.

    :raises ImportError: if the package is missing or too old; the message is one sentence.
    """
    distribution, least = LEAST[package]
    try:
        found = import_module(package)
    except ModuleNotFoundError as error:
        if not f"{package}.".startswith(f"{error.name}."):
            raise
        installed, step = "none is installed", "install"
    else:
        if _number(found.__version__) >= _number(least):
            return found
        installed, step = f"{found.__version__} is installed", "upgrade"
    msg = f"ecr-docker-operator needs {distribution} {least} or later, and {installed}: {step} {distribution}."
    raise ImportError(msg)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def find(name: str, *places: str) -> Any:
    """Return *name* of the first of the modules *places* that has it.

    :raises ImportError: if none has it.
    """
    for place in places:
        try:
            return getattr(import_module(place), name)
        except (ImportError, AttributeError):
            continue
    msg = (
        f"ecr-docker-operator does not find {name} in the installed Airflow, in none of {', '.join(places)}: "
        "upgrade ecr-docker-operator, or install an earlier Airflow."
    )
    raise ImportError(msg)


# The amazon provider only where it is used: parsing a DAG must not pay for it.
for _package in ("airflow", "airflow.providers.docker", "docker"):
    require(_package)

if not TYPE_CHECKING:
    # On first use: a DAG without our decorator must not pay for Airflow's.
    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        found = globals()[name] = find(name, *_PLACES[name])
        return found


def use_database() -> None:
    """Let a process outside a task look up connections in Airflow's database.

    Airflow 3.1 and later need this setting, which ``airflow connections test`` also sets.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


__all__ = [
    "DAG",
    "LEAST",
    "AirflowException",
    "AirflowNotFoundException",
    "BaseOperatorLink",
    "XCom",
    "find",
    "mask_secret",
    "require",
    "task_decorator_factory",
    "use_database",
]
