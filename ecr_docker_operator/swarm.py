"""DockerSwarmOperator for images in Amazon ECR."""

from __future__ import annotations

from typing import Any

from airflow.providers.docker.operators.docker_swarm import DockerSwarmOperator

from ecr_docker_operator.errors import EcrInputError
from ecr_docker_operator.operator import EcrDockerOperator


class EcrDockerSwarmOperator(EcrDockerOperator, DockerSwarmOperator):
    """
    Execute a command as an ephemeral Docker Swarm service with an image from Amazon ECR.

    A drop-in replacement for DockerSwarmOperator. The task requests one authorization token. The engine first checks
    the image in its registry, so that a missing or refused image fails at once with the reason. Then it creates the
    service with the same token, and the node pulls with it. Swarm stores the token with the service, encrypted (Docker
    documentation, "Manage swarm security"), until the service is removed. Images in other registries are handled by
    DockerSwarmOperator.

    Unlike in DockerSwarmOperator, ``private_environment`` and ``env_file`` reach the container, and ``tty=True`` works
    with ``enable_logging``.

    Parameters are those of EcrDockerOperator, except for ``image_retention``, and of DockerSwarmOperator.

    :raises EcrInputError: as EcrDockerOperator does, and for ``image_retention``, because images are on the nodes.
    :raises EcrTokenError: when the task runs, if AWS returns no token.
    :raises EcrPullError: when the task runs, if the registry refuses the image.
    :raises EcrUpstreamError: when the task runs, if the installed docker-py is not supported.
    """

    def _validate_retention(self) -> None:
        if self.image_retention is not None:
            raise EcrInputError.image_retention_of_swarm()

    def _run_service(self) -> Any:
        environment = self.environment
        # Only for the service, because Airflow's UI shows the operator's environment.
        self.environment = {**self._env_file_variables(), **environment, **self._private_environment}
        try:
            return super()._run_service()
        finally:
            self.environment = environment

    def _env_file_variables(self) -> dict[str, str | None]:
        return self.unpack_environment_variables(self.env_file) if self.env_file is not None else {}
