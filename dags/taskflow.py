"""
Run functions in containers whose image is in Amazon ECR.

`ecr_docker_task` is `@task.ecr_docker` by a name that type checkers know; it takes the parameters of `@task.docker`
and of `EcrDockerOperator`. The image needs `bash` and Python. Only the source of the function gets there, so it
imports what it needs.
"""

from airflow import DAG

from ecr_docker_operator import ecr_docker_task

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/python:1"

with DAG("taskflow", schedule=None, doc_md=__doc__):

    @ecr_docker_task(image=IMAGE, multiple_outputs=True)
    def statistics(numbers: list[int]) -> dict[str, float]:
        """Return two XComs."""
        from statistics import mean, median  # noqa: PLC0415

        return {"mean": mean(numbers), "median": median(numbers)}

    @ecr_docker_task(image=IMAGE)
    def times(number: float, factor: int) -> float:
        """Return the product."""
        return number * factor

    found = statistics([1, 2, 6])
    times.partial(number=found["mean"]).expand(factor=[10, 100])
