"""Pytest plugin: the provider's classes become ours before its tests import them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import airflow.providers.docker.hooks.docker as hooks
import airflow.providers.docker.operators.docker as operators
import pytest

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator

made: Counter[str] = Counter()


class CountedOperator(EcrDockerOperator):
    """Our operator, as anybody may subclass it; counts its instances."""

    def __init__(self, **kwargs: Any) -> None:
        made["operators"] += 1
        super().__init__(**kwargs)


class CountedHook(EcrDockerHook):
    """Our hook; counts its instances."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        made["hooks"] += 1
        super().__init__(*args, **kwargs)


# The modules of the Swarm operator and of the decorator are imported later, so they build upon ours, too.
# The operator's module keeps the provider's hook, because that is what our operator builds upon.
operators.DockerOperator = CountedOperator  # type: ignore[misc]
hooks.DockerHook = CountedHook  # type: ignore[misc]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the recorder how many of our objects there were."""
    recorder: Any = session.config.pluginmanager.get_plugin("recorder")
    recorder.counts.update(made)
