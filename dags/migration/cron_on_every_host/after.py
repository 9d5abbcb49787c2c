"""
Run a container on an EC2 instance, after a move from cron on every host: no crontab, and no cleanup task.

With `aws_conn_id=None`, the task requests the token as the instance's role. `image_retention` keeps the disk free: it
removes images of this repository that were pulled more than a week ago, unless a container uses them.
"""

from datetime import timedelta

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

with DAG("cron_on_every_host", schedule=None, doc_md=__doc__):
    EcrDockerOperator(
        task_id="etl",
        image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
        aws_conn_id=None,
        auto_remove="success",
        image_retention=timedelta(days=7),
    )
