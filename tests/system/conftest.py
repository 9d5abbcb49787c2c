"""Fixtures of the tests that run Airflow itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.airflow_home import AirflowHome

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def example_dags(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    """Provide Airflow with the DAGs of ``dags/``."""
    return AirflowHome(tmp_path_factory.mktemp("airflow"), ROOT / "dags")


@pytest.fixture(scope="session")
def test_dags(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    """Provide Airflow with the DAGs of ``tests/system/dags/``."""
    return AirflowHome(tmp_path_factory.mktemp("airflow"), Path(__file__).parent / "dags")
