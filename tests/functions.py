"""Whether the installed provider can run functions in containers."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from airflow.providers.docker.decorators import docker

_CLASS: Any = docker._DockerDecoratedOperator  # noqa: SLF001 - the provider has no public name for it
_USES = any("self.xcom_push" in inspect.getsource(vars(c)["execute"]) for c in _CLASS.__mro__ if "execute" in vars(c))

needs_functions = pytest.mark.skipif(
    _USES and not hasattr(_CLASS, "xcom_push"),
    reason="With docker provider 4.4.2 on Airflow 3.0, @task.docker runs its function, then fails: no 'xcom_push'.",
)
