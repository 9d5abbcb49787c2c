"""
Run a container, after a move from an operator that registers a token: one task replaces two.

The token goes from AWS to the engine, and is never a process argument.
"""

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

with DAG("register_operator", schedule=None, doc_md=__doc__):
    EcrDockerOperator(
        task_id="etl",
        image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
    )
