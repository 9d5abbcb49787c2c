"""The cluster policy through Airflow: DAGs that nobody edits, with the setting on and off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stand.images import build

if TYPE_CHECKING:
    from tests.airflow_home import AirflowHome
    from tests.stand import Stand

pytestmark = pytest.mark.stand

RESULTS = {
    ("plain", -1): "app",
    ("templated", -1): "app",
    ("mapped", 0): "a",
    ("mapped", 1): "b",
    ("subclass", -1): "hello you",
    ("up", -1): "up",
    ("down", -1): "down",
}


def test_setting_on(stand: Stand, test_dags: AirflowHome) -> None:
    """With the setting, every task of a DAG that knows nothing of this package pulls with a fresh token."""
    stand.push("app", image=build("app"))
    run = test_dags.run("unedited", {**stand.environment, "AIRFLOW__ECR_DOCKER__TASK_POLICY": "True"})
    assert run.succeeded, run.log
    assert run.results == RESULTS
    assert run.count("lets this task log in to Amazon ECR by itself") == len(RESULTS)
    # One pull for the setup, and the forced one.
    assert len(stand.aws.token_calls()) == 2


@pytest.mark.parametrize("setting", [None, "False"])
def test_setting_off(setting: str | None, stand: Stand, test_dags: AirflowHome) -> None:
    """Without the setting, the first pull fails as it did before, and AWS is not asked."""
    stand.push("app", image=build("app"))
    environment = {"AIRFLOW__ECR_DOCKER__TASK_POLICY": setting} if setting else {}
    run = test_dags.run("unedited", {**stand.environment, **environment})
    assert run.states["up", -1] == "failed", run.log
    assert "no basic auth credentials" in run.log
    assert stand.aws.calls == []


def test_bad_setting(stand: Stand, test_dags: AirflowHome) -> None:
    """A slip in the setting is said as the DAG's import error."""
    run = test_dags.run("unedited", {**stand.environment, "AIRFLOW__ECR_DOCKER__TASK_POLICY": "Ture"})
    assert run.states == {}
    assert "[ecr_docker] task_policy: expected True or False, got 'Ture'" in run.log
