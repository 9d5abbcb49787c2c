"""An AWS identity: the clients, region and ARN of an AWS connection of the amazon provider."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ecr_docker_operator import hints
from ecr_docker_operator.aws.calls import call, longest_call, readable, within
from ecr_docker_operator.compat import is_missing_connection, require
from ecr_docker_operator.ecr.registry import find_partition
from ecr_docker_operator.errors import EcrInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    from ecr_docker_operator.ecr.registry import EcrRegistry

DEFAULT_CONFIG: Mapping[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 15,
    "retries": {"mode": "standard", "total_max_attempts": 8},
}
"""Time-outs (in seconds) and retries of a call; the AWS connection and ``botocore_config`` override them.

Eight attempts usually span half a minute, and 71 s at most. If AWS allows 20 calls a second, 200 simultaneous callers
need 6 attempts, and 400 need 8; with 5, one in ten of 200 gets no token. botocore's "adaptive" mode would not help: a
client learns from its own earlier calls, and here each call has a new client.
"""

USER_AGENT = "EcrDockerOperator"
"""Added to botocore's user agent, to identify the caller in AWS's logs."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AwsIdentity:
    """An AWS identity and the settings for calling AWS; the parameters are those of the amazon provider.

    :param aws_conn_id: AWS connection. ``None``: boto3's default credential chain.
    :param verify: whether to verify AWS's TLS certificate, or the path of a CA bundle to verify it with.
    :param botocore_config: configuration of the botocore client.
    :raises EcrInputError: if a value has another type.
    """

    aws_conn_id: str | None = "aws_default"
    verify: bool | str | None = None
    botocore_config: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.aws_conn_id, str | None):
            raise EcrInputError.aws_conn_id(self.aws_conn_id)
        # An empty path would turn verification off.
        if not isinstance(self.verify, bool | str | None) or (isinstance(self.verify, str) and not self.verify.strip()):
            raise EcrInputError.verify(self.verify)

    def __str__(self) -> str:
        if self.aws_conn_id:
            return f"AWS connection {self.aws_conn_id!r}"
        return "the worker's own AWS credentials"

    def describe(self) -> str:
        """Return the description for an error message, which also says if the connection does not exist."""
        try:
            if self.aws_conn_id:
                _base_hook().get_connection(self.aws_conn_id)
        except Exception as error:  # noqa: BLE001 - must not hide the error that is being reported
            if is_missing_connection(error):
                return f"{self} (not found, so the worker's own AWS credentials)"
            log.debug("%s: not looked up: %r", self, error)
        return str(self)

    def default_region(self) -> str | None:
        """Return the region of the AWS connection, else boto3's default; ``None`` if neither is set.

        :raises EcrInputError: if the lookup fails, for instance because a profile does not exist.
        """
        try:
            hook = _base_hook()(aws_conn_id=self.aws_conn_id, client_type="ecr")
            import boto3

            return hook.region_name or boto3.session.Session().region_name
        except Exception as error:  # botocore's errors, and a broken connection may raise anything
            raise EcrInputError.no_default_region(str(self), str(error)) from error

    def arn(self, registry: EcrRegistry) -> str:
        """Return the ARN of the caller; needs no permission (AWS STS API Reference, GetCallerIdentity).

        At most two attempts, because a pull does not need it.

        :param registry: registry that sets the region of the call.
        """
        client = self._client(registry, "sts", retries={"mode": "standard", "total_max_attempts": 2})
        return str(call(client.get_caller_identity)["Arn"])

    def client(self, registry: EcrRegistry, **options: Any) -> Any:
        """Return a boto3 client of the service that issues the registry's tokens.

        :param options: options of ``botocore.config.Config``; they override the user's.
        """
        return self._client(registry, registry.service, **options)

    def _client(self, registry: EcrRegistry, service: str, **options: Any) -> Any:
        return readable(lambda: self._make_client(registry, service, **options), hints.UNREADABLE_SETTINGS)

    def _make_client(self, registry: EcrRegistry, service: str, **options: Any) -> Any:
        from botocore.config import Config

        from ecr_docker_operator.aws.model_loader import ModelLoader

        hook = _base_hook()(
            aws_conn_id=self.aws_conn_id,
            client_type=service,
            region_name=registry.region_name,
            verify=self.verify,
            config=self.botocore_config,
        )
        connection = hook.conn_config
        # The hook uses it for its own calls to AWS STS.
        connection.botocore_config = config = Config(**DEFAULT_CONFIG).merge(hook.config).merge(Config(**options))
        if registry.fips:
            config = config.merge(Config(use_fips_endpoint=True))
        # With a role, it calls AWS STS.
        session = within(longest_call(config), hook.get_session)
        ModelLoader.install(session)
        # Not get_client_type: it inspects the whole stack twice to name the caller, which doubles the time of a
        # login.
        client = session.client(
            service,
            endpoint_url=connection.get_service_endpoint_url(service),
            config=config.merge(Config(user_agent_extra=f"{USER_AGENT} {config.user_agent_extra or ''}".rstrip())),
            verify=hook.verify,
        )
        _check_partition(client, registry.region_name)
        return client


def _check_partition(client: Any, region_name: str) -> None:
    from botocore.exceptions import UnknownRegionError

    partition = find_partition(region_name)
    # botocore takes a region that it does not know for a commercial one; with an endpoint of yours, that is no matter.
    if (
        partition is not None
        and partition.name != client.meta.partition
        and client.meta.endpoint_url.endswith(f".{region_name}.amazonaws.com")
    ):
        raise UnknownRegionError(region_name=region_name, error_msg="The installed boto3 does not know it.")


def _base_hook() -> type[AwsBaseHook]:
    require("airflow.providers.amazon")
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    return AwsBaseHook
