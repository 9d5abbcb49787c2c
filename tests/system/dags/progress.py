"""A successful pull of an image with a short name, and a pull that fails."""

from __future__ import annotations

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

with DAG("progress", schedule=None):
    EcrDockerOperator(
        task_id="pulled", image="slow:1", registry_id="123456789012", region_name="eu-west-1", force_pull=True
    )
    EcrDockerOperator(task_id="refused", image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/refused:1")
