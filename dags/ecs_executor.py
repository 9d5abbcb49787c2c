"""
Run a container from an Airflow task that is itself a container of Amazon ECS, started by the AWS ECS executor.

There is no key anywhere: with `aws_conn_id=None`, the token is asked for as the task role, which is the
`taskRoleArn` of the executor's task definition. The engine is that of the EC2 instance; the task definition
mounts its socket `/var/run/docker.sock` as a volume.
"""

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

with DAG("ecs_executor", schedule=None, doc_md=__doc__):
    EcrDockerOperator(
        task_id="container",
        image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
        command="cat /image",
        aws_conn_id=None,
    )
