"""Airflow provider metadata of this package. Every Airflow process loads it, so it imports nothing."""

from __future__ import annotations


def get_provider_info() -> dict[str, str | list[str] | list[dict[str, str]]]:
    """Return the package's description (entry point ``apache_airflow_provider``)."""
    return {
        "package-name": "ecr-docker-operator",
        "name": "Docker with Amazon ECR",
        "description": "DockerOperator for Amazon ECR: a fresh authorization token for every pull, kept nowhere.",
        "cli": ["ecr_docker_operator.check.cli.get_commands"],
        "task-decorators": [{"class-name": "ecr_docker_operator.decorator.ecr_docker_task", "name": "ecr_docker"}],
        "extra-links": ["ecr_docker_operator.link.EcrImageLink"],
    }
