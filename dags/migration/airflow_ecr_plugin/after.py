"""
Run images of two regions and two accounts, as after a move from airflow-ecr-plugin: no refresh, no Docker connection.

The region of a token is the image's. Whose it is, the task says where it is not `aws_default`'s: in `aws_conn_id`.
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
