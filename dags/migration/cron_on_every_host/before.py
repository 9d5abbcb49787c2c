"""
Before: cron writes a token into the connection `ecr` on every host, and a task of each DAG cleans the host's disk.

The crontab's script calls `airflow connections delete` and `add` every half hour, as the EC2 instance's role.
"""

from airflow import DAG
from airflow.operators.bash import BashOperator
from airflow.providers.docker.operators.docker import DockerOperator

with DAG("cron_on_every_host", schedule=None, doc_md=__doc__):
    etl = DockerOperator(
        task_id="etl",
        image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
        docker_conn_id="ecr",
    )
    clean = BashOperator(
        task_id="clean",
        bash_command="docker container prune --force && docker image prune --all --force --filter until=168h",
    )
    etl >> clean
