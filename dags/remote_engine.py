"""
Run a container on a remote engine, for a worker without its own, such as one on AWS Fargate.

The worker requests the token as its task role. The engine needs no AWS identity. Worker and engine authenticate each
other with certificates. The worker's files are in `DOCKER_CERT_PATH`, with the names that Docker's own client uses. If
the connection to the first engine fails, the task uses the second. `mount_tmp_dir` is `False` because worker and engine
share no disk.
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
