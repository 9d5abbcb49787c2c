"""Pull ten times in a row: once with a fresh token each time, and once with a stored connection."""

import os
from itertools import pairwise

from airflow import DAG
from airflow.providers.docker.operators.docker import DockerOperator

from ecr_docker_operator import EcrDockerOperator

IMAGE = os.environ.get("ECR_IMAGE", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1")
TEN = [f"pull_{number}" for number in range(10)]

with DAG("fresh_tokens", schedule=None):
    for one, next_one in pairwise(EcrDockerOperator(task_id=name, image=IMAGE, force_pull=True) for name in TEN):
        one >> next_one

with DAG("stored_connection", schedule=None):
    tasks = [DockerOperator(task_id=name, image=IMAGE, force_pull=True, docker_conn_id="ecr") for name in TEN]
    for before, after in pairwise(tasks):
        before >> after
