"""Airflow provider metadata of this package. Every Airflow process loads it, so it imports nothing."""

from __future__ import annotations

from typing import Any


def _option(description: str, kind: str, example: str, default: str | None = None) -> dict[str, str | None]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": kind,
        "example": example,
        "default": default,
    }


def get_provider_info() -> dict[str, Any]:
    """Return the package's description (entry point ``apache_airflow_provider``)."""
    return {
        "package-name": "ecr-docker-operator",
        "name": "Docker with Amazon ECR",
        "description": "DockerOperator for Amazon ECR: a fresh authorization token for every pull, kept nowhere.",
        "cli": ["ecr_docker_operator.check.cli.get_commands"],
        "task-decorators": [{"class-name": "ecr_docker_operator.ecr_docker_task", "name": "ecr_docker"}],
        "extra-links": ["ecr_docker_operator.link.EcrImageLink"],
        "config": {
            "ecr_docker": {
                "description": "Settings of the cluster policy of ecr-docker-operator.",
                "options": {
                    "task_policy": _option(
                        "Whether all DockerOperators, in DAGs that nobody edits, log in to Amazon ECR by themselves.",
                        "boolean",
                        "True",
                        "False",
                    ),
                    "aws_conn_id": _option(
                        "AWS connection that requests the tokens; empty: boto3's own credential chain.",
                        "string",
                        "aws_default",
                    ),
                    "verify": _option(
                        "Whether, or by which file, to verify the TLS certificate of AWS.", "string", "/etc/ssl/ca.pem"
                    ),
                    "image_retention": _option(
                        "Seconds for which images in Amazon ECR stay on the engine.", "integer", "604800"
                    ),
                },
            }
        },
    }
