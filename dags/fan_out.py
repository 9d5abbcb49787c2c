"""
Run one task for each of several images, some private, one public.

Every mapped task instance requests its own token when its engine has to pull.
"""

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

IMAGES = [
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
    "123456789012.dkr.ecr.us-west-2.amazonaws.com/etl:1",
    "public.ecr.aws/docker/library/busybox:1",
]

with DAG("fan_out", schedule=None, doc_md=__doc__):
    EcrDockerOperator.partial(task_id="container", command="cat /image").expand(image=IMAGES)
