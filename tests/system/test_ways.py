"""Every way in which a DAG uses an operator, run through Airflow on the stand."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ecr_docker_operator import EcrDockerOperator
from tests.functions import needs_functions
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION
from tests.stand.images import build
from tests.upstream.python_image import build_python

if TYPE_CHECKING:
    from tests.airflow_home import AirflowHome
    from tests.stand import Stand

pytestmark = pytest.mark.stand

RESULTS = {
    ("expand", 0): "app",
    ("expand", 1): "other",
    ("expand_kwargs", 0): "app",
    ("expand_kwargs", 1): "theirs",
    ("templates", -1): "templates",
    ("name_of_image", -1): f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/app:1",
    ("image_from_xcom", -1): "from xcom",
    ("group.setup", -1): "up",
    ("group.work", -1): "work",
    ("group.teardown", -1): "down",
    ("retried", -1): "try 2",
    ("retrieved", -1): 42,
    ("all_lines", -1): ["one", "two"],
    ("subclass", -1): "hello eu-west-1",
    ("mixin", -1): "jaffle",
}
NO_RESULT = {("skipped", -1): "skipped", ("no_xcom", -1): "success"}


def test_every_way(stand: Stand, test_dags: AirflowHome) -> None:
    """Mapped, templated, grouped, retried, skipped, timed out, subclassed: each behaves as with DockerOperator."""
    stand.push("app", image=build("app"))
    stand.push("other", image=build("other"))
    stand.push("theirs", account=OTHER_ACCOUNT, region=OTHER_REGION, image=build("theirs"))
    role = stand.aws.add_role(OTHER_ACCOUNT, "puller", trusted=stand.worker)
    connection = json.dumps({"conn_type": "aws", "extra": {"role_arn": role}})
    run = test_dags.run("ways", {**stand.environment, "AIRFLOW_CONN_OTHER": connection})
    assert {**dict.fromkeys(RESULTS, "success"), **NO_RESULT} == run.states, run.log
    assert run.results == RESULTS
    assert "cannot be called outside" not in run.log
    # Three images need three pulls and three tokens, each from its image's region.
    assert sorted(call.region for call in stand.aws.token_calls()) == [REGION, REGION, OTHER_REGION]


def test_time_out(stand: Stand, test_dags: AirflowHome) -> None:
    """A task that times out fails, and its container is removed."""
    stand.push("app")
    run = test_dags.run("time_out", stand.environment)
    assert run.states == {("timed_out", -1): "failed"}, run.log
    assert "AirflowTaskTimeout" in run.log
    assert stand.engine.client.containers(all=True) == []


@needs_functions
def test_disk(stand: Stand, test_dags: AirflowHome) -> None:
    """``image_retention`` works with operator, decorator, mapping and a hook of your own, but not after a failure."""
    for repository in ("operator", "function", "mapped", "failing"):
        old = stand.push(repository, "0")
        EcrDockerOperator(task_id="before", image=old, auto_remove="force", image_retention=timedelta(1)).execute({})
        stand.push(repository, "1", image=build_python() if repository == "function" else None)
    run = test_dags.run("disk", stand.environment)
    assert {task for (task, _), state in run.states.items() if state != "success"} == {"failing"}, run.log
    left = sorted(name.rpartition("/")[2] for name in stand.engine.images())
    assert left == ["failing:0", "failing:1", "function:1", "mapped:1", "operator:1"], run.log
    assert "own hook after operator with" in run.log


def test_serialized_dags(stand: Stand, test_dags: AirflowHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """The serialized DAGs contain our parameters, but no engine, hook or secret."""
    monkeypatch.setenv("AIRFLOW_CONN_ECR", "docker://AWS:secret-of-the-connection@registry.example.com")
    serialized = test_dags.serialize()
    for expected in ("registry_id", "region_name", "aws_conn_id", "greeting", OTHER_ACCOUNT):
        assert expected in serialized
    for secret in (stand.worker.secret_key, "secret-of-the-connection", stand.engine.url, "APIClient", "EcrDockerHook"):
        assert secret not in serialized
