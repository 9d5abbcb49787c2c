"""
Run functions in containers with an image from Amazon ECR.

`ecr_docker_task` is the same as `@task.ecr_docker`, but visible to type checkers. It takes the parameters of
`@task.docker` and of `EcrDockerOperator`. The image needs `bash` and Python. Only the source of the function runs in
the container, so import modules inside the function.
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
