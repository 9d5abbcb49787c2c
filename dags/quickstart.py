"""Run a container with an image from Amazon ECR."""

import os

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

with DAG("quickstart", schedule=None, doc_md=__doc__):
    EcrDockerOperator(
        task_id="container",
        image=os.environ.get("ECR_IMAGE", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/hello:1"),
        xcom_all=True,
    )
