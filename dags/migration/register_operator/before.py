"""
Before: an operator in front of each DockerOperator stores a token as a Docker connection, by Airflow's command line.

Such an operator is in nobody's package, so it stands here, written anew. The tests run this DAG, and find the token
among the arguments of a process. On a worker of Airflow 3 the command fails: tasks no longer reach the database.
"""

import base64
import subprocess

import boto3
from airflow import DAG
from airflow.models import BaseOperator
from airflow.providers.docker.operators.docker import DockerOperator


class EcrCredentialRegisterOperator(BaseOperator):
    """Store a token of Amazon ECR as a Docker connection."""

    def __init__(self, *, conn_id_name, region_name, register_ids, **kwargs):
        super().__init__(**kwargs)
        self.conn_id_name = conn_id_name
        self.region_name = region_name
        self.register_ids = register_ids

    def execute(self, context):
        """Ask AWS for a token, delete the connection, and add it with the token as its password."""
        ecr = boto3.client("ecr", region_name=self.region_name)
        data = ecr.get_authorization_token(registryIds=self.register_ids)["authorizationData"][0]
        login, password = base64.b64decode(data["authorizationToken"]).decode().split(":")
        options = ["--conn-type", "docker", "--conn-host", data["proxyEndpoint"]]
        options += ["--conn-login", login, "--conn-password", password]
        subprocess.run(["airflow", "connections", "delete", self.conn_id_name], check=False)
        subprocess.run(["airflow", "connections", "add", self.conn_id_name, *options], check=True)


with DAG("register_operator", schedule=None, doc_md=__doc__):
    register = EcrCredentialRegisterOperator(
        task_id="register",
        conn_id_name="ecr",
        region_name="eu-west-1",
        register_ids=["123456789012"],
    )
    etl = DockerOperator(
        task_id="etl",
        image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/etl:1",
        docker_conn_id="ecr",
    )
    register >> etl
