"""DockerHook whose client logs in to Amazon ECR by itself, at each pull."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

from airflow.providers.docker.hooks.docker import DockerHook
from docker.auth import convert_to_hostname

from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.ecr.reference import validate
from ecr_docker_operator.ecr.registry import EcrRegistry
from ecr_docker_operator.engine.client import EcrClient
from ecr_docker_operator.engine.connection import RefusalLog
from ecr_docker_operator.engine.logins import check_upstream
from ecr_docker_operator.errors import EcrInputError


class EcrDockerHook(DockerHook):
    """
    Interact with a Docker engine that pulls from Amazon ECR.

    The client of this hook asks AWS for an authorization token each time a request needs one:
    a pull, the creation of a Swarm service, the inspection of an image in its registry.

    :param docker_conn_id: Docker connection for another registry. One for Amazon ECR is
        not used, and can be deleted. Default: none.
    :param aws_conn_id: AWS connection whose identity asks for the token. ``None``: boto3's own credential
        chain on the worker. Default: ``aws_default``, which is that chain where no such connection exists.
    :param registry_host: host (and port) that stands for a private registry, for instance
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

    _refusals: RefusalLog | None = None
    for_operator = False
    """Whether DockerOperator logs what the client's streams yield."""
    records_pull_times = False
    """Whether the engine is made to record when it pulls an image."""
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
                raise EcrInputError.incomplete_alias(registry_host or "")
            if "/" in registry_host or EcrRegistry.parse(registry_host):
                raise EcrInputError.bad_alias(registry_host)
            validate(None, registry_id, region_name)
            self.registry = EcrRegistry.private(registry_id, region_name, host=registry_host)

    @classmethod
    def from_docker_hook(
        cls,
        hook: DockerHook,
        *,
        identity: AwsIdentity,
        registry: EcrRegistry | None = None,
        engine_urls: str | list[str],
        for_operator: bool = False,
        records_pull_times: bool = False,
    ) -> EcrDockerHook:
        """Turn *hook*, whose client does not exist yet, into one that pulls from Amazon ECR, in place, and return it.

        A hook of another class than DockerHook keeps its overrides: its class becomes the second base.

        :param registry: registry of the task's image, whatever its host; ``None`` if it is not on Amazon ECR.
        :param engine_urls: those of *hook*.
        :param for_operator: whether DockerOperator logs what the client's streams yield.
        :param records_pull_times: whether the engine is made to record when it pulls an image.
        """
        # In place, so that it reaches the engine by exactly what DockerOperator gave it.
        theirs = type(hook)
        if theirs is DockerHook:
            hook.__class__ = cls
        elif not issubclass(theirs, cls):
            hook.__class__ = type(theirs.__name__, (cls, theirs), {"__module__": theirs.__module__})
        ours = cast("EcrDockerHook", hook)
        ours.identity = identity
        ours.registry = registry
        ours.engine_urls = engine_urls
        ours.for_operator = for_operator
        ours.records_pull_times = records_pull_times
        return ours

    def __getstate__(self) -> dict[str, Any]:
        # docker-py's client does not work once it was pickled; a copy makes its own.
        return {name: value for name, value in vars(self).items() if name != "api_client"}

    @property
    def log(self) -> Any:
        """Logger of the hook; while it connects, one that keeps the reasons why it cannot."""
        return self._refusals or super().log

    @cached_property
    def api_client(self) -> EcrClient:
        """Client of the engine, made and logged in as DockerHook does, that pulls from Amazon ECR (cached)."""
        if self.docker_conn_id and self._is_for_ecr(self.docker_conn_id):
            self.log.warning(
                "Docker connection %r holds a login for Amazon ECR. It is not used, because every pull gets a "
                "fresh token: drop docker_conn_id from the task, then the connection can be deleted.",
                self.docker_conn_id,
            )
            self.docker_conn_id = None
        # Before there is a client, which would be found again without our logins.
        check_upstream()
        refusals = self._refusals = RefusalLog(super().log, self.engine_urls)
        try:
            with refusals.errors_explained():
                client = super().api_client
        finally:
            self._refusals = None
        return EcrClient.from_api_client(
            client,
            identity=self.identity,
            alias=self.registry,
            take_kill=self._take_kill,
            for_operator=self.for_operator,
            records_pull_times=self.records_pull_times,
        )

    @property
    def engine_url(self) -> str:
        """URL of the engine that the client is connected to."""
        return self.api_client.engine_url

    def get_conn(self) -> EcrClient:
        """Return the client; see :attr:`api_client`."""
        return cast("EcrClient", super().get_conn())

    def start_nothing(self) -> None:
        """Keep the client, which may not exist yet, from starting the next container or service.

        If the last one has started already, nothing is kept from starting: the task may run again.
        """
        self._killed = not (self.client_created and self.api_client.started)

    def _take_kill(self) -> bool:
        killed, self._killed = self._killed, False
        return killed

    def _is_for_ecr(self, docker_conn_id: str) -> bool:
        connection = self.get_connection(docker_conn_id)
        # As DockerHook names the registry for its login.
        registry = f"{connection.host}:{connection.port}" if connection.port else connection.host
        host = convert_to_hostname(registry or "")
        if self.registry and self.registry.host.lower() == host.lower():
            return True
        return EcrRegistry.parse(host) is not None
