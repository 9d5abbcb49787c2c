"""The migration recipes, run through Airflow: before, half way, and after."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.airflow_home import AirflowHome
from tests.deployment import Deployment
from tests.deployment.redis import Redis
from tests.reliability.places import Processes
from tests.reliability.scan import Piece, Scanner
from tests.stand.ecs import PRINCIPAL as ECS
from tests.stand.ecs import Ecs, TaskDefinition
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION
from tests.stand.images import build
from tests.stand.instance import PRINCIPAL as EC2
from tests.stand.instance import instance
from tests.system.conftest import ROOT
from tests.system.test_ecs_executor import ecs_client
from tests.system.test_example_dags import other_account

if TYPE_CHECKING:
    from tests.stand import Stand
    from tests.stand.aws import Aws, Identity

pytestmark = pytest.mark.stand

RECIPES = ROOT / "dags" / "migration"
SECONDS = 400
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def test_regions_and_accounts(stand: Stand, example_dags: AirflowHome) -> None:
    """From airflow-ecr-plugin: each task's token comes from its image's region, for its own identity."""
    push_reports(stand)
    run = example_dags.run("airflow_ecr_plugin", {**stand.environment, **other_account(stand)})
    assert run.succeeded, run.log
    assert run.results == {("ireland", -1): "ireland", ("oregon", -1): "oregon", ("other_account", -1): "report"}
    assert sorted((call.region, call.arn.split(":")[4]) for call in stand.aws.token_calls()) == [
        (REGION, ACCOUNT),
        (OTHER_REGION, ACCOUNT),
        (OTHER_REGION, OTHER_ACCOUNT),
    ]


def test_connections_left_over(stand: Stand, tmp_path: Path) -> None:
    """Half way from airflow-ecr-plugin: tasks with outdated connections work, and log that these can be deleted."""
    push_reports(stand)
    text = (RECIPES / "airflow_ecr_plugin" / "after.py").read_text()
    connections = {}
    for task, account, region in (
        ("ireland", ACCOUNT, REGION),
        ("oregon", ACCOUNT, OTHER_REGION),
        ("other_account", OTHER_ACCOUNT, OTHER_REGION),
    ):
        named = f'task_id="{task}",'
        assert named in text
        text = text.replace(named, f'{named} docker_conn_id="ecr_{task}",')
        # As the plugin stores it: the host is the proxyEndpoint from AWS's answer.
        host = f"https%3A%2F%2F{account}.dkr.ecr.{region}.amazonaws.com"
        connections[f"AIRFLOW_CONN_ECR_{task.upper()}"] = f"docker://AWS:dead@{host}"
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "half_way.py").write_text(text)
    home = AirflowHome(tmp_path, tmp_path / "dags")
    run = home.run("airflow_ecr_plugin", {**stand.environment, **other_account(stand), **connections})
    assert run.succeeded, run.log
    assert run.log.count("holds a login for Amazon ECR. It is not used") == 3
    assert len(stand.aws.token_calls()) == 3
    assert "AWS:dead" not in stand.registry.logins()


def push_reports(stand: Stand) -> None:
    """Push the images for the DAG of the first recipe."""
    stand.push("etl", image=build("ireland"))
    stand.push("etl", region=OTHER_REGION, image=build("oregon"))
    stand.push("report", account=OTHER_ACCOUNT, region=OTHER_REGION, image=build("report"))


@pytest.mark.parametrize("dags", ["before_dags", "example_dags"])
def test_command_lines(dags: str, stand: Stand, request: pytest.FixtureRequest) -> None:
    """From a task that registers a token: a process has it in its arguments before the migration, and none after it."""
    stand.push("etl", image=build("etl"))
    home: AirflowHome = request.getfixturevalue(dags)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with Processes() as processes:
        run = home.run("register_operator", {**stand.environment, "PATH": path})
    assert run.succeeded, run.log
    assert run.results["etl", -1] == "etl"
    assert len(run.states) == (2 if dags == "before_dags" else 1)
    found = Scanner(token.password for token in stand.aws.tokens).scan(processes.pieces())
    assert {hit.place for hit in found.hits} == ({"process, cmdline"} if dags == "before_dags" else set())


def test_instance_role(stand: Stand, example_dags: AirflowHome) -> None:
    """From cron on every host: the instance role gets the token, without a key and without a connection."""
    stand.push("etl", image=build("etl"))
    role = stand.aws.add_role(ACCOUNT, "airflow-host", trusted=EC2)
    with pytest.MonkeyPatch.context() as patch, instance(stand.aws, role) as environment:
        for name in KEYS:
            patch.delenv(name)
        own = {name: value for name, value in stand.environment.items() if name not in KEYS}
        run = example_dags.run("cron_on_every_host", {**own, **environment})
    assert run.succeeded, run.log
    assert run.results == {("etl", -1): "etl"}
    [call] = stand.aws.token_calls()
    assert call.arn.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/airflow-host/i-")
    assert stand.engine.client.containers(all=True) == []


def test_instance_metadata(stand: Stand) -> None:
    """The stand's instance metadata service requires a session token."""
    role = stand.aws.add_role(ACCOUNT, "airflow-host", trusted=EC2)
    with instance(stand.aws, role) as environment:
        url = f"{environment['AWS_EC2_METADATA_SERVICE_ENDPOINT']}/latest/meta-data/iam/security-credentials/"
        with pytest.raises(urllib.error.HTTPError, match="401") as caught:
            urllib.request.urlopen(url)  # noqa: S310 - ours
        caught.value.close()


def test_workers_without_an_engine(stand: Stand, tmp_path: Path) -> None:
    """From Celery workers on Fargate: each uses its task role, and a remote engine pulls, over mutual TLS."""
    image = stand.push("etl", image=build("done"))
    operator = stand.aws.add_user(ACCOUNT, "operator")
    role = stand.aws.add_role(ACCOUNT, "airflow-worker", trusted=ECS)
    with (
        Redis() as redis,
        Ecs(stand.aws, "airflow", operator, tmp_path / "ecs") as ecs,
        Deployment(
            tmp_path / "airflow",
            ROOT / "dags",
            "CeleryExecutor",
            {"AIRFLOW__CELERY__BROKER_URL": redis.url, "AIRFLOW__CELERY__WORKER_CONCURRENCY": "1"},
        ) as airflow,
    ):
        environment = {**stand.environment, "HOME": str(tmp_path), "ENGINES": stand.engine.remote_url}
        environment["DOCKER_CERT_PATH"] = str(certificates(stand, tmp_path / "certificates"))
        for name in (*KEYS, "AWS_EC2_METADATA_DISABLED", "DOCKER_HOST"):
            del environment[name]
        ecs.definitions["worker"] = TaskDefinition("worker", airflow.environment(environment), role)
        for _ in range(2):
            worker = start_worker(stand.aws, operator)
            run = airflow.wait("remote_engine", airflow.trigger("remote_engine"), SECONDS)
            assert run.succeeded, airflow.task_logs()
            assert run.results == {("container", -1): ["started", "done"]}
            assert run.hosts == {("container", -1): worker}
            call = stand.aws.token_calls()[-1]
            assert call.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/airflow-worker/{worker}"
            assert stand.registry.logins()[-1] == f"AWS:{stand.aws.tokens[-1].password}"
            # The next worker starts with only the shared files.
            ecs.tasks[worker].process.stop()
            stand.engine.forget(image)
        assert len(stand.aws.tokens) == len(ecs.tasks) == 2
        found = Scanner(token.password for token in stand.aws.tokens)
        shared = [airflow.dump().encode(), redis.dump()]
        assert found.scan(Piece("shared", str(number), text) for number, text in enumerate(shared)).hits == []


def certificates(stand: Stand, directory: Path) -> Path:
    """Store a worker's certificate, key and authority, named as the Docker CLI names them."""
    directory.mkdir()
    (directory / "ca.pem").write_text(stand.engine.authority.certificate)
    own = stand.engine.authority.issue_file("worker").read_bytes()
    (directory / "cert.pem").write_bytes(own)
    (directory / "key.pem").write_bytes(own)
    return directory


def start_worker(aws: Aws, operator: Identity) -> str:
    """Start a Celery worker as an Amazon ECS task, and return the task's id, which is also its host name."""
    command = [sys.executable, "-m", "airflow", "celery", "worker", "--skip-serve-logs"]
    override = {"name": "worker", "command": command, "environment": []}
    done = ecs_client(aws, operator).run_task(
        cluster="airflow", taskDefinition="worker", overrides={"containerOverrides": [override]}
    )
    return str(done["tasks"][0]["taskArn"][-32:])
