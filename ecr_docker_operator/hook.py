"""DockerHook with a client that logs in to Amazon ECR at each pull."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.docker.hooks.docker import DockerHook
from docker.auth import convert_to_hostname

from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.compat import is_missing_connection
from ecr_docker_operator.ecr.reference import find_alias
from ecr_docker_operator.ecr.registry import EcrRegistry
from ecr_docker_operator.engine.client import EcrClient
from ecr_docker_operator.engine.connection import EngineUrls, RefusalLog
from ecr_docker_operator.engine.logins import UNREADABLE, check_upstream, docker_config_left_out
from ecr_docker_operator.errors import EcrInputError

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from docker.api.client import APIClient


class EcrDockerHook(DockerHook):
    """
    Interact with a Docker engine that pulls from Amazon ECR.

    The client requests an authorization token for each request that needs one: to pull an image, to create a Swarm
    service, or to inspect an image in its registry.

    :param docker_conn_id: Docker connection for another registry. A connection for Amazon ECR is not used, and can be
        deleted. Default: ``None``.
    :param aws_conn_id: AWS connection that requests the token. ``None``: boto3's default credential chain on the
        worker. Default: ``aws_default``, or that chain if the connection does not exist.
    :param registry_host: host (and port) of an alias or proxy for a private registry. Requires ``registry_id`` and
        ``region_name``.
    :param registry_id: AWS account that owns the registry at ``registry_host``, 12 digits.
    :param region_name: region of the registry at ``registry_host``.
    :param verify: whether to verify the TLS certificate of AWS, or the path of a CA bundle to verify it with.
        Default: ``None``, the setting of the AWS connection, else boto3's.
    :param botocore_config: configuration of the botocore client that requests the token; see
        ``botocore.config.Config``.

    All other parameters are those of DockerHook.

    :raises EcrInputError: if ``registry_host``, ``registry_id`` and ``region_name`` do not identify a registry.
    :raises EcrEngineError: when the client is created, if it cannot connect to an engine.
    :raises EcrUpstreamError: when the client is created, if the installed docker-py is not supported.
    """

    registry: EcrRegistry | None
    """Registry of the task's image; for a hook in one's own code, that of the alias."""
    alias: EcrRegistry | None
    """Registry behind ``registry_host``."""
    _refusals: RefusalLog | None = None
    for_operator = False
    """Whether DockerOperator logs the items of the client's streams."""
    records_pull_times = False
    """Whether to make the engine record when it pulls an image."""
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
        self.engine_urls = EngineUrls.of(base_url)
        super().__init__(docker_conn_id, self.engine_urls, *args, **kwargs)
        self.identity = AwsIdentity(aws_conn_id, verify, botocore_config)
        if registry_host is None and (registry_id is not None or region_name is not None):
            raise EcrInputError.incomplete_alias(registry_host)
        self.registry = self.alias = find_alias(registry_host, registry_id, region_name)

    @classmethod
    def from_docker_hook(
        cls,
        hook: DockerHook,
        *,
        identity: AwsIdentity,
        registry: EcrRegistry | None = None,
        alias: EcrRegistry | None = None,
        engine_urls: EngineUrls,
        for_operator: bool = False,
        records_pull_times: bool = False,
    ) -> EcrDockerHook:
        """Turn *hook* into an EcrDockerHook, in place, and return it.

        The client of *hook* must not exist yet. A subclass of DockerHook keeps its overrides.

        :param identity: AWS identity that requests tokens.
        :param registry: registry of the task's image, also behind an alias; ``None`` if it is not in Amazon ECR.
        :param alias: registry behind a host that is not one of Amazon ECR's; ``None`` without an alias.
        :param engine_urls: engine URLs of *hook*.
        :param for_operator: whether DockerOperator logs the items of the client's streams.
        :param records_pull_times: whether to make the engine record when it pulls an image.
        """
        # In place, so that it keeps all settings from DockerOperator.
        theirs = type(hook)
        if theirs is DockerHook:
            hook.__class__ = cls
        elif not issubclass(theirs, cls):
            hook.__class__ = type(theirs.__name__, (cls, theirs), {"__module__": theirs.__module__})
        ours = cast("EcrDockerHook", hook)
        ours.identity = identity
        ours.registry = registry
        ours.alias = alias
        ours.engine_urls = engine_urls
        ours.for_operator = for_operator
        ours.records_pull_times = records_pull_times
        return ours

    def __getstate__(self) -> dict[str, Any]:
        # docker-py's client does not work after pickling; a copy creates its own.
        return {name: value for name, value in vars(self).items() if name != "api_client"}

    @property
    def log(self) -> Any:
        """Logger of the hook; while the hook connects, it also keeps the errors."""
        return self._refusals or super().log

    @cached_property
    def api_client(self) -> EcrClient:
        """Client that pulls from Amazon ECR, and has the login of ``docker_conn_id`` as in DockerHook (cached)."""
        if self.docker_conn_id and (warning := self._not_needed(self.docker_conn_id)):
            self.log.warning(warning, self.docker_conn_id)
            self.docker_conn_id = None
        # Before the client exists: it is cached, and would then be used without our logins.
        check_upstream()
        refusals = self._refusals = RefusalLog(super().log, self.engine_urls)

        def connect() -> APIClient:
            return refusals.connect(lambda: super(EcrDockerHook, self).api_client)

        try:
            client = connect()
        except UNREADABLE as error:
            with docker_config_left_out(error):
                client = connect()
        finally:
            self._refusals = None
        return EcrClient.from_api_client(
            client,
            identity=self.identity,
            alias=self.alias,
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
        """Prevent the client, which may not exist yet, from starting its next container or service.

        Has no effect if the container has already started, because the task may run again.
        """
        self._killed = not (self.client_created and self.api_client.started)

    def _take_kill(self) -> bool:
        killed, self._killed = self._killed, False
        return killed

    def _not_needed(self, docker_conn_id: str) -> str:
        """Return the warning for a connection that an image in Amazon ECR does not need; empty for others."""
        try:
            connection = self.get_connection(docker_conn_id)
        except Exception as error:
            if self.registry is None or not is_missing_connection(error):
                raise
            return (
                "Docker connection %r does not exist. An image in Amazon ECR needs none: drop docker_conn_id from the "
                "task."
            )
        if not is_for_ecr(connection, self.registry):
            return ""
        return (
            "Docker connection %r holds a login for Amazon ECR. It is not used, because every pull gets a fresh token: "
            "drop docker_conn_id from the task, then the connection can be deleted."
        )


def is_for_ecr(connection: Connection, registry: EcrRegistry | None = None) -> bool:
    """Return whether a Docker connection holds a login for Amazon ECR, or for *registry*, which may be an alias."""
    # The same name that DockerHook uses for its login.
    name = f"{connection.host}:{connection.port}" if connection.port else connection.host
    host = convert_to_hostname(name or "")
    if registry and registry.host.lower() == host.lower():
        return True
    return EcrRegistry.parse(host) is not None
