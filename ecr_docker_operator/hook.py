"""DockerHook whose client logs in to Amazon ECR by itself, at each pull."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.docker.hooks.docker import DockerHook
from docker.auth import convert_to_hostname

from ecr_docker_operator import auth
from ecr_docker_operator.container import EcrCreate, EcrStart, EcrWait
from ecr_docker_operator.credentials import AwsIdentity
from ecr_docker_operator.engine import Attempts, EcrSend
from ecr_docker_operator.errors import EcrInputError
from ecr_docker_operator.image import check
from ecr_docker_operator.pull import EcrPull
from ecr_docker_operator.registry import EcrRegistry
from ecr_docker_operator.retention import EcrNotedPull
from ecr_docker_operator.service import EcrInspection, EcrService

if TYPE_CHECKING:
    from docker.api.client import APIClient


class EcrDockerHook(DockerHook):
    """
    Interact with a Docker engine that pulls from Amazon ECR.

    The client of this hook asks AWS for an authorization token when, and each time, a request needs one:
    a pull, the creation of a Swarm service, the inspection of an image in its registry.

    :param docker_conn_id: Docker connection for another registry. One that was left over for Amazon ECR is
        not logged in with, and can be deleted. Default: none.
    :param aws_conn_id: AWS connection whose identity asks for the token. ``None``: boto3's own credential
        chain on the worker. Default: ``aws_default``, which is that chain where no such connection exists.
    :param registry_host: host (and port) of a private registry whose name does not tell it, for instance
        an alias or a proxy. Needs ``registry_id`` and ``region_name``.
    :param registry_id: AWS account that owns the registry at ``registry_host``, 12 digits.
    :param region_name: region of the registry at ``registry_host``.
    :param verify: whether, or with which file of certificates, to verify the TLS certificate of AWS.
        Default: ``None``, as the AWS connection says, else boto3's.
    :param botocore_config: configuration of the botocore client that asks for the token; see
        ``botocore.config.Config``.

    All other parameters are DockerHook's.

    :raises EcrInputError: if ``registry_host``, ``registry_id`` and ``region_name`` name no registry.
    :raises EcrEngineError: when the client is made, if no engine can be connected to.
    :raises EcrUpstreamError: when the client is made, if docker-py keeps its logins elsewhere.
    """

    notes_pulls = False
    """Whether the engine is made to note when it pulls the task's image."""

    logs_pulls = False
    """Whether a pull yields what DockerOperator is to log of it."""

    _attempts: Attempts | None = None
    _killed = False

    def __init__(
        self,
        docker_conn_id: str | None = None,
        base_url: str | list[str] | None = None,
        *args: Any,
        aws_conn_id: str | None = "aws_default",
        registry_host: str | None = None,
        registry_id: str | None = None,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(docker_conn_id, base_url, *args, **kwargs)
        self.engine_urls = base_url or []
        self.identity = AwsIdentity(aws_conn_id, verify, botocore_config)
        self.registry: EcrRegistry | None = None
        if registry_host is not None or registry_id is not None or region_name is not None:
            if not (registry_host and registry_id and region_name):
                raise EcrInputError.alias_without_registry(registry_host or "")
            if "/" in registry_host or EcrRegistry.parse(registry_host):
                raise EcrInputError.bad_alias(registry_host)
            check(None, registry_id, region_name)
            self.registry = EcrRegistry.private(registry_id, region_name, host=registry_host)

    @classmethod
    def adopt(
        cls,
        hook: DockerHook,
        identity: AwsIdentity,
        registry: EcrRegistry | None = None,
        *,
        engine_urls: str | list[str],
    ) -> EcrDockerHook:
        """Turn *hook*, whose client was not created yet, into one that pulls from Amazon ECR, and return it.

        Its client's ``pull(…, stream=True, decode=True)`` yields what DockerOperator is to log.

        :param registry: the one that the task's image is in, whatever its host; ``None`` if not on Amazon ECR.
        :param engine_urls: those of *hook*.
        """
        # In place, so that it reaches the engine by exactly what DockerOperator gave it.
        hook.__class__ = cls
        ecr_hook = cast("EcrDockerHook", hook)
        ecr_hook.identity = identity
        ecr_hook.registry = registry
        ecr_hook.engine_urls = engine_urls
        ecr_hook.logs_pulls = True
        return ecr_hook

    def __getstate__(self) -> dict[str, Any]:
        # docker-py's client does not work once it was pickled; a copy makes its own.
        return {name: value for name, value in vars(self).items() if name != "api_client"}

    @property
    def log(self) -> Any:
        """Logger of the hook; while it connects, one that keeps the reasons why it cannot."""
        return self._attempts or super().log

    @cached_property
    def api_client(self) -> APIClient:
        """Client of the engine, made and logged in as DockerHook does, that pulls from Amazon ECR (cached)."""
        if self.docker_conn_id and self._is_left_over(self.docker_conn_id):
            self.log.warning(
                "Docker connection %r holds a login for Amazon ECR. It is not used, because every pull gets a "
                "fresh token: drop docker_conn_id from the task, then the connection can be deleted.",
                self.docker_conn_id,
            )
            self.docker_conn_id = None
        # Before there is a client, which would be found again without our logins.
        auth.check_upstream()
        attempts = self._attempts = Attempts(super().log, self.engine_urls)
        try:
            with attempts.explained():
                client = super().api_client
        finally:
            self._attempts = None
        logins = auth.install(client, self.identity, self.registry)
        client.send = EcrSend(client.send, attempts.url, lambda: self._killed)  # type: ignore[method-assign]
        client.pull = EcrPull(  # type: ignore[method-assign]
            client.pull, logins, attempts.url, for_log=self.logs_pulls
        )
        client.create_service = EcrService(client, logins, lambda: self._killed)
        client.inspect_distribution = EcrInspection(client, logins)
        if self.registry:
            if self.notes_pulls:
                client.pull = EcrNotedPull(client)  # type: ignore[method-assign]
            client.create_container = EcrCreate(client, logins)  # type: ignore[method-assign]
            client.start = EcrStart(client.start)
            client.wait = EcrWait(client)
        return client

    def start_nothing(self) -> None:
        """Let the client, now or once it is made, start no container and no service any more."""
        self._killed = True

    def _is_left_over(self, docker_conn_id: str) -> bool:
        connection = self.get_connection(docker_conn_id)
        # Put together as DockerHook does for its login.
        registry = f"{connection.host}:{connection.port}" if connection.port else connection.host
        host = convert_to_hostname(registry or "")
        if self.registry and self.registry.host.lower() == host.lower():
            return True
        return EcrRegistry.parse(host) is not None
