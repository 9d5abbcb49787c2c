"""The check of all DAGs on the stand: two accounts, an engine, our own examples, the recipes, and libraries' DAGs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from ecr_docker_operator import EcrDockerHook
from ecr_docker_operator.check.dags import LATER, PULLED, REFUSED, UNKNOWN
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION
from tests.system.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.airflow_home import AirflowHome
    from tests.stand import Stand

pytestmark = pytest.mark.stand

RECIPES = ROOT / "dags" / "migration"
LIBRARIES = ROOT / "tests" / "system" / "libraries"
NO_DAG = 2
DOCKER = "airflow.providers.docker.operators.docker.DockerOperator"


def check(folder: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Return the exit status and the document."""
    line = [
        sys.executable,
        "-m",
        "ecr_docker_operator",
        "check",
        "--json",
        "--dags",
        *([str(folder)] if folder else []),
    ]
    done = subprocess.run(line, capture_output=True, text=True, encoding="utf-8", check=False)
    assert bool(done.stderr) is (done.returncode == NO_DAG)
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def states(document: dict[str, Any]) -> dict[tuple[str, str, str], str]:
    """Return the state of each task and image."""
    images = document["images"]
    return {
        (task["dag"], task["task"], images[task["image"]]["image"]): images[task["image"]]["state"]
        for task in document["tasks"]
    }


def push_examples(stand: Stand) -> None:
    """Push the images that the examples and recipes name."""
    for repository in ("etl", "python", "hello"):
        stand.push(repository)
    stand.push("etl", region=OTHER_REGION)
    stand.push("shared", account=OTHER_ACCOUNT)
    stand.push("report", account=OTHER_ACCOUNT, region=OTHER_REGION)


def test_our_examples(stand: Stand) -> None:
    """All our examples can be pulled where the other account's policies admit the worker, and not before."""
    push_examples(stand)
    status, document = check(ROOT / "dags")
    not_admitted = [image for image in document["images"] if image["state"] == REFUSED]
    assert status == 1
    assert {image["image"].partition(".")[0] for image in not_admitted} == {OTHER_ACCOUNT}
    reason = "because no resource-based policy allows the ecr:BatchGetImage action"
    assert all(reason in image["text"] for image in not_admitted)
    for key in stand.registry.policies:
        stand.registry.policies[key].add(ACCOUNT)
    stand.aws.calls.clear()
    status, document = check(ROOT / "dags")
    assert status == 0, document
    assert set(states(document).values()) == {PULLED, UNKNOWN}
    assert [name for (_, _, name), state in states(document).items() if state == UNKNOWN] == [
        "public.ecr.aws/docker/library/busybox:1"
    ]
    assert document["import_errors"] == {}
    assert all(image["size"] > 0 for image in document["images"] if image["state"] == PULLED)
    counts = Counter(call.operation for call in stand.aws.calls)
    # ecs_executor.py asks as the worker's own identity, the others by the default connection.
    asked = len({(image["image"].partition(":")[0], image["aws_conn_id"]) for image in document["images"]}) - 1
    assert counts["GetAuthorizationToken"] == len(document["logins"])
    assert counts["BatchGetImage"] == counts["GetDownloadUrlForLayer"] == asked
    # Nothing was pulled.
    assert stand.registry.requests == []


def test_nothing_is_stored(stand: Stand, example_dags: AirflowHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the deployment's own DAGs writes nothing to Airflow's database."""
    push_examples(stand)
    for name, value in example_dags.environment.items():
        monkeypatch.setenv(name, value)
    before = example_dags.dump()
    _, document = check()
    assert document["dags"] > 0
    assert example_dags.dump() == before


@pytest.mark.parametrize("recipe", [path.name for path in sorted(RECIPES.iterdir()) if path.is_dir()])
def test_recipes(recipe: str, stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the migration, the check names what can go; after it, nothing is left."""
    push_examples(stand)
    for key in stand.registry.policies:
        stand.registry.policies[key].add(ACCOUNT)
    host = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
    login = {"conn_type": "docker", "host": host, "login": "AWS", "password": "old"}
    monkeypatch.setenv("AIRFLOW_CONN_ECR", json.dumps(login))
    for name in ("before", "after"):
        if (path := RECIPES / recipe / f"{name}.py").exists():
            (tmp_path / name).mkdir()
            shutil.copy(path, tmp_path / name / "dag.py")
    _, before = check(tmp_path / "before")
    kinds = {(each["kind"], each["name"].rpartition("/")[2]) for each in before["can_go"]}
    assert kinds == CAN_GO[recipe]
    if (tmp_path / "after").exists():
        status, after = check(tmp_path / "after")
        assert (status, after["can_go"]) == (0, [])
        assert all(task["logs_in"] for task in after["tasks"])


CAN_GO = {
    # It cannot be imported, so its tasks are not known.
    "airflow_ecr_plugin": {("refresh", "dag.py")},
    "cron_on_every_host": {("operator", DOCKER), ("connection", "ecr")},
    "ecs_executor": {("operator", DOCKER), ("connection", "ecr")},
    # What the task runs is in Airflow's own image.
    "fargate_celery": set(),
    "register_operator": {("operator", DOCKER), ("connection", "ecr"), ("refresh", "register_operator")},
}


@pytest.mark.parametrize("setting", ["True", "False"])
def test_libraries(setting: str, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks of Cosmos and dag-factory are found, and whether the cluster policy converts them."""
    monkeypatch.setenv("AIRFLOW__ECR_DOCKER__TASK_POLICY", setting)
    image = stand.push("dbt")
    status, document = check(LIBRARIES / "dags")
    assert document["import_errors"] == {}
    assert status == 0
    assert states(document) == {
        (dag, task, image): PULLED
        for dag, task in (
            ("dbt_dag", "orders_run"),
            ("dbt_dag", "totals_run"),
            ("dbt_task_group", "shop.orders_run"),
            ("dbt_task_group", "shop.totals_run"),
            ("from_yaml", "plain"),
            ("from_yaml", "mapped"),
        )
    }
    assert {task["logs_in"] for task in document["tasks"]} == {setting == "True"}
    assert bool(document["can_go"]) is (setting == "False")
    assert len(stand.aws.token_calls()) == 1


def test_engine(stand: Stand, tmp_path: Path) -> None:
    """The engine says which images it has; the template is known when the task runs."""
    present, absent = stand.push("app"), stand.push("other")
    EcrDockerHook(base_url=stand.engine.url).get_conn().pull(present)
    (tmp_path / "dag.py").write_text(
        "from airflow import DAG\n"
        "from ecr_docker_operator import EcrDockerOperator\n"
        "with DAG('engine', schedule=None):\n"
        f"    EcrDockerOperator(task_id='present', image={present!r})\n"
        f"    EcrDockerOperator(task_id='absent', image={absent!r})\n"
        "    EcrDockerOperator(task_id='later', image='{{ params.image }}')\n"
    )
    status, document = check(tmp_path)
    assert status == 0
    assert document["engine"]["url"] == stand.engine.url
    assert {image["state"] for image in document["images"]} == {PULLED, LATER}
    assert [image["on_engine"] for image in document["images"]] == [True, False, None]
