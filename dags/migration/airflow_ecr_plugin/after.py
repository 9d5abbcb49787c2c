"""
Run images from two regions and two accounts, after a move from airflow-ecr-plugin: no refresh, no Docker connection.

Each task requests a token in the region of its image. The AWS connection is `aws_default`, unless `aws_conn_id` is set.
"""

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

with DAG("airflow_ecr_plugin", schedule=None, doc_md=__doc__):
    EcrDockerOperator(
        task_id="ireland",
        image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
    )
    EcrDockerOperator(
        task_id="oregon",
        image="123456789012.dkr.ecr.us-west-2.amazonaws.com/etl:1",
    )
    EcrDockerOperator(
        task_id="other_account",
        image="210987654321.dkr.ecr.us-west-2.amazonaws.com/report:1",
        aws_conn_id="other_account",
    )
