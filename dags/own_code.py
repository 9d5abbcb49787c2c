"""
Pull an image in your own code, here so that later tasks find it on the engine.

The client of `EcrDockerHook` is docker-py's `APIClient`. It requests a token for each pull, so you can keep it.
"""

import os

from airflow import DAG

from ecr_docker_operator import EcrDockerHook

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1"

with DAG("own_code", schedule=None, doc_md=__doc__) as dag:

    @dag.task
    def pull(image: str) -> str:
        """Pull *image*, and return its id."""
        hook = EcrDockerHook(base_url=os.environ.get("DOCKER_HOST", "unix://var/run/docker.sock"))
        client = hook.get_conn()
        client.pull(image)
        return client.inspect_image(image)["Id"]

    pull(IMAGE)
