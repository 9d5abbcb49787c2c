"""
Run many containers on many workers, from two accounts and two regions.

Each worker uses its own engine and its own AWS identity. Every mapped task instance requests its own token on the
worker where it runs. If that worker dies, the retry requests a new token on another worker.

`shared` is in another account, and its repository policy allows the workers. `report` uses a role in that account, set
in the AWS connection `other_account`.
"""

from datetime import timedelta

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

IMAGES = [
    {"image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1"},
    {"image": "123456789012.dkr.ecr.us-west-2.amazonaws.com/etl:1"},
    {"image": "210987654321.dkr.ecr.eu-west-1.amazonaws.com/shared:1"},
    {"image": "210987654321.dkr.ecr.us-west-2.amazonaws.com/report:1", "aws_conn_id": "other_account"},
]

with DAG("celery_workers", schedule=None, doc_md=__doc__):
    EcrDockerOperator.partial(
        task_id="container",
        command="sh -c 'sleep 3; cat /image'",
        force_pull=True,
        retries=5,
        retry_delay=timedelta(seconds=1),
    ).expand_kwargs(IMAGES * 10)
