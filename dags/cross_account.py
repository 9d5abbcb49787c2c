"""
Run images from two accounts and two regions.

`mine` is in the account and region of the worker's own AWS identity, and needs no settings.

`theirs` is in another account and region. The AWS connection `other_account` has the ARN of a role there (`role_arn` in
its extra field). The task requests the token as that role, in the region of the image. Instead of a role, a repository
policy in the other account can allow the worker's own identity.
"""

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

with DAG("cross_account", schedule=None, doc_md=__doc__):
    mine = EcrDockerOperator(
        task_id="mine",
        image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
    )
    theirs = EcrDockerOperator(
        task_id="theirs",
        image="report:1",
        registry_id="210987654321",
        region_name="us-west-2",
        aws_conn_id="other_account",
    )
    mine >> theirs
