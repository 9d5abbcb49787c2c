"""
Run a container on an engine elsewhere, for a worker that has none: on AWS Fargate, for instance.

The worker asks AWS for the token, as its task role; the engine needs no AWS identity. Both sides show each other
a certificate; the worker's files are named as Docker's own client names them, in `DOCKER_CERT_PATH`. If the first
engine cannot be connected to, the second is used. `mount_tmp_dir=False`, because the two share no disk.
"""

import os
from pathlib import Path

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

ENGINES = os.environ.get("ENGINES", "tcp://engine-1.example.com:2376 tcp://engine-2.example.com:2376")
CERTIFICATES = Path(os.environ.get("DOCKER_CERT_PATH", "/run/secrets/docker"))

with DAG("remote_engine", schedule=None, doc_md=__doc__):
    EcrDockerOperator(
        task_id="container",
        image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
        command=["sh", "-c", "echo started; cat /image"],
        docker_url=ENGINES.split(),
        tls_ca_cert=str(CERTIFICATES / "ca.pem"),
        tls_client_cert=str(CERTIFICATES / "cert.pem"),
        tls_client_key=str(CERTIFICATES / "key.pem"),
        mount_tmp_dir=False,
        auto_remove="force",
        xcom_all=True,
    )
