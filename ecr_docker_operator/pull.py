"""A pull that fails says so."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from docker.errors import APIError

from ecr_docker_operator.auth import left_behind
from ecr_docker_operator.engine import not_lost
from ecr_docker_operator.errors import EcrEngineError, EcrPullError, EcrTokenError
from ecr_docker_operator.image import split_image
from ecr_docker_operator.method import ClientMethod
from ecr_docker_operator.progress import shown

if TYPE_CHECKING:
    from ecr_docker_operator.auth import EcrAuthConfig
    from ecr_docker_operator.registry import EcrRegistry

log = logging.getLogger(__name__)


class EcrPull(ClientMethod):
    """docker-py's ``APIClient.pull``, except that a pull from Amazon ECR raises what went wrong with it.

    The engine reports what goes wrong after its first byte as an ``error`` item inside a successful answer
    (Docker Engine API, "Create an image"); docker-py passes it on and DockerOperator passes over it. Pulls
    from other registries, and all other attributes of the method, are docker-py's.

    :param pull: the client's own method.
    :param logins: the client's logins.
    :param engine_url: where the engine is.
    :param for_log: whether the items of a stream are those that DockerOperator is to log, in place of the engine's.
    """

    def __init__(
        self, pull: Callable[..., Any], logins: EcrAuthConfig, engine_url: str, *, for_log: bool = False
    ) -> None:
        super().__init__(pull)
        self._logins = logins
        self._engine_url = engine_url
        self._for_log = for_log

    def __call__(self, repository: str, *args: Any, **kwargs: Any) -> Any:
        """Pull *repository*; parameters and result are those of ``APIClient.pull``.

        If the registry says that the token has expired, for instance because the pull took longer than the token
        lives, the pull is tried once more at once, with a new one.

        :raises EcrTokenError: if AWS gives no token.
        :raises EcrPullError: if the engine reports an error; with ``stream=True``, while the stream is read.
        :raises EcrEngineError: if the engine goes away; likewise.
        """
        host, _ = split_image(repository)
        registry = self._logins.registry(host)
        if registry is None:
            return self._method(repository, *args, **kwargs)
        pull = partial(self._method, repository, *args, **kwargs)
        if self._for_log and kwargs.get("stream") and kwargs.get("decode"):
            pull = partial(_while_collecting_nothing, pull)
            return shown(repository, _Pull(repository, registry, self._logins, self._engine_url, pull).answer)
        return _Pull(repository, registry, self._logins, self._engine_url, pull).answer()


def _while_collecting_nothing(request: Callable[[], Any]) -> Any:
    # What boto3 loads for the token makes Python look through all of Airflow's objects for garbage, which takes as
    # long as the rest of the login. There is time for it while the engine pulls.
    if not gc.isenabled():
        return request()
    gc.disable()
    try:
        return request()
    finally:
        gc.enable()


class _Pull:
    """One pull, with one more token in hand."""

    def __init__(
        self, image: str, registry: EcrRegistry, logins: EcrAuthConfig, engine_url: str, pull: Callable[[], Any]
    ) -> None:
        self._image, self._registry, self._logins, self._engine_url = image, registry, logins, engine_url
        self._pull = pull
        self._tokens_left = 1

    def answer(self) -> Any:
        """Return docker-py's answer, once it is free of errors; a stream, while it is."""
        try:
            with left_behind(), explained(self._image, self._registry, self._logins):
                answer = self._pull()
                if isinstance(answer, str):
                    for line in answer.splitlines():
                        self._check(line)
        except EcrPullError as error:
            self._renew(error)
            return self.answer()
        return self._checked(answer) if isinstance(answer, Iterator) else answer

    def _checked(self, items: Iterator[Any]) -> Iterator[Any]:
        rest = b""
        try:
            for item in self._connected(items):
                if isinstance(item, bytes):
                    *lines, rest = (rest + item).split(b"\n")
                    for line in lines:
                        self._check(line)
                else:
                    self._check(item)
                yield item
            self._check(rest)
        except EcrPullError as error:
            self._renew(error)
            yield from self.answer()

    def _connected(self, items: Iterator[Any]) -> Iterator[Any]:
        with left_behind(), explained(self._image, self._registry, self._logins), not_lost(self._engine_url):
            yield from items

    def _check(self, item: Any) -> None:
        if isinstance(item, str | bytes):
            try:
                item = json.loads(item)
            except ValueError:
                return
        if not isinstance(item, dict):
            return
        # "error" is deprecated in favour of "errorDetail" (Docker Engine API, "Create an image").
        answer = (item.get("errorDetail") or {}).get("message") or item.get("error")
        if answer:
            raise EcrPullError.from_engine(self._image, self._registry, self._logins.identity, str(answer))

    def _renew(self, error: EcrPullError) -> None:
        if not self._tokens_left:
            raise error
        self._tokens_left -= 1
        check_renewable(self._image, error)


def check_renewable(image: str, error: EcrPullError) -> None:
    """Raise *error* again, unless the registry says with it that the token has expired: then a new one may do."""
    if not error.token_expired:
        raise error
    log.warning("%s: the registry says that the token has expired; trying once more with a new one.", image)


@contextmanager
def explained(image: str, registry: EcrRegistry, logins: EcrAuthConfig) -> Iterator[None]:
    """Turn what goes wrong inside, with AWS or at the engine, into an error that names *image* and *registry*."""
    try:
        yield
    except EcrTokenError as error:
        raise error.for_image(image) from error.__cause__
    except EcrEngineError as error:
        raise error.for_image(image) from error.__cause__
    except APIError as error:
        answer = error.explanation or str(error)
        raise EcrPullError.from_engine(image, registry, logins.identity, answer) from error
