"""The example DAGs and those in the documentation, run through Airflow on the stand."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from airflow.providers.docker.operators import docker_swarm

from tests.airflow_home import AirflowHome
from tests.functions import needs_functions
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION
from tests.stand.images import build
from tests.stand.registry import PUBLIC
from tests.system.conftest import ROOT
from tests.upstream.python_image import build_python

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stand import Stand
    from tests.stand.engine import Engine

pytestmark = pytest.mark.stand

TEXT = (ROOT / "README.md").read_text() + (ROOT / "dags" / "README.md").read_text()
ALL_BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
POLICIES = [block for block in ALL_BLOCKS if "def task_policy(" in block]
BLOCKS = [block for block in ALL_BLOCKS if block not in POLICIES]
TEAM = f"""
from airflow import DAG
from airflow.providers.docker.operators.docker import DockerOperator

for dag_id in ("team_a_etl", "team_b_etl"):
    with DAG(dag_id, schedule=None):
        DockerOperator(task_id="etl", image="{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/etl:1", mount_tmp_dir=False)
"""


@pytest.fixture
def registries(stand: Stand) -> Stand:
    """Provide the stand with all images and the role that the examples and the documentation use."""
    stand.push("etl")
    stand.push("etl", region=OTHER_REGION)
    stand.push("report", account=OTHER_ACCOUNT, region=OTHER_REGION, image=build("the report"))
    stand.push("docker/library/busybox", account=PUBLIC, region="us-east-1", host="public.ecr.aws")
    return stand


def other_account(stand: Stand) -> dict[str, str]:
    """Return the AWS connection ``other_account``, with a role in the other account."""
    role = stand.aws.add_role(OTHER_ACCOUNT, "puller", trusted=stand.worker)
    return {"AIRFLOW_CONN_OTHER_ACCOUNT": f'{{"conn_type": "aws", "extra": {{"role_arn": "{role}"}}}}'}


def test_quickstart(registries: Stand, example_dags: AirflowHome) -> None:
    """The quickstart pulls with one token and returns what the container printed."""
    image = registries.push("hello", image=build("hello"))
    run = example_dags.run("quickstart", {**registries.environment, "ECR_IMAGE": image})
    assert run.succeeded, run.log
    assert run.results == {("container", -1): ["hello"]}
    assert len(registries.aws.token_calls()) == 1


def test_cross_account(registries: Stand, example_dags: AirflowHome) -> None:
    """Each image's token comes from its own region, for its own identity."""
    run = example_dags.run("cross_account", {**registries.environment, **other_account(registries)})
    assert run.succeeded, run.log
    assert run.results["theirs", -1] == "the report"
    assert [(call.region, call.arn.split(":")[4]) for call in registries.aws.token_calls()] == [
        (REGION, ACCOUNT),
        (OTHER_REGION, OTHER_ACCOUNT),
    ]


def test_fan_out(registries: Stand, example_dags: AirflowHome) -> None:
    """Every mapped task gets its own token: private ones in two regions, and a public one."""
    run = example_dags.run("fan_out", registries.environment)
    assert run.succeeded, run.log
    assert len(run.results) == 3
    calls = sorted((call.service, call.region) for call in registries.aws.token_calls())
    assert calls == [("ecr", REGION), ("ecr", OTHER_REGION), ("ecr-public", "us-east-1")]


@needs_functions
def test_taskflow(stand: Stand, example_dags: AirflowHome) -> None:
    """Functions run in containers and pass on their results; one pull serves all of them."""
    stand.push("python", image=build_python())
    run = example_dags.run("taskflow", stand.environment)
    assert run.succeeded, run.log
    assert run.results == {
        ("statistics", -1): {"mean": 3, "median": 2},
        ("times", 0): 30,
        ("times", 1): 300,
    }
    assert len(stand.aws.token_calls()) == 1


def test_swarm(swarm_stand: Stand, nodes: tuple[Stand, Engine], example_dags: AirflowHome) -> None:
    """The worker node pulls and runs with one token, and the service is removed afterwards."""
    if "inspect_container" in inspect.getsource(docker_swarm):
        pytest.skip("before 4.5, DockerSwarmOperator looks for the containers of other nodes on the manager, and fails")
    image = swarm_stand.push("etl")
    run = example_dags.run("swarm", swarm_stand.environment)
    assert run.succeeded, run.log
    assert nodes[1].has(image)
    assert not swarm_stand.engine.has(image)
    assert swarm_stand.engine.client.services() == []
    assert len(swarm_stand.aws.token_calls()) == 1


def test_own_code(registries: Stand, example_dags: AirflowHome) -> None:
    """A Python task pulls an image, with one token."""
    run = example_dags.run("own_code", registries.environment)
    assert run.succeeded, run.log
    [image] = registries.engine.client.images()
    assert run.results == {("pull", -1): image["Id"]}
    assert len(registries.aws.token_calls()) == 1


@pytest.mark.parametrize("dag_id", ["taskflow", "own_code"])
def test_without_credentials(dag_id: str, registries: Stand, example_dags: AirflowHome) -> None:
    """If AWS denies the token, the task's error names the missing action."""
    registries.worker.may_get_token = False
    run = example_dags.run(dag_id, registries.environment)
    assert not run.succeeded
    assert f"User: {registries.worker.arn} is not authorized to perform: ecr:GetAuthorizationToken" in run.log


def test_every_example_is_run() -> None:
    """Every DAG file is tested, here or in another module."""
    assert {path.stem for path in (ROOT / "dags").glob("*.py")} == {
        "quickstart",
        "cross_account",
        "fan_out",
        "own_code",
        "swarm",
        "taskflow",
        "remote_engine",  # test_remote_engine.py
        "celery_workers",  # test_celery.py
        "ecs_executor",  # test_ecs_executor.py
    }


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_documentation(number: int, registries: Stand, tmp_path: Path) -> None:
    """Every Python block of the documentation runs; blocks with a DAG run through Airflow."""
    block = BLOCKS[number]
    dag_ids = [
        str(call.args[0].value)
        for call in ast.walk(ast.parse(block))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "DAG"
        if isinstance(call.args[0], ast.Constant)
    ]
    assert dag_ids, "a block without a DAG would only be parsed"
    if "/python:1" in block:
        registries.push("python", image=build_python())
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "block.py").write_text(block)
    home = AirflowHome(tmp_path, tmp_path / "dags")
    for dag_id in dag_ids:
        run = home.run(dag_id, {**registries.environment, **other_account(registries)})
        assert run.succeeded, run.log
    assert registries.aws.token_calls()


def test_own_code_on_a_default_worker(registries: Stand) -> None:
    """Where no variable names the engine, the documentation's own code uses the one at its default path."""
    [block] = [block for block in BLOCKS if "def pull()" in block]
    # The engine of this machine, if there is one, is out of sight.
    in_run = 'mount -t tmpfs tmpfs /run && ln -s "$0" /run/docker.sock && exec "$@"'
    socket = registries.engine.url.removeprefix("unix://")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", in_run, socket, sys.executable, "-c", f"{block}\npull.function()"],
        env={name: value for name, value in os.environ.items() if name != "DOCKER_HOST"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert registries.engine.images() == [f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/etl:1"], done.stdout


def test_documented_policy(registries: Stand, tmp_path: Path) -> None:
    """The cluster policy of the documentation converts the DAGs that it names, and no others."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "team.py").write_text(TEAM)
    (tmp_path / "config").mkdir()
    [policy] = POLICIES
    (tmp_path / "config" / "airflow_local_settings.py").write_text(policy)
    home = AirflowHome(tmp_path, tmp_path / "dags")
    run = home.run("team_b_etl", registries.environment)
    assert not run.succeeded
    assert registries.aws.calls == []
    run = home.run("team_a_etl", registries.environment)
    assert run.succeeded, run.log
    assert len(registries.aws.token_calls()) == 1


def test_documentation_has_blocks() -> None:
    """The search finds the documentation's blocks."""
    assert len(BLOCKS) >= 4
