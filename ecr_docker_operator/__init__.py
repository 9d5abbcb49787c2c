"""DockerOperator for Amazon ECR: a fresh authorization token for every pull, kept nowhere."""

from importlib.metadata import version as _version

from ecr_docker_operator.errors import (
    EcrError,
    EcrInputError,
    EcrPullError,
    EcrTokenError,
    EcrUpstreamError,
)
from ecr_docker_operator.hook import EcrDockerHook
from ecr_docker_operator.operator import EcrDockerOperator

__all__ = [
    "EcrDockerHook",
    "EcrDockerOperator",
    "EcrError",
    "EcrInputError",
    "EcrPullError",
    "EcrTokenError",
    "EcrUpstreamError",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        return _version("ecr-docker-operator")
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
