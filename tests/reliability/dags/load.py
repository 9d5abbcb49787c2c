"""Many mapped tasks, each of which has to pull its own image."""

import os

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/load"

with DAG("load", schedule=None, max_active_tasks=16):
    EcrDockerOperator.partial(task_id="pull", command="true", auto_remove="force").expand(
        image=[f"{IMAGE}:{number}" for number in range(int(os.environ.get("TASKS", "1")))]
    )
