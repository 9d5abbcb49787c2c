"""DockerSwarmOperator whose images come from Amazon ECR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.docker.operators.docker_swarm import DockerSwarmOperator

from ecr_docker_operator.errors import EcrInputError
from ecr_docker_operator.operator import EcrDockerOperator

if TYPE_CHECKING:
    from collections.abc import Sequence


class EcrDockerSwarmOperator(EcrDockerOperator, DockerSwarmOperator):
    """
    Execute a command as an ephemeral Docker Swarm service whose image is in Amazon ECR.

    A drop-in for DockerSwarmOperator. AWS is asked for one authorization token. With it, the engine first asks
    the registry for the image, so that a task whose image is missing or refused fails at once and says why. Then
    the service is created with it, and the node that runs it pulls with it. Swarm keeps it with the
    service, encrypted (Docker documentation, "Manage swarm security"), until the service is removed. Images of
    other registries are DockerSwarmOperator's.

    Unlike there, ``private_environment`` and ``env_file`` reach the container, and ``tty=True`` can be used
    together with ``enable_logging``.

    All parameters are EcrDockerOperator's, except for ``image_retention``, and DockerSwarmOperator's.

    :raises EcrInputError: as EcrDockerOperator does, and for ``image_retention``: images are on the nodes.
    :raises EcrTokenError: when the task runs, if AWS gives no token.
    :raises EcrPullError: when the task runs, if the registry refuses the image.
    :raises EcrUpstreamError: when the task runs, if docker-py has no place for logins.
    """

    template_fields: Sequence[str] = tuple(
        dict.fromkeys((*DockerSwarmOperator.template_fields, *EcrDockerOperator.template_fields))
    )

    def _validate_retention(self) -> None:
        if self.image_retention is not None:
            raise EcrInputError.image_retention_of_swarm()

    def _run_service(self) -> Any:
        environment = self.environment
        # Only for the service: Airflow shows the operator's own.
        self.environment = {**self._env_file_variables(), **environment, **self._private_environment}
        try:
            return super()._run_service()
        finally:
            self.environment = environment

    def _env_file_variables(self) -> dict[str, str | None]:
        return self.unpack_environment_variables(self.env_file) if self.env_file is not None else {}
