"""
Before: the AWS ECS executor runs a DockerOperator, whose token something outside of Airflow keeps fresh.

That is a scheduled function, which writes the connection `ecr` into the secrets backend: what one task logs in to is
gone with its container, and there is no host of one's own to run cron on.
"""

from airflow import DAG
from airflow.providers.docker.operators.docker import DockerOperator

with DAG("ecs_executor", schedule=None, doc_md=__doc__):
    DockerOperator(
        task_id="container",
        image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
        command="cat /image",
        docker_conn_id="ecr",
    )
