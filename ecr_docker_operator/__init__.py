"""DockerOperator for Amazon ECR: a fresh authorization token for every pull, stored nowhere."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecr_docker_operator.decorator import ecr_docker_task
    from ecr_docker_operator.errors import (
        EcrEngineError,
        EcrError,
        EcrInputError,
        EcrKilledError,
        EcrPullError,
        EcrStartError,
        EcrTokenError,
        EcrUpstreamError,
    )
    from ecr_docker_operator.hook import EcrDockerHook
    from ecr_docker_operator.operator import EcrDockerOperator
    from ecr_docker_operator.policy import pull_from_ecr
    from ecr_docker_operator.swarm import EcrDockerSwarmOperator

__all__ = [
    "EcrDockerHook",
    "EcrDockerOperator",
    "EcrDockerSwarmOperator",
    "EcrEngineError",
    "EcrError",
    "EcrInputError",
    "EcrKilledError",
    "EcrPullError",
    "EcrStartError",
    "EcrTokenError",
    "EcrUpstreamError",
    "ecr_docker_task",
    "pull_from_ecr",
]

# Imported on first use: every Airflow process reads this package's provider info, but few use its operator.
_HOMES = {
    "EcrDockerHook": "hook",
    "EcrDockerOperator": "operator",
    "EcrDockerSwarmOperator": "swarm",
    "ecr_docker_task": "decorator",
    "pull_from_ecr": "policy",
}


if TYPE_CHECKING:
    __version__: str
else:
    # Hidden from type checkers, which would otherwise accept any name.
    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return version("ecr-docker-operator")
        if name in __all__:
            # First, because it says in a sentence what is missing or too old.
            import_module(f"{__name__}.compat")
            return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
