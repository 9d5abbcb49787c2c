"""Fetch an authorization token from AWS: one call, nothing kept."""

from __future__ import annotations

import base64
import binascii
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

from docker.auth import encode_header

from ecr_docker_operator.compat import AirflowNotFoundException, mask_secret
from ecr_docker_operator.errors import EcrInputError, EcrTokenError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from ecr_docker_operator.registry import EcrRegistry

DEFAULT_CONFIG: Mapping[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 15,
    "retries": {"mode": "standard", "total_max_attempts": 8},
}
"""How the token call waits, in seconds, and retries, unless the AWS connection or the user says otherwise.

Eight attempts have half a minute between the first and the last, 71 s at most. Where AWS answers 20 calls a second,
200 callers at the same moment need 6 of them, and 400 need 8; with 5, one in ten of 200 is left without a token. In
botocore's "adaptive" mode a client learns from its own calls, and here every call has a client of its own.
"""

USER_AGENT = "EcrDockerOperator"
"""What AWS's logs name as the caller, behind botocore's own words."""

MASKS = 30
"""How many secrets of one process are masked in Airflow's logs: those of its first 10 tokens, three forms each.

A task has a process of its own, and as a rule one token. Airflow never forgets a mask, though, and makes one expression
of all: after 50 tokens, the next one would take Airflow 3 two seconds and 400 MB, and Airflow 2 refuses the expression
when it is too large, which would be the end of the pull. Nothing logs a token in any case; masks are the second line.
"""

log = logging.getLogger(__name__)

_masks = count()


def _mask(secret: str) -> None:
    if next(_masks) < MASKS:
        mask_secret(secret)


@dataclass(frozen=True)
class AwsIdentity:
    """Whose AWS credentials ask for the token, and how; the parameters are the amazon provider's."""

    aws_conn_id: str | None = "aws_default"
    verify: bool | str | None = None
    botocore_config: dict[str, Any] | None = None

    def __str__(self) -> str:
        if self.aws_conn_id:
            return f"AWS connection {self.aws_conn_id!r}"
        return "the worker's own AWS credentials"

    def describe(self) -> str:
        """Return the same for an error, which also says if there is no such connection."""
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

        try:
            if self.aws_conn_id:
                AwsBaseHook.get_connection(self.aws_conn_id)
        except AirflowNotFoundException:
            return f"{self} (there is none, so the worker's own AWS credentials)"
        except Exception as error:  # noqa: BLE001 - what is to be told must not be lost for this
            log.debug("%s: not looked up: %r", self, error)
        return str(self)

    def default_region(self) -> str | None:
        """Return the region of the AWS connection, else boto3's default; ``None`` if there is neither.

        :raises EcrInputError: if they cannot be looked up, for instance in a profile that is not there.
        """
        import boto3
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

        try:
            hook = AwsBaseHook(aws_conn_id=self.aws_conn_id, client_type="ecr")
            return hook.region_name or boto3.session.Session().region_name
        except Exception as error:  # botocore's, and what is wrong with a connection may be anything
            raise EcrInputError.no_default_region(self, error) from error

    def arn(self, registry: EcrRegistry) -> str:
        """Return as whom AWS knows the caller; takes no permission (AWS STS API Reference, GetCallerIdentity).

        No pull needs to know, so there are no more than two tries.

        :param registry: says in which region AWS is asked.
        """
        client = self._client(registry, "sts", retries={"mode": "standard", "total_max_attempts": 2})
        return str(client.get_caller_identity()["Arn"])

    def client(self, registry: EcrRegistry) -> Any:
        """Return a boto3 client for the API that issues the registry's tokens."""
        return self._client(registry, registry.service)

    def _client(self, registry: EcrRegistry, service: str, **options: Any) -> Any:
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
        from botocore.config import Config

        from ecr_docker_operator.loader import ModelLoader

        hook = AwsBaseHook(
            aws_conn_id=self.aws_conn_id,
            client_type=service,
            region_name=registry.region_name,
            verify=self.verify,
            config=self.botocore_config,
        )
        connection = hook.conn_config
        # What the hook has is also what its calls to AWS STS wait and retry by.
        connection.botocore_config = config = Config(**DEFAULT_CONFIG).merge(hook.config).merge(Config(**options))
        if registry.fips:
            config = config.merge(Config(use_fips_endpoint=True))
        session = hook.get_session()
        ModelLoader.install(session)
        # Not get_client_type: to name the caller to AWS, it looks through the whole stack twice, which takes
        # as long as all the rest.
        return session.client(
            service,
            endpoint_url=connection.get_service_endpoint_url(service),
            config=config.merge(Config(user_agent_extra=f"{USER_AGENT} {config.user_agent_extra or ''}".rstrip())),
            verify=hook.verify,
        )


@dataclass(frozen=True)
class EcrCredentials:
    """A login for one registry; its secrets are masked in Airflow's logs from birth, as far as :data:`MASKS` goes."""

    serveraddress: str
    username: str
    password: str = field(repr=False)
    expires_at: datetime | None = field(default=None, repr=False)
    """When the token dies, as AWS says."""

    def __post_init__(self) -> None:
        _mask(self.password)
        _mask(encode_header(self.auth_config).decode())

    def __reduce__(self) -> NoReturn:
        msg = "EcrCredentials are not to be pickled: they hold a token, which is kept nowhere."
        raise TypeError(msg)

    @property
    def auth_config(self) -> dict[str, str]:
        """The login as the ``X-Registry-Auth`` header carries it (Docker Engine API, "Authentication")."""
        return {
            "username": self.username,
            "password": self.password,
            "serveraddress": self.serveraddress,
        }


def fetch_credentials(registry: EcrRegistry, identity: AwsIdentity) -> EcrCredentials:
    """Return a login for *registry*, valid for about 12 hours, by one GetAuthorizationToken call.

    ``registryIds`` is not sent: AWS deprecated it, and a token opens every registry that its identity may
    read (Amazon ECR API Reference, GetAuthorizationToken).

    :raises EcrTokenError: if AWS gives none; the message names the registry, the identity and a next step.
    """
    login = _decode(_ask(registry, identity))
    if login is None:
        # Not where it failed: an error takes along what its functions know, and that is pieces of a token.
        raise EcrTokenError.unreadable(registry, identity)
    return EcrCredentials(registry.host, *login)


def _ask(registry: EcrRegistry, identity: AwsIdentity) -> dict[str, Any]:
    try:
        with _quiet_parser():
            answer = identity.client(registry).get_authorization_token()
    except Exception as error:  # not only botocore's: bad settings are ValueError, TypeError, NotImplementedError
        raise EcrTokenError.from_aws(registry, identity, error) from error
    data: Any = answer.get("authorizationData") or {}
    # A list from ECR, a single object from ECR Public.
    return dict(data[0] if isinstance(data, list) else data)


def _decode(data: dict[str, Any]) -> tuple[str, str, datetime | None] | None:
    token = data.get("authorizationToken") or ""
    if token:
        _mask(token)
    try:
        login = base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    username, _, password = login.partition(":")
    return (username, password, data.get("expiresAt")) if username and password else None


@contextmanager
def _quiet_parser() -> Iterator[None]:
    # At DEBUG this logger prints the whole answer, token included, before anyone could mask it.
    logger = logging.getLogger("botocore.parsers")
    thread = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != thread or record.levelno > logging.DEBUG

    logger.addFilter(elsewhere)
    try:
        yield
    finally:
        logger.removeFilter(elsewhere)
