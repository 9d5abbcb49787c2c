"""The AWS ECS executor: each Airflow task is an ECS task, and its only AWS identity is its task role."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.deployment import Deployment
from tests.stand.ecs import PRINCIPAL, Ecs, TaskDefinition
from tests.stand.hosts import ACCOUNT, REGION
from tests.stand.images import build
from tests.system.conftest import ROOT

if TYPE_CHECKING:
    from tests.stand import Stand
    from tests.stand.aws import Aws, Identity

pytestmark = pytest.mark.stand

SECONDS = 400
CLUSTER, FAMILY, CONTAINER = "airflow", "airflow-task", "worker"
EXECUTOR = "airflow.providers.amazon.aws.executors.ecs.AwsEcsExecutor"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def test_task_role(running_stand: Stand, tmp_path: Path) -> None:
    """The task role gets the token; without the role or its permission, the error says so."""
    stand = running_stand
    stand.aws.reset()
    scheduler = stand.aws.add_user(ACCOUNT, "scheduler")
    scheduler.may_get_token = False
    role = stand.aws.add_role(ACCOUNT, "airflow-task", trusted=PRINCIPAL)
    image = stand.push("etl", image=build("etl"))
    settings = {
        **stand.environment,
        "AWS_ACCESS_KEY_ID": scheduler.access_key,
        "AWS_SECRET_ACCESS_KEY": scheduler.secret_key,
        "AIRFLOW__AWS_ECS_EXECUTOR__REGION_NAME": REGION,
        "AIRFLOW__AWS_ECS_EXECUTOR__CLUSTER": CLUSTER,
        "AIRFLOW__AWS_ECS_EXECUTOR__TASK_DEFINITION": FAMILY,
        "AIRFLOW__AWS_ECS_EXECUTOR__CONTAINER_NAME": CONTAINER,
        "AIRFLOW__AWS_ECS_EXECUTOR__LAUNCH_TYPE": "EC2",
        "AIRFLOW__AWS_ECS_EXECUTOR__MAX_RUN_TASK_ATTEMPTS": "1",
    }
    with (
        Ecs(stand.aws, CLUSTER, scheduler, tmp_path / "ecs") as ecs,
        Deployment(tmp_path / "airflow", ROOT / "dags", EXECUTOR, settings) as airflow,
    ):
        own = {name: value for name, value in airflow.environment().items() if name not in KEYS}
        # ECS starts "python", which in Airflow's image is the interpreter with Airflow.
        own.update(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", HOME=str(tmp_path))

        assert scheduler.secret_key not in own.values()
        ecs.definitions[FAMILY] = TaskDefinition(CONTAINER, own, role)
        run = airflow.wait("ecs_executor", airflow.trigger("ecs_executor"), SECONDS)
        assert run.succeeded, airflow.task_logs()
        assert run.results == {("container", -1): "etl"}
        [task_id] = ecs.tasks
        assert run.hosts == {("container", -1): task_id}
        [call] = stand.aws.token_calls()
        assert call.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/airflow-task/{task_id}"

        stand.engine.forget(image)
        ecs.role_may_get_token = False
        run = airflow.wait("ecs_executor", airflow.trigger("ecs_executor"), SECONDS)
        assert run.states == {("container", -1): "failed"}
        assert "assumed-role/airflow-task/" in airflow.task_logs()
        assert "is not authorized to perform: ecr:GetAuthorizationToken" in airflow.task_logs()

        ecs.definitions[FAMILY] = TaskDefinition(CONTAINER, own)
        run = airflow.wait("ecs_executor", airflow.trigger("ecs_executor"), SECONDS)
        assert run.states == {("container", -1): "failed"}
        assert "Unable to locate credentials" in airflow.task_logs()
        assert len(stand.aws.tokens) == 1


def test_credentials_endpoint(running_stand: Stand, tmp_path: Path) -> None:
    """The stand's ECS gives the role's credentials only to the process of a running task."""
    aws = running_stand.aws
    owner = aws.add_user(ACCOUNT, "scheduler")
    role = aws.add_role(ACCOUNT, "airflow-task", trusted=PRINCIPAL)
    with Ecs(aws, CLUSTER, owner, tmp_path) as ecs:
        ecs.definitions[FAMILY] = TaskDefinition(CONTAINER, {"PATH": os.environ["PATH"]}, role)
        arn = run_task(ecs_client(aws, owner))
        [task] = ecs.tasks.values()
        url = f"{ecs.credentials_url}{arn[-32:]}"
        found = fetch(url, task.secret)
        assert aws.identities[found["AccessKeyId"]] is task.identity
        assert found["RoleArn"] == role
        missing = {"code": "InvalidIdInRequest", "message": "CredentialsV2Request: Credentials not found"}
        assert fetch(url, "another").items() > missing.items()
        assert fetch(f"{ecs.credentials_url}{'0' * 32}", task.secret).items() > missing.items()
        ecs_client(aws, owner).stop_task(cluster=CLUSTER, task=arn)
        assert fetch(url, task.secret).items() > missing.items()


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("ClusterNotFoundException", {"cluster": "other"}),
        ("ClientException", {"family": "other"}),
        ("InvalidParameterException", {"container": "other"}),
    ],
)
def test_refused(code: str, wrong: dict[str, str], running_stand: Stand, tmp_path: Path) -> None:
    """The stand's ECS runs only known task definitions, and only for its owner."""
    aws = running_stand.aws
    owner, stranger = aws.add_user(ACCOUNT, "scheduler"), aws.add_user(ACCOUNT, "stranger")
    with Ecs(aws, CLUSTER, owner, tmp_path) as ecs:
        ecs.definitions[FAMILY] = TaskDefinition(CONTAINER, {})
        with pytest.raises(ClientError, match=code):
            run_task(ecs_client(aws, owner), **wrong)
        with pytest.raises(ClientError, match="AccessDeniedException"):
            run_task(ecs_client(aws, stranger))
        assert ecs.tasks == {}


def fetch(url: str, secret: str) -> dict[str, Any]:
    """Return the answer of the credentials endpoint."""
    request = urllib.request.Request(url, headers={"Authorization": secret})  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            return dict(json.load(error))


def ecs_client(aws: Aws, user: Identity) -> Any:
    """Return a boto3 client for *user*."""
    keys = {"aws_access_key_id": user.access_key, "aws_secret_access_key": user.secret_key}
    return boto3.client("ecs", region_name=REGION, endpoint_url=aws.url, **keys)


def run_task(client: Any, cluster: str = CLUSTER, family: str = FAMILY, container: str = CONTAINER) -> str:
    """Run a task that sleeps, and return its ARN."""
    override = {"name": container, "command": ["sleep", "600"], "environment": []}
    overrides = {"containerOverrides": [override]}
    done = client.run_task(cluster=cluster, taskDefinition=family, overrides=overrides)
    return str(done["tasks"][0]["taskArn"])
