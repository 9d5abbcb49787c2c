"""Fixtures of the tests that run two Airflows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cells.environment import Environment
from tests.cells.versions import CELLS

AIRFLOW_2 = "2.11.2"


@pytest.fixture(scope="session", params=["newest", AIRFLOW_2])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide the Python of this environment, then one with Airflow 2 and this package."""
    if request.param == AIRFLOW_2:
        [cell] = [cell for cell in CELLS if cell.airflow == AIRFLOW_2]
        return Environment(cell, tmp_path_factory.mktemp("airflow-2")).python
    return Path(sys.executable)
