"""
Before: Celery workers on AWS Fargate, which has no Docker engine, so what a task runs is part of Airflow's own image.

Each change to it is a new image of Airflow, and new workers.
"""

from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG("remote_engine", schedule=None, doc_md=__doc__):
    BashOperator(
        task_id="container",
        bash_command="echo started; cat /image",
    )
