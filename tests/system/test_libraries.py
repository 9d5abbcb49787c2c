"""The cluster policy and libraries that make DAGs: Cosmos and dag-factory, on a real engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.airflow_home import AirflowHome
from tests.deployment import Deployment
from tests.stand.images import build

if TYPE_CHECKING:
    from tests.stand import Stand

pytestmark = pytest.mark.stand

DBT = b'#!/bin/sh\necho "dbt $*"\n'
DAGS: dict[str, dict[tuple[str, int], str | None]] = {
    "dbt_dag": {("orders_run", -1): None, ("totals_run", -1): None},
    "dbt_task_group": {("shop.orders_run", -1): None, ("shop.totals_run", -1): None},
    "from_yaml": {("plain", -1): "dbt --version", ("mapped", 0): "dbt a", ("mapped", 1): "dbt b"},
}
"""Id of each DAG -> its tasks, and what they return."""


FOLDER = Path(__file__).parent / "libraries" / "dags"
SECONDS = 400


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    """Provide Airflow with DAGs that know nothing of this package."""
    return AirflowHome(tmp_path_factory.mktemp("airflow"), FOLDER)


@pytest.mark.parametrize("dag", DAGS)
def test_setting_on(dag: str, stand: Stand, home: AirflowHome) -> None:
    """With the setting, every task is green, and the image, which only Amazon ECR has, was pulled with one token."""
    stand.push("dbt", image=build("dbt", programs={"dbt": DBT}))
    run = home.run(dag, {**stand.environment, "AIRFLOW__ECR_DOCKER__TASK_POLICY": "True"})
    assert run.succeeded, run.log
    assert run.states.keys() == DAGS[dag].keys()
    assert {task: run.results.get(task) for task in DAGS[dag]} == DAGS[dag]
    assert run.count("lets this task log in to Amazon ECR by itself") == len(DAGS[dag])
    assert len(stand.aws.token_calls()) == 1


@pytest.mark.parametrize("dag", DAGS)
def test_setting_off(dag: str, stand: Stand, home: AirflowHome) -> None:
    """Without it, the first task fails as before, and AWS is not asked."""
    stand.push("dbt", image=build("dbt", programs={"dbt": DBT}))
    run = home.run(dag, stand.environment)
    assert run.states[next(iter(DAGS[dag]))] == "failed", run.log
    assert "no basic auth credentials" in run.log
    assert stand.aws.calls == []


def test_deployment(stand: Stand, tmp_path: Path) -> None:
    """The setting reaches the tasks that a scheduler's LocalExecutor runs, with PostgreSQL."""
    stand.push("dbt", image=build("dbt", programs={"dbt": DBT}))
    environment = {**stand.environment, "AIRFLOW__ECR_DOCKER__TASK_POLICY": "True"}
    with Deployment(tmp_path, FOLDER, environment=environment) as airflow:
        runs = {dag: airflow.trigger(dag) for dag in DAGS}
        for dag, run_id in runs.items():
            run = airflow.wait(dag, run_id, SECONDS)
            assert run.succeeded, airflow.task_logs()
            assert run.states.keys() == DAGS[dag].keys()
            assert {task: run.results.get(task) for task in DAGS[dag]} == DAGS[dag]
        tasks = sum(map(len, DAGS.values()))
        assert airflow.task_logs().count("lets this task log in to Amazon ECR by itself") == tasks
