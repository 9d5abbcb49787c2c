"""The AWS ECS executor: the Airflow task is a task of ECS, and its task role is all that it has of AWS."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deployment import Deployment
from tests.stand.ecs import PRINCIPAL, Ecs, TaskDefinition
from tests.stand.hosts import ACCOUNT, REGION
from tests.stand.images import build
from tests.system.conftest import ROOT

if TYPE_CHECKING:
    from tests.stand import Stand

pytestmark = pytest.mark.stand

SECONDS = 180
CLUSTER, FAMILY, CONTAINER = "airflow", "airflow-task", "worker"
EXECUTOR = "airflow.providers.amazon.aws.executors.ecs.AwsEcsExecutor"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def test_task_role(running_stand: Stand, tmp_path: Path) -> None:
    """The token is asked for as the task role; without the role, or without its permission, the task says so."""
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
        # ECS starts "python", which in Airflow's image is the one that has Airflow.
        own.update(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", HOME=str(tmp_path))

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
