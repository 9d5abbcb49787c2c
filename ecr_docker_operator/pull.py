"""A pull that fails says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from docker.errors import APIError

from ecr_docker_operator.errors import EcrPullError, EcrTokenError
from ecr_docker_operator.image import split_image

if TYPE_CHECKING:
    from ecr_docker_operator.registry import EcrRegistry


class EcrPull:
    """docker-py's ``APIClient.pull``, except that a pull from Amazon ECR raises what went wrong with it.

    The engine reports what goes wrong after its first byte as an ``error`` item inside a successful answer
    (Docker Engine API, "Create an image"); docker-py passes it on and DockerOperator passes over it. Pulls
    from other registries, and all other attributes of the method, are docker-py's.

    :param pull: the client's own method.
    :param find_registry: tells the registry of Amazon ECR that a host stands for; ``None`` if another's.
    """

    def __init__(self, pull: Callable[..., Any], find_registry: Callable[[str | None], EcrRegistry | None]) -> None:
        self._pull = pull
        self._find_registry = find_registry

    def __getattr__(self, name: str) -> Any:
        if name == "_pull":  # while being copied, there is none yet
            raise AttributeError(name)
        return getattr(self._pull, name)

    def __call__(self, repository: str, *args: Any, **kwargs: Any) -> Any:
        """Pull *repository*; parameters and result are those of ``APIClient.pull``.

        :raises EcrTokenError: if AWS gives no token.
        :raises EcrPullError: if the engine reports an error; with ``stream=True``, while the stream is read.
        """
        host, _ = split_image(repository)
        registry = self._find_registry(host)
        if registry is None:
            return self._pull(repository, *args, **kwargs)
        with _explained(repository, registry):
            answer = self._pull(repository, *args, **kwargs)
        if isinstance(answer, Iterator):
            return _checked(answer, repository, registry)
        if isinstance(answer, str):
            for line in answer.splitlines():
                _check(line, repository, registry)
        return answer


def _checked(items: Iterator[Any], image: str, registry: EcrRegistry) -> Iterator[Any]:
    rest = b""
    for item in items:
        if isinstance(item, bytes):
            *lines, rest = (rest + item).split(b"\n")
            for line in lines:
                _check(line, image, registry)
        else:
            _check(item, image, registry)
        yield item
    _check(rest, image, registry)


def _check(item: Any, image: str, registry: EcrRegistry) -> None:
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
        raise EcrPullError.from_engine(image, registry, str(answer))


@contextmanager
def _explained(image: str, registry: EcrRegistry) -> Iterator[None]:
    try:
        yield
    except EcrTokenError as error:
        raise error.for_image(image) from error.__cause__
    except APIError as error:
        raise EcrPullError.from_engine(image, registry, error.explanation or str(error)) from error
