"""Every way in which a DAG uses an operator."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.docker.operators.docker import DockerOperator

from ecr_docker_operator import EcrDockerOperator

try:
    from airflow.sdk import DAG, TaskGroup, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task
    from airflow.utils.task_group import TaskGroup

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = f"{HOST}/app:1"


class Mine(EcrDockerOperator):
    """A subclass with an additional parameter and another default for one of ours."""

    template_fields = (*EcrDockerOperator.template_fields, "greeting")

    def __init__(self, *, greeting: str, region_name: str | None = "eu-west-1", **kwargs: Any) -> None:
        super().__init__(region_name=region_name, **kwargs)
        self.greeting = greeting
        self.command = ["echo", greeting]


class Framework(DockerOperator):
    """A third-party subclass of DockerOperator that calls its parent by name, as Cosmos does."""

    def __init__(self, *, image: str, project: str, **kwargs: Any) -> None:
        DockerOperator.__init__(self, image=image, **kwargs)
        self.project = project

    def execute(self, context: Any) -> Any:
        """Prepare the command, and run it."""
        self.command = ["echo", self.project]
        return DockerOperator.execute.__wrapped__(self, context)


class FrameworkOnEcr(EcrDockerOperator, Framework):
    """The operator as a mixin in front of a third-party subclass."""


with DAG(
    "ways",
    schedule=None,
    default_args={"image": IMAGE, "pool": "default_pool", "retry_delay": timedelta(0)},
    params={"tag": "1", "region": "eu-west-1"},
):
    EcrDockerOperator.partial(task_id="expand", command="cat /image").expand(image=[IMAGE, f"{HOST}/other:1"])

    EcrDockerOperator.partial(task_id="expand_kwargs", command="cat /image").expand_kwargs(
        [
            {"image": "app:1", "registry_id": "123456789012", "region_name": "eu-west-1", "aws_conn_id": "aws_default"},
            {"image": "theirs:1", "registry_id": "210987654321", "region_name": "us-west-2", "aws_conn_id": "other"},
        ]
    )

    EcrDockerOperator(
        task_id="templates",
        image="app:{{ params.tag }}",
        registry_id="{{ '123456789012' }}",
        region_name="{{ params.region }}",
        aws_conn_id="{{ 'aws_' ~ 'default' }}",
        command="echo {{ task.task_id }}",
    )

    @task
    def name_of_image() -> str:
        """Return the image for the next task."""
        return IMAGE

    EcrDockerOperator(task_id="image_from_xcom", image=name_of_image(), command="echo from xcom")

    with TaskGroup("group"):
        setup = EcrDockerOperator(task_id="setup", command="echo up").as_setup()
        work = EcrDockerOperator(task_id="work", command="echo work")
        teardown = EcrDockerOperator(task_id="teardown", command="echo down").as_teardown(setups=setup)
        setup >> work >> teardown

    EcrDockerOperator(
        task_id="retried",
        command=["sh", "-c", "echo try {{ ti.try_number }}; exit {{ 1 if ti.try_number == 1 else 0 }}"],
        retries=1,
        allow_nested_operators=False,
    )

    EcrDockerOperator(
        task_id="skipped", command=["sh", "-c", "exit 99"], skip_on_exit_code=99, allow_nested_operators=False
    )

    EcrDockerOperator(
        task_id="retrieved",
        # The number 42 as a pickle.
        command=["sh", "-c", r"printf 'I42\n.' > /out"],
        retrieve_output=True,
        retrieve_output_path="/out",
    )

    EcrDockerOperator(task_id="all_lines", command=["sh", "-c", "echo one; sleep 1; echo two"], xcom_all=True)

    EcrDockerOperator(task_id="no_xcom", command="echo nothing", do_xcom_push=False)

    Mine(task_id="subclass", greeting="hello {{ params.region }}")

    FrameworkOnEcr(task_id="mixin", project="jaffle")

# In a separate DAG: "airflow dags test" of Airflow 2 ends at the first task that times out.
with DAG("time_out", schedule=None):
    EcrDockerOperator(
        task_id="timed_out",
        image=IMAGE,
        command=["sh", "-c", "trap 'exit 1' TERM; sleep 600 & wait"],
        execution_timeout=timedelta(seconds=5),
        auto_remove="force",
        labels={"timed_out": "yes"},
    )


def own_hook(context: Any, result: Any = None) -> None:
    """Log that this function was called."""
    print("own hook after", context["ti"].task_id, "with", result)  # noqa: T201


with DAG(
    "disk",
    schedule=None,
    default_args={"image_retention": timedelta(microseconds=1), "auto_remove": "force", "pool": "default_pool"},
):
    EcrDockerOperator(task_id="operator", image=f"{HOST}/operator:1", post_execute=own_hook)

    @task.ecr_docker(image=f"{HOST}/function:1")
    def function() -> int:
        """Return a number."""
        return 1

    function()

    EcrDockerOperator.partial(task_id="mapped").expand(image=[f"{HOST}/mapped:1"])

    EcrDockerOperator(task_id="failing", image=f"{HOST}/failing:1", command="false")
