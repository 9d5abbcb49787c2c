"""Pytest plugin: replace the provider's classes with ours before its tests import them."""

from __future__ import annotations

from collections import Counter
from functools import wraps
from typing import Any

import airflow.providers.docker.hooks.docker as hooks
import airflow.providers.docker.operators.docker as operators
import airflow.providers.docker.operators.docker_swarm as swarm_operators
import pytest

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrDockerSwarmOperator, decorator

made: Counter[str] = Counter()


class CountedOperator(EcrDockerOperator):
    """Our operator, as a user might subclass it; counts its instances."""

    def __init__(self, **kwargs: Any) -> None:
        made["operators"] += 1
        super().__init__(**kwargs)


class CountedSwarmOperator(EcrDockerSwarmOperator):
    """Our Swarm operator; counts its instances."""

    def __init__(self, **kwargs: Any) -> None:
        made["swarm operators"] += 1
        super().__init__(**kwargs)


class CountedHook(EcrDockerHook):
    """Our hook; counts its instances."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        made["hooks"] += 1
        super().__init__(*args, **kwargs)


@wraps(decorator.ecr_docker_task)
def counted_task(*args: Any, **kwargs: Any) -> Any:
    """Our decorator; counts its uses."""
    made["decorators"] += 1
    return _ecr_docker_task(*args, **kwargs)


_ecr_docker_task = decorator.ecr_docker_task
# Airflow finds this decorator by its name, and the tests use our name: see Suite.at.
decorator.ecr_docker_task = counted_task
# The operator's module keeps the provider's hook, because our operator builds upon it.
operators.DockerOperator = CountedOperator  # type: ignore[misc]
swarm_operators.DockerSwarmOperator = CountedSwarmOperator  # type: ignore[misc]
hooks.DockerHook = CountedHook  # type: ignore[misc]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give the recorder the number of our objects."""
    recorder: Any = session.config.pluginmanager.get_plugin("recorder")
    recorder.counts.update(made)
