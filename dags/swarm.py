"""
Run a container as a Docker Swarm service, on whichever node suits.

The engine at `DOCKER_HOST` manages the Swarm. It is given one token, asks the registry with it for the image, and hands
it on to the node, which pulls with it. Swarm keeps it with the service; `auto_remove` removes that.
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
