"""
Run a container from an Airflow task that itself runs in Amazon ECS, started by the AWS ECS executor.

No access key is needed: with `aws_conn_id=None`, Airflow requests the token as the task role, the `taskRoleArn` of the
executor's task definition. The engine is that of the EC2 instance. The task definition mounts its socket,
`/var/run/docker.sock`, as a volume.
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
