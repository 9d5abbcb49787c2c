"""Fetches an authorization token from AWS with one call, and does not store it."""

from __future__ import annotations

import base64
import gc
import logging
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

from docker.auth import encode_header

from ecr_docker_operator import hints
from ecr_docker_operator.aws.calls import call
from ecr_docker_operator.compat import mask_secret
from ecr_docker_operator.errors import EcrTokenError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ecr_docker_operator.aws.identity import AwsIdentity
    from ecr_docker_operator.ecr.registry import EcrRegistry

MASKS = 30
"""How many secrets per process are masked in Airflow's logs: three forms of each of the first 10 tokens.

A task has its own process, and usually one token. Airflow never removes a mask, and compiles all masks into one regular
expression: after 50 tokens, the next one takes Airflow 3 two seconds and 400 MB, and in Airflow 2 the expression is too
large and the pull fails. Masks are only a second line of defence: this package never logs a token.
"""

_masks = count()


@dataclass(frozen=True)
class EcrCredentials:
    """A login for one registry; its secrets are masked in Airflow's logs, up to :data:`MASKS`."""

    serveraddress: str
    username: str
    password: str = field(repr=False)
    expires_at: datetime | None = field(default=None, repr=False)
    """When the token expires, according to AWS."""

    def __post_init__(self) -> None:
        _mask(self.password)
        _mask(encode_header(self.auth_config).decode())

    def __reduce__(self) -> NoReturn:
        msg = "EcrCredentials cannot be pickled: they hold a token, which is kept nowhere."
        raise TypeError(msg)

    @property
    def auth_config(self) -> dict[str, str]:
        """The content of the ``X-Registry-Auth`` header (Docker Engine API, "Authentication")."""
        return {
            "username": self.username,
            "password": self.password,
            "serveraddress": self.serveraddress,
        }


def fetch_credentials(registry: EcrRegistry, identity: AwsIdentity) -> EcrCredentials:
    """Return a login for *registry*, valid for 12 hours, with one GetAuthorizationToken call.

    ``registryIds`` is not sent: AWS deprecated it, and a token gives access to every registry that its identity may
    read (Amazon ECR API Reference, GetAuthorizationToken).

    :raises EcrTokenError: if AWS returns no token; the message names the registry, the identity and the next step.
    """
    login = _decode(_get_authorization_token(registry, identity))
    if login is None:
        # Not raised in _decode: an error keeps the variables of its frames, and there they hold parts of a token.
        raise EcrTokenError.unreadable(str(registry), identity.describe())
    return EcrCredentials(registry.host, *login)


def _get_authorization_token(registry: EcrRegistry, identity: AwsIdentity) -> dict[str, Any]:
    try:
        with quiet_parser():
            answer = call(identity.client(registry).get_authorization_token)
    except Exception as error:  # of botocore, Airflow and the system, UnreadableError, and TimeoutError
        words = _words(error)
        step = hints.next_step(hints.AWS, f"{words} HTTP status {_status(error)}", **_hint_names(registry))
        raise EcrTokenError.refused(str(registry), identity.describe(), words, step) from error
    data = answer.get("authorizationData")
    # ECR returns a list, ECR Public a single object.
    if isinstance(data, list) and data:
        data = data[0]
    # A server other than AWS may answer anything.
    return data if isinstance(data, dict) else {}


def _words(error: Exception) -> str:
    # botocore's message does not include the cause.
    if "resolve" in str(getattr(error, "kwargs", {}).get("error", "")).lower():
        return f"{error} (the name was not resolved)"
    return str(error)


def _status(error: Exception) -> int:
    response = getattr(error, "response", None)
    return int(response["ResponseMetadata"]["HTTPStatusCode"]) if isinstance(response, dict) else 0


def _hint_names(registry: EcrRegistry) -> dict[str, str]:
    actions = f"{registry.service}:GetAuthorizationToken"
    if registry.registry_id is None:
        actions += " and sts:GetServiceBearerToken"
    return {"actions": actions, **registry.hint_names}


def _decode(data: dict[str, Any]) -> tuple[str, str, datetime | None] | None:
    token = data.get("authorizationToken")
    if not token or not isinstance(token, str):
        return None
    _mask(token)
    try:
        login = base64.b64decode(token, validate=True).decode()
    except ValueError:  # not base64, not ASCII, or not UTF-8 inside
        return None
    username, _, password = login.partition(":")
    return (username, password, data.get("expiresAt")) if username and password else None


def _mask(secret: str) -> None:
    if next(_masks) < MASKS:
        mask_secret(secret)


class _QuietThreads(threading.local):
    """Drops a thread's DEBUG records from botocore's parser: they contain the whole answer, with the token."""

    quiet = False

    def filter(self, record: logging.LogRecord) -> bool:
        return not self.quiet or record.levelno > logging.DEBUG


# One permanent filter: adding and removing filters while other threads log would let records through.
_parser_threads = _QuietThreads()
logging.getLogger("botocore.parsers").addFilter(_parser_threads.filter)


@contextmanager
def quiet_parser() -> Iterator[None]:
    """Keep botocore from logging AWS's answers to this thread at DEBUG."""
    _parser_threads.quiet = True
    try:
        yield
    finally:
        _parser_threads.quiet = False


class _CollectionPause:
    """Turns Python's garbage collection off while any thread is inside, unless it is off already.

    Importing boto3 triggers collections that scan all of Airflow's objects. They take as long as the rest of the login,
    and can run later, while the engine pulls.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._was_on = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._was_on = gc.isenabled()
                gc.disable()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside = max(self._inside - 1, 0)
            self._restore()

    def restore_in_child(self) -> None:
        """Forget the threads of the parent process, which do not exist in a fork."""
        self._lock = threading.Lock()
        self._inside = 0
        self._restore()

    def _restore(self) -> None:
        if self._was_on and not self._inside:
            gc.enable()
            self._was_on = False


collection_paused = _CollectionPause()
os.register_at_fork(after_in_child=collection_paused.restore_in_child)
