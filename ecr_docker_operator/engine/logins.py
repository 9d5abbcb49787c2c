"""The logins of docker-py's client: fresh ones for Amazon ECR, the worker's own for other registries."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from docker.api.client import APIClient
from docker.auth import AuthConfig, load_config
from docker.errors import InvalidConfigFile
from docker.utils.config import find_config_file

from ecr_docker_operator.aws.token import fetch_credentials
from ecr_docker_operator.ecr.reference import find_registry, split_image
from ecr_docker_operator.errors import EcrInputError, EcrTokenError, EcrUpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecr_docker_operator.aws.identity import AwsIdentity
    from ecr_docker_operator.ecr.registry import EcrRegistry

log = logging.getLogger(__name__)

UNREADABLE = (InvalidConfigFile, ValueError, TypeError, AttributeError, KeyError)
"""What docker-py raises for a ``config.json`` with other types, or other contents, than it expects."""
_config_left_out = threading.Lock()

# The login that is held, and its host; separate for each thread.
_held: ContextVar[tuple[EcrAuthConfig, str, dict[str, str] | None] | None] = ContextVar("_held", default=None)


class EcrAuthConfig(AuthConfig):
    """The worker's own registry logins, except that each request to Amazon ECR gets a fresh login.

    docker-py looks up a login once for each pull, push, service, and inspection of an image in its registry, but not
    for containers.

    :param worker: logins that docker-py found on the worker, for all other hosts.
    :param identity: AWS identity that requests tokens.
    :param alias: Amazon ECR registry behind a host that is not one of Amazon ECR's.
    :param credstore_env: environment for the worker's credential helpers, from docker-py's client.
    """

    def __init__(
        self,
        worker: dict[str, Any],
        *,
        identity: AwsIdentity,
        alias: EcrRegistry | None = None,
        credstore_env: dict[str, str] | None = None,
    ) -> None:
        super().__init__(dict(worker), credstore_env=credstore_env)  # type: ignore[no-untyped-call]
        self.identity = identity
        self.alias = alias
        self.credstore_env = credstore_env

    @property
    def is_empty(self) -> bool:
        """Always ``False``, because docker-py replaces an empty configuration."""
        return False

    def find_registry(self, host: str | None) -> EcrRegistry | None:
        """Return the Amazon ECR registry at *host*; ``None`` for other hosts."""
        return find_registry(host, self.alias)

    def find_registry_of(self, image: str) -> EcrRegistry | None:
        """Return the Amazon ECR registry of *image*; ``None`` for other images."""
        return self.find_registry(split_image(image)[0])

    def reload(self, worker: dict[str, Any]) -> None:
        """Replace the worker's own logins."""
        self.clear()
        self.update(worker)

    @contextmanager
    def hold_login(self, host: str) -> Iterator[None]:
        """Fetch a login for *host*, use it for all requests inside the block, then forget it.

        :raises EcrTokenError: if AWS returns no token for a private registry.
        """
        before = _held.set((self, host, self.resolve_authconfig(host)))
        try:
            yield
        finally:
            _held.reset(before)

    def resolve_authconfig(self, registry: str | None = None) -> dict[str, str] | None:
        """Return the login for the host *registry*; ``None`` for an anonymous request.

        :raises EcrTokenError: if AWS returns no token for a private registry.
        """
        held = _held.get()
        if held and held[0] is self and held[1] == registry:
            return held[2]
        ecr = self.find_registry(registry)
        if ecr is None:
            if super().is_empty:
                self.update(self._load_config())
            found: dict[str, str] | None = super().resolve_authconfig(registry)  # type: ignore[no-untyped-call]
            return found
        log.info("%s: asking for an authorization token with %s", ecr, self.identity)
        try:
            return fetch_credentials(ecr, self.identity).auth_config
        except EcrTokenError as error:
            if ecr.registry_id:
                raise
            # Do not fall back to the worker's own login: an expired one would fail, but an anonymous pull works.
            log.warning("%s Going on without a login, which ECR Public allows at a lower rate.", error)
            return None

    def _load_config(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = load_config(credstore_env=self.credstore_env)
        except UNREADABLE as error:
            raise EcrInputError.docker_config(str(find_config_file()), str(error)) from error
        return found


@contextmanager
def docker_config_left_out(error: Exception) -> Iterator[None]:
    """Make docker-py find an empty ``config.json`` inside the block, which tries again what failed with *error*.

    An image in Amazon ECR needs nothing of the worker's file. One block runs at a time in a process.

    :raises Exception: *error*, if the worker has no such file.
    """
    file = find_config_file()
    if file is None:
        raise error
    # docker-py reads the file while it makes a client, and finds it by this variable alone.
    with _config_left_out, TemporaryDirectory() as directory:
        before = os.environ.get("DOCKER_CONFIG")
        (Path(directory) / "config.json").write_text("{}")
        os.environ["DOCKER_CONFIG"] = directory
        try:
            yield
        finally:
            del os.environ["DOCKER_CONFIG"]
            if before is not None:
                os.environ["DOCKER_CONFIG"] = before
    log.warning("%s Going on without that file.", EcrInputError.docker_config(file, str(error)))


def check_upstream() -> None:
    """Check that docker-py keeps a client's logins in ``_auth_configs``.

    :raises EcrUpstreamError: if it does not.
    """
    # If docker-py did not read this attribute, every pull would be anonymous.
    if "_auth_configs" not in APIClient.__attrs__:
        part = "APIClient._auth_configs"
        raise EcrUpstreamError.moved(part, version("docker"))


@contextmanager
def logins_removed_from_errors() -> Iterator[None]:
    """Remove logins from errors that leave the block: from the variables of their frames, and from their requests."""
    # An error that is already being handled belongs to the caller, and so do its frames.
    foreign = sys.exception()
    try:
        yield
    except BaseException as error:
        _remove_logins(error, foreign)
        raise


def _remove_logins(first: BaseException, foreign: BaseException | None) -> None:
    # Error reporters send the variables of all frames, and a pickled error of requests includes its request.
    errors = [first]
    known = {id(first), id(foreign)}
    for error in errors:
        traceback.clear_frames(error.__traceback__)
        for holder in (error, getattr(error, "response", None)):
            request = getattr(holder, "request", None)
            if request is not None:
                request.headers.pop("X-Registry-Auth", None)
        # Both, because an error also keeps the one that its traceback does not show.
        for before in (error.__cause__, error.__context__):
            if before and id(before) not in known:
                known.add(id(before))
                errors.append(before)
