"""The DAG that the browser tests show: a task that succeeds, one that fails, a function, and a foreign image."""

from typing import Any

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator, ecr_docker_task

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def before(context: dict[str, Any]) -> None:
    """Print that this task has run."""
    print("before", context["task"].task_id)  # noqa: T201


with DAG("daily_report", schedule=None, params={"day": "2026-11-21", "account": "210987654321"}):
    EcrDockerOperator(
        task_id="extract",
        image=HOST + "/team/etl:{{ params.day }}",
        command="sh -c '\necho day {{ params.day }}\n'",
        environment={"DAY": "{{ params.day }}", "TARGET": "s3://reports"},
        aws_conn_id=None,
        pre_execute=before,
    )
    # The image belongs to another account, which does not admit the worker.
    EcrDockerOperator(
        task_id="publish",
        image="reports/publish:stable",
        registry_id="{{ params.account }}",
        region_name="us-west-2",
    )
    EcrDockerOperator(task_id="elsewhere", image="registry.example.com/nothing:1")

    @ecr_docker_task(image=HOST + "/python:1")
    def total(numbers: list[int]) -> int:
        """Return the sum."""
        return sum(numbers)

    total([1, 2, 3])
