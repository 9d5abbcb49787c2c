"""
Run a container as a Docker Swarm service, on any node that matches `placement`.

The engine at `DOCKER_HOST` manages the Swarm. It checks the image in the registry with one token, and passes the token
to the node for its pull. Swarm stores the token with the service, which `auto_remove` removes.
"""

from airflow import DAG

from ecr_docker_operator import EcrDockerSwarmOperator

with DAG("swarm", schedule=None, doc_md=__doc__):
    EcrDockerSwarmOperator(
        task_id="service",
        image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
        command=["sh", "-c", "echo running on a node; sleep 5"],
        placement=["node.role==worker"],
        tty=True,
        auto_remove="force",
    )
