"""Fixtures of the tests that run two Airflows."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cells.environment import Environment
from tests.cells.versions import CELLS

AIRFLOW_2 = "2.11.2"


@pytest.fixture(scope="session", params=["newest", AIRFLOW_2])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Provide version of Airflow and Python of this environment, then of one with Airflow 2 and this package."""
    if request.param == AIRFLOW_2:
        [cell] = [cell for cell in CELLS if cell.airflow == AIRFLOW_2]
        return AIRFLOW_2, Environment(cell, tmp_path_factory.mktemp("airflow-2")).python
    return version("apache-airflow"), Path(sys.executable)
