"""The errors of this package. They only format messages: no input or output.

A message names the image or the parameter, says what happened, then what to do. It never contains a token.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from docker.errors import APIError

from ecr_docker_operator import hints
from ecr_docker_operator.compat import AirflowException

if TYPE_CHECKING:
    from collections.abc import Mapping


SHOWN, LONGEST = 300, 1000
"""Most characters of a value, and of somebody else's words, in a message."""
_READ = 4000
"""Most characters that are read of an answer: it may come from anybody, and reading it must not take long."""

_ANY_TEXT = re.IGNORECASE | re.DOTALL
_HTML = re.compile(r"<(?:!doctype|html|head|body|title|h[1-6]|div|p|center|pre)\b", re.IGNORECASE)


class EcrError(AirflowException):
    """Base class of all errors of this package."""


class EcrInputError(EcrError):
    """A parameter, an image name or the worker's Docker configuration is invalid; nothing was contacted."""

    @classmethod
    def docker_config(cls, path: str, answer: str) -> EcrInputError:
        """Return the error for the worker's ``config.json`` that docker-py cannot read.

        :param path: path of the file.
        :param answer: what docker-py says.
        """
        return cls(
            f"{path}: docker-py cannot read this file. {_sentence(answer)} Correct it, or delete it and run "
            "'docker login' again."
        )

    @classmethod
    def registry_id(cls, value: object) -> EcrInputError:
        """Return the error for a registry id that is not an AWS account id."""
        return cls(f"registry_id: expected an AWS account of 12 digits, such as '012345678901', got {_shown(value)}.")

    @classmethod
    def region_name(cls, value: object) -> EcrInputError:
        """Return the error for a region name that matches no AWS partition."""
        return cls(
            f"region_name: no AWS partition has a region like {_shown(value)}; expected one such as 'eu-west-1'."
        )

    @classmethod
    def image(cls, value: object) -> EcrInputError:
        """Return the error for a value that cannot be the name of an image in any registry."""
        return cls(f"image: expected a name such as 'repository:tag', got {_shown(value)}.")

    @classmethod
    def no_repository(cls, image: str) -> EcrInputError:
        """Return the error for an image that is only the host of a registry."""
        return cls(f"image: {_shown(image)} names a registry, but no repository in it; write '<host>/repository:tag'.")

    @classmethod
    def repository(cls, image: str, repository: str) -> EcrInputError:
        """Return the error for an image with an invalid repository name."""
        return cls(
            f"image: {_shown(image)} has the repository name {_shown(repository)}; expected up to 255 characters: "
            "lower-case letters and digits, with '.', '_', '__', '-' or '/' between them."
        )

    @classmethod
    def tag(cls, image: str, tag: str) -> EcrInputError:
        """Return the error for an image with an invalid tag."""
        return cls(
            f"image: {_shown(image)} has the tag {_shown(tag)}; expected 1 to 128 letters, digits, '_', '.' or '-', "
            "the first of them no '.' or '-'."
        )

    @classmethod
    def digest(cls, image: str, digest: str) -> EcrInputError:
        """Return the error for an image with an invalid digest."""
        return cls(
            f"image: {_shown(image)} has the digest {_shown(digest)}; expected 'sha256:' and 64 of the characters "
            "0 to 9 and a to f."
        )

    @classmethod
    def rendered_to_nothing(cls, name: str, value: object) -> EcrInputError:
        """Return the error for the template of parameter *name* that renders to nothing."""
        return cls(f"{name}: its template renders to {value!r}; correct the template or what it reads, or omit {name}.")

    @classmethod
    def aws_conn_id(cls, value: object) -> EcrInputError:
        """Return the error for an AWS connection that is not a name."""
        return cls(f"aws_conn_id: expected the name of an AWS connection, or None, got {_shown(value)}.")

    @classmethod
    def verify(cls, value: object) -> EcrInputError:
        """Return the error for a value of ``verify`` that is neither a flag nor a path."""
        return cls(f"verify: expected True, False or the path of a CA bundle, got {_shown(value)}.")

    @classmethod
    def scheme(cls, image: str) -> EcrInputError:
        """Return the error for an image written as a URL."""
        scheme, _, rest = image.partition("://")
        return cls(f"image: {image!r} starts with a scheme; omit '{scheme}://' and write {rest!r}.")

    @classmethod
    def other_registry_id(cls, image: str, registry: str, registry_id: str) -> EcrInputError:
        """Return the error for a registry id that contradicts the image's host.

        :param registry: description of the registry at that host.
        """
        return cls(
            f"registry_id: {registry_id!r} contradicts the image {image!r}, which is in {registry}; "
            "omit registry_id, or correct one of the two."
        )

    @classmethod
    def other_region_name(cls, image: str, registry: str, region_name: str) -> EcrInputError:
        """Return the error for a region that contradicts the image's host.

        :param registry: description of the registry at that host.
        """
        return cls(
            f"region_name: {region_name!r} contradicts the image {image!r}, which is in {registry}; "
            "omit region_name, or correct one of the two."
        )

    @classmethod
    def no_region(cls, image: str, registry_id: str) -> EcrInputError:
        """Return the error for a registry id without a region."""
        return cls(
            f"region_name: the region of the image {image!r} in account {registry_id} is not known; "
            "set region_name, or a region in the AWS connection or in AWS_DEFAULT_REGION."
        )

    @classmethod
    def no_default_region(cls, identity: str, answer: str) -> EcrInputError:
        """Return the error for a default region that cannot be looked up.

        :param identity: description of the AWS identity whose default was looked up.
        """
        return cls(f"region_name: the default region of {identity} could not be looked up. {_sentence(answer)} Set it.")

    @classmethod
    def bad_alias(cls, registry_host: object) -> EcrInputError:
        """Return the error for an alias that is not a host, or is an Amazon ECR host itself."""
        return cls(
            "registry_host: expected the host, with its port if it has one, of a registry that is not Amazon ECR's by "
            f"its name, such as 'registry.example.com:5000', got {_shown(registry_host)}."
        )

    @classmethod
    def incomplete_alias(cls, registry_host: object) -> EcrInputError:
        """Return the error for an incomplete alias."""
        if not registry_host:
            return cls(
                "registry_host: registry_id and region_name say which registry that host stands for; set it, or "
                "omit them, because an image's own host names its registry."
            )
        return cls(f"registry_host: {registry_host!r} needs registry_id and region_name, to say which registry it is.")

    @classmethod
    def image_retention(cls, value: object) -> EcrInputError:
        """Return the error for a retention that is not a positive timedelta."""
        return cls(f"image_retention: expected a positive timedelta, such as timedelta(days=7), got {value!r}.")

    @classmethod
    def image_retention_of_swarm(cls) -> EcrInputError:
        """Return the error for ``image_retention`` on a Swarm, because the task cannot reach the nodes' engines."""
        return cls(
            "image_retention: the images of a Swarm are on its nodes, whose engines the task does not reach; "
            "omit image_retention, or set it to None."
        )

    @classmethod
    def tls_files(cls, answer: str) -> EcrInputError:
        """Return the error for engine TLS files that docker-py cannot find."""
        return cls(
            f"tls_ca_cert, tls_client_cert, tls_client_key: {_sentence(answer)} "
            "Check that the worker has files at these paths."
        )


class EcrTokenError(EcrError):
    """AWS did not return an authorization token."""

    @classmethod
    def refused(cls, registry: str, identity: str, answer: str, step: str) -> EcrTokenError:
        """Return the error for what AWS or botocore answered.

        :param registry: description of the registry.
        :param identity: description of the AWS identity that made the request.
        :param step: what to do.
        """
        return cls(f"{registry}: no authorization token for {identity}. {_sentence(answer)} {step}".rstrip())

    @classmethod
    def unreadable(cls, registry: str, identity: str) -> EcrTokenError:
        """Return the error for an answer without a valid token; for the parameters, see :meth:`refused`."""
        return cls.refused(registry, identity, hints.NO_TOKEN, hints.next_step(hints.AWS, hints.NO_TOKEN))

    def for_image(self, image: str) -> EcrTokenError:
        """Return the same error, with the name of the image in front."""
        return type(self)(f"{image}: not pulled. {self}")


class EcrPullError(EcrError):
    """The engine could not pull an image from Amazon ECR."""

    token_refused = False
    """Whether the registry refused the token although its identity may pull the image. A new token may help."""

    @classmethod
    def refused(cls, image: str, registry: str, identity: str, answer: str, step: str) -> EcrPullError:
        """Return the error for an answer of AWS or of the engine.

        :param registry: description of the registry.
        :param identity: description of the AWS identity whose token was used.
        :param step: what to do.
        """
        return cls(f"{image}: not pulled from {registry} for {identity}. {_sentence(answer)} {step}".rstrip())


class EcrEngineError(EcrError):
    """The Docker engine cannot be reached, the connection was lost, or something else answered."""

    other_answer: str | None = None
    """What something else than a Docker engine answered."""

    @classmethod
    def not_connected(cls, answers: Mapping[str, str], *, untried: bool = False) -> EcrEngineError:
        """Return the error for a failed connection to all engines that were tried.

        :param answers: URL of each engine that was tried, and its answer.
        :param untried: whether some URLs were not tried.
        """
        sentences = [
            f"{url}: not connected to the Docker engine. {_sentence(answer)} "
            f"{hints.next_step(hints.ENGINE, answer)}".rstrip()
            for url, answer in answers.items()
        ]
        if untried:
            sentences.append("The next URL of docker_url was not tried.")
        return cls(" ".join(sentences))

    @classmethod
    def lost(cls, url: str, answer: str) -> EcrEngineError:
        """Return the error for an engine that disconnected or stopped answering."""
        step = hints.next_step(hints.LOST, answer)
        return cls(f"{url}: the connection to the Docker engine was lost. {_sentence(answer)} {step}")

    @classmethod
    def not_docker(cls, url: str, answer: str) -> EcrEngineError:
        """Return the error for an answer that did not come from a Docker engine."""
        error = cls(
            f"{url}: something else than a Docker engine answered. {_sentence(answer)} "
            "Check what is between the worker and the engine, such as a proxy, and whether it allows the request."
        )
        error.other_answer = _sentence(answer)
        return error

    def for_image(self, image: str) -> EcrEngineError:
        """Return the same error, with the name of the image in front."""
        error = type(self)(f"{image}: not pulled. {self}")
        error.other_answer = self.other_answer
        return error


class EcrStartError(EcrError, APIError):
    """The engine could not create or start the container; also an ``APIError``, which DockerOperator raises."""

    @classmethod
    def refused(cls, image: str, error: APIError) -> EcrStartError:
        """Return the error for what the engine answered."""
        answer = str(error.explanation or error)
        step = hints.next_step(hints.START, answer)
        sentence = f"{image}: the container was not started. {_sentence(answer)} {step}".rstrip()
        return cls(sentence, error.response, error.explanation)

    def __str__(self) -> str:
        # APIError.__str__ would add the HTTP status and the engine's URL.
        return str(self.args[0])


class EcrKilledError(EcrError):
    """The task was killed before its container started."""

    def __init__(self, message: str = "The task was killed before its container started.") -> None:
        super().__init__(message)


class EcrUpstreamError(EcrError):
    """The installed docker-py lacks a part that this package needs."""

    @classmethod
    def moved(cls, part: str, installed: str) -> EcrUpstreamError:
        """Return the error for a part that the *installed* version of docker-py does not have."""
        return cls(
            f"docker {installed} no longer has {part}, which this package needs to log in. "
            "Upgrade ecr-docker-operator, or install an earlier docker."
        )


def container_killed(image: str, *, out_of_memory: bool, limit: int) -> str:
    """Return why a container was killed.

    :param limit: memory limit of the container in bytes; 0 means no limit.
    """
    killed = f"{image}: the container was killed (exit code 137)"
    if not out_of_memory:
        return f"{killed}; the engine does not report that it was out of memory. Find out who stopped it."
    if limit:
        return f"{killed}: it was out of memory, at its limit of {limit / 2**20:g} MiB. Raise mem_limit."
    return f"{killed}: its host was out of memory. Give the host more, or the container a mem_limit."


def other_platform(image: str, image_platform: str, engine_platform: str) -> str:
    """Return why a container failed with an exec format error."""
    return (
        f"{image}: the image is for {image_platform}, and the engine runs {engine_platform}, where its programs end "
        f"with 'exec format error' unless they are emulated. Push an image for {engine_platform}, too."
    )


def printable(text: str) -> str:
    """Return *text* with control characters escaped, so that it cannot forge log lines or control a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def _without_html(text: str) -> str:
    """Return the title of a page of HTML, else its first words; other text is unchanged."""
    text = text[:_READ]
    if not _HTML.search(text):
        return _cut(text, LONGEST)
    title = re.search(r"<title[^>]*>(.*?)</title", text, _ANY_TEXT)
    words = re.sub(r"<(script|style)\b.*?</\1\s*>|<[^>]*>?", " ", (title and title[1].strip()) or text, flags=_ANY_TEXT)
    shown = _cut(" ".join(html.unescape(words).split()), SHOWN)
    before = _cut(text.partition("<")[0].rstrip(' "'), LONGEST)
    return f"{before} a page of HTML: {shown or 'without words'}".strip()


def _shown(value: object) -> str:
    return _cut(repr(value), SHOWN)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length].rstrip()}…"


def _sentence(text: str) -> str:
    text = printable(_without_html(text).strip())
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
