"""Every way to run Python functions as tasks in containers."""

from __future__ import annotations

from typing import Any

import ecr_docker_operator
from ecr_docker_operator import ecr_docker_task

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = f"{HOST}/python:1"

with DAG("functions", schedule=None, params={"tag": "1", "name": "param"}):

    @task.ecr_docker(image=IMAGE)
    def by_attribute(*values: Any, **named: Any) -> list[Any]:
        """Return what the image's file says, and what came in."""
        from pathlib import Path  # noqa: PLC0415 - only this function's source gets into the container

        return [Path("/image").read_text(), *values, named]

    @ecr_docker_task(
        image=IMAGE,
        auto_remove="force",
    )
    # Comments, strings like "@ecr_docker_task(", and names stay what they are.
    def by_function(value: int) -> str:
        """Return a sentence."""
        ecr_docker_task = value + 1
        return f"@ecr_docker_task({ecr_docker_task - 1})"

    @ecr_docker_operator.ecr_docker_task(image=IMAGE)
    def by_dotted_name() -> str:
        """Return a word."""
        return "dotted"

    @ecr_docker_task(image=IMAGE, serializer="dill")
    def by_dill(value: set[int]) -> set[int]:
        """Return what is in one set more."""
        import dill  # noqa: PLC0415

        return value | {len(dill.__name__)}

    @ecr_docker_task(image=IMAGE, serializer="cloudpickle")
    def by_cloudpickle(value: int) -> int:
        """Return one more."""
        import cloudpickle  # noqa: PLC0415

        return value + len(cloudpickle.dumps(value)[:1])

    @task.ecr_docker(image=IMAGE, multiple_outputs=True)
    def outputs() -> dict[str, int]:
        """Return two XComs."""
        return {"one": 1, "two": 2}

    @ecr_docker_task(image="python:{{ params.tag }}", registry_id="123456789012", region_name="{{ 'eu-west-1' }}")
    def templates(value: str) -> str:
        """Return the value."""
        return value

    @ecr_docker_task(image=IMAGE, region_name="eu-west-1")
    def mapped(number: int, factor: int) -> int:
        """Return the product."""
        return number * factor

    by_attribute(1, "two", three=[3])
    by_function(7)
    by_dotted_name()
    by_dill({1, 2})
    by_cloudpickle(1)
    found = outputs()
    by_function.override(task_id="second_output")(found["two"])
    templates("{{ params.name }}")
    mapped.partial(factor=10).expand(number=[1, 2])
    mapped.override(task_id="mapped_kwargs").expand_kwargs([{"number": 3, "factor": 4}])
