"""How docker-py is made to ask us for a login, at the moment it builds the request that needs one."""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from docker.api.client import APIClient
from docker.auth import AuthConfig, load_config

from ecr_docker_operator.credentials import fetch_credentials
from ecr_docker_operator.errors import EcrTokenError, EcrUpstreamError
from ecr_docker_operator.registry import EcrRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecr_docker_operator.credentials import AwsIdentity

log = logging.getLogger(__name__)

# Whose login for which host, while one is held; each thread has its own.
_held: ContextVar[tuple[EcrAuthConfig, str, dict[str, str] | None] | None] = ContextVar("_held", default=None)


class EcrAuthConfig(AuthConfig):
    """The worker's own registry logins, except that hosts of Amazon ECR get a fresh one on each request.

    docker-py asks once for every pull, push, service and inspection of a registry's image, and not for containers.

    :param worker: the logins that docker-py found on the worker; they answer for all other hosts.
    :param identity: whose AWS credentials ask for tokens.
    :param alias: a registry whose host is not one of Amazon ECR's by its name.
    :param credstore_env: environment of the worker's credential helpers, as docker-py's client has it.
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
        """``False``: docker-py replaces a configuration that calls itself empty."""
        return False

    def registry(self, host: str | None) -> EcrRegistry | None:
        """Return the registry of Amazon ECR that *host* stands for; ``None`` if it is another's."""
        if not host:
            return None
        if self.alias and host.lower() == self.alias.host.lower():
            return self.alias
        return EcrRegistry.parse(host)

    @contextmanager
    def one_login(self, host: str) -> Iterator[None]:
        """Ask for the login for *host*, answer with it alone to the requests made inside, and forget it.

        :raises EcrTokenError: if AWS gives no token for a private registry.
        """
        before = _held.set((self, host, self.resolve_authconfig(host)))
        try:
            yield
        finally:
            _held.reset(before)

    def resolve_authconfig(self, registry: str | None = None) -> dict[str, str] | None:
        """Return the login for the host *registry*; ``None`` is an anonymous request.

        :raises EcrTokenError: if AWS gives no token for a private registry.
        """
        held = _held.get()
        if held and held[0] is self and held[1] == registry:
            return held[2]
        ecr = self.registry(registry)
        if ecr is None:
            if super().is_empty:
                self.update(load_config(credstore_env=self.credstore_env))
            found: dict[str, str] | None = super().resolve_authconfig(registry)  # type: ignore[no-untyped-call]
            return found
        log.info("%s: asking for an authorization token with %s", ecr, self.identity)
        try:
            return fetch_credentials(ecr, self.identity).auth_config
        except EcrTokenError as error:
            if ecr.registry_id:
                raise
            # Not the worker's login instead: a stale one would break what works anonymously.
            log.warning("%s Going on without a login, which ECR Public allows at a lower rate.", error)
            return None


def check_upstream() -> None:
    """Check that docker-py keeps its logins where :func:`install` puts ours.

    :raises EcrUpstreamError: if it does not.
    """
    # Asked of the class: an attribute put where docker-py never looks would mean anonymous pulls.
    if "_auth_configs" not in APIClient.__attrs__:
        part = "APIClient._auth_configs"
        raise EcrUpstreamError.moved(part, version("docker"))


def install(client: APIClient, identity: AwsIdentity, alias: EcrRegistry | None) -> EcrAuthConfig:
    """Make *client* resolve its logins through an :class:`EcrAuthConfig`, and return that.

    :raises EcrUpstreamError: if docker-py no longer keeps its logins where this puts them.
    """
    check_upstream()
    logins = EcrAuthConfig(
        getattr(client, "_auth_configs", {}),
        identity=identity,
        alias=alias,
        credstore_env=getattr(client, "credstore_env", None),
    )
    client._auth_configs = logins  # noqa: SLF001 - guarded above, and by a contract test
    load = client.reload_config

    def reload_config(*args: Any, **kwargs: Any) -> None:
        load(*args, **kwargs)  # type: ignore[no-untyped-call] # which puts the worker's logins in the place of ours
        logins.clear()
        logins.update(client._auth_configs)  # noqa: SLF001
        client._auth_configs = logins  # noqa: SLF001

    client.reload_config = reload_config  # type: ignore[method-assign]
    return logins


@contextmanager
def left_behind() -> Iterator[None]:
    """Let no error that leaves the block take a login along, neither in its frames' variables nor in its request."""
    try:
        yield
    except BaseException as error:
        _strip(error)
        raise


def _strip(first: BaseException) -> None:
    # Reporters of errors send the variables of all frames, and whoever pickles an error of requests', its request.
    errors = [first]
    for error in errors:
        traceback.clear_frames(error.__traceback__)
        for holder in (error, getattr(error, "response", None)):
            request = getattr(holder, "request", None)
            if request is not None:
                request.headers.pop("X-Registry-Auth", None)
        # Both, for the one that is not shown is kept, too.
        errors += [before for before in (error.__cause__, error.__context__) if before and before not in errors]
