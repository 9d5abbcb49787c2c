"""
Before: airflow-ecr-plugin writes a new token into a Docker connection, for each region and account, every six hours.

The plugin cannot be imported since Airflow 2, so neither can this file: Airflow passes it over (`.airflowignore`), and
the tests compile it, compare it with `after.py`, and see that the plugin is all that it lacks.
"""

from datetime import datetime, timedelta

from airflow import DAG
from airflow.operators import aws_ecr
from airflow.providers.docker.operators.docker import DockerOperator

with DAG("refresh_ecr", schedule_interval=timedelta(hours=6), start_date=datetime(2020, 1, 1), catchup=False):
    aws_ecr.RefreshEcrDockerConnectionOperator(
        task_id="ecr_ireland",
        ecr_docker_conn_id="ecr_ireland",
        ecr_region="eu-west-1",
        aws_conn_id="aws_default",
    )
    aws_ecr.RefreshEcrDockerConnectionOperator(
        task_id="ecr_oregon",
        ecr_docker_conn_id="ecr_oregon",
        ecr_region="us-west-2",
        aws_conn_id="aws_default",
    )
    aws_ecr.RefreshEcrDockerConnectionOperator(
        task_id="ecr_other_account",
        ecr_docker_conn_id="ecr_other_account",
        ecr_region="us-west-2",
        aws_conn_id="other_account",
    )

with DAG("airflow_ecr_plugin", schedule_interval=None, start_date=datetime(2020, 1, 1), doc_md=__doc__):
    DockerOperator(
        task_id="ireland",
        image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
        docker_conn_id="ecr_ireland",
    )
    DockerOperator(
        task_id="oregon",
        image="123456789012.dkr.ecr.us-west-2.amazonaws.com/etl:1",
        docker_conn_id="ecr_oregon",
    )
    DockerOperator(
        task_id="other_account",
        image="210987654321.dkr.ecr.us-west-2.amazonaws.com/report:1",
        docker_conn_id="ecr_other_account",
    )
