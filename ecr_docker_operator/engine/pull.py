"""Requests for images in Amazon ECR, with errors that name the image and the next step."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from docker.errors import APIError

from ecr_docker_operator import hints
from ecr_docker_operator.aws.token import collection_paused
from ecr_docker_operator.engine.connection import lost_connection_explained, odd_answers_explained
from ecr_docker_operator.engine.logins import logins_removed_from_errors
from ecr_docker_operator.errors import EcrEngineError, EcrPullError, EcrTokenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecr_docker_operator.aws.identity import AwsIdentity
    from ecr_docker_operator.ecr.registry import EcrRegistry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageRequest:
    """A request to the engine for an image in Amazon ECR.

    :param image: name of the image.
    :param registry: registry of the image.
    :param identity: AWS identity of the token.
    :param engine_url: URL of the engine.
    """

    image: str
    registry: EcrRegistry
    identity: AwsIdentity
    engine_url: str

    def send(self, request: Callable[[], Any]) -> Any:
        """Return the answer of *request*; if the registry refuses the token, send the request once more.

        A token may expire during a long pull. If the answer is an iterator, this also covers errors while it is read.
        """
        try:
            answer = request()
        except EcrPullError as error:
            return self._send_again(request, error)
        return self._renewed(request, answer) if isinstance(answer, Iterator) else answer

    def pull(self, request: Callable[[], Any]) -> Any:
        """Return the answer of one pull, or an iterator of its items, and check each item for an error.

        Once the answer has started, the engine reports an error as an ``error`` item inside it (Docker Engine API,
        "Create an image"). docker-py passes it on, and DockerOperator ignores it. If the answer is an iterator, errors
        may also be raised while it is read.

        :raises EcrTokenError: if AWS returns no token.
        :raises EcrPullError: if the engine reports an error.
        :raises EcrEngineError: if the connection to the engine is lost.
        """
        with self.errors_explained(), collection_paused:
            answer = request()
            if isinstance(answer, str):
                for line in answer.splitlines():
                    self._check(line)
        return self._checked(answer) if isinstance(answer, Iterator) else answer

    @contextmanager
    def errors_explained(self) -> Iterator[None]:
        """Replace errors of AWS and of the engine with ones that name the image and contain no login."""
        with logins_removed_from_errors():
            try:
                with odd_answers_explained(self.engine_url):
                    yield
            except (EcrTokenError, EcrEngineError) as error:
                raise error.for_image(self.image) from error.__cause__
            except APIError as error:
                raise self.refused(str(error.explanation or error)) from error

    def refused(self, answer: str) -> EcrPullError:
        """Return the error for the engine's *answer*; if the registry refused the image, ask AWS why."""
        names = self.registry.hint_names
        if any(words in answer for words in hints.OTHER_PLATFORM):
            answer = hints.NO_PLATFORM
        step = hints.next_step(hints.REGISTRY, answer, **names)
        if step or not hints.REFUSAL.search(answer):
            return self._refused(answer, step)
        log.debug("%s: the engine says: %s", self.image, answer)
        # Not at the top: parsing a DAG must not pay for it.
        from ecr_docker_operator.aws.manifest import ask_about_image  # noqa: PLC0415

        found = ask_about_image(self.image, self.registry, self.identity)
        token_refused = not found.refusal if found else hints.TOKEN_EXPIRED in answer.lower()
        if found:
            answer = found.refusal or (hints.LAYER_REFUSED if "/blobs/" in answer else hints.TOKEN_REFUSED)
        error = self.refused_by_aws(answer)
        error.token_refused = token_refused
        return error

    def refused_by_aws(self, answer: str) -> EcrPullError:
        """Return the error for AWS's *answer* about the image."""
        step = hints.next_step(hints.IMAGE, answer, **self.registry.hint_names)
        return self._refused(answer, step or hints.UNEXPLAINED)

    def _refused(self, answer: str, step: str) -> EcrPullError:
        return EcrPullError.refused(self.image, str(self.registry), self.identity.describe(), answer, step)

    def _send_again(self, request: Callable[[], Any], error: EcrPullError) -> Any:
        if not error.token_refused:
            raise error
        log.warning("%s: the registry refused the token; trying once more with a new one.", self.image)
        return request()

    def _renewed(self, request: Callable[[], Any], items: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from items
        except EcrPullError as error:
            yield from self._send_again(request, error)

    def _checked(self, items: Iterator[Any]) -> Iterator[Any]:
        rest = b""
        with self.errors_explained(), lost_connection_explained(self.engine_url):
            for item in items:
                if isinstance(item, bytes):
                    *lines, rest = (rest + item).split(b"\n")
                    for line in lines:
                        self._check(line)
                else:
                    self._check(item)
                yield item
            self._check(rest)

    def _check(self, item: Any) -> None:
        if isinstance(item, str | bytes) and item.strip():
            item = json.loads(item)
        if not isinstance(item, dict):
            return
        # "error" is deprecated in favour of "errorDetail" (Docker Engine API, "Create an image").
        detail = item.get("errorDetail")
        answer = (detail.get("message") if isinstance(detail, dict) else detail) or item.get("error")
        if answer:
            raise self.refused(str(answer))
