"""The steps of the check; nothing is pulled.

The steps run in the same order and with the same code as a task, so the first error is the one the task would raise.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from docker.errors import APIError, DockerException

from ecr_docker_operator.aws.manifest import ask_about_image
from ecr_docker_operator.aws.token import EcrCredentials, fetch_credentials
from ecr_docker_operator.compat import DAG
from ecr_docker_operator.ecr.reference import split_image
from ecr_docker_operator.engine.connection import EngineUrls, is_readable, odd_answers_explained
from ecr_docker_operator.engine.container import ARCHITECTURES, COMPATIBLE
from ecr_docker_operator.engine.pull import ImageRequest
from ecr_docker_operator.errors import EcrEngineError, EcrInputError, EcrPullError, EcrTokenError, other_platform
from ecr_docker_operator.hints import NO_CONFIGURATION, NO_PLATFORM
from ecr_docker_operator.operator import EcrDockerOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ecr_docker_operator.ecr.registry import EcrRegistry
    from ecr_docker_operator.engine.client import EcrClient
    from ecr_docker_operator.hook import EcrDockerHook

NOT_FOUND = 404


@dataclass(frozen=True)
class Step:
    """The result of one step."""

    name: str
    ok: bool | None
    """``None``: the step was skipped or could not be determined; the task may succeed."""
    text: str
    """The result, the error the task would raise, or why the result is not known."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The result for ``--json``; values must be JSON types."""
    wrong_usage: bool = False
    """Whether it failed because the parameters cannot be right, wherever the check runs."""


def run(image: str, **parameters: Any) -> Iterator[Step]:
    """Yield the steps, up to the first that fails.

    :param image: image of a task.
    :param parameters: other parameters of :class:`EcrDockerOperator`.
    """
    check = _Check(image, parameters)
    steps: tuple[Callable[[], Step], ...] = (
        check.image,
        check.engine,
        check.identity,
        check.token,
        check.registry,
        check.digest,
        check.architecture,
    )
    for step in steps:
        try:
            with check.odd_answers_explained():
                done = step()
        except Exception as error:  # noqa: BLE001 - the task would fail with any error
            wrong = isinstance(error, EcrInputError) or (step == check.engine and not check.engine_is_named_well)
            done = Step(step.__name__, ok=False, text=str(error) or repr(error), wrong_usage=wrong)
        yield done
        if done.ok is False:
            return


def connect(**parameters: Any) -> EcrClient:
    """Return the client of an engine, as a task would connect to it.

    :param parameters: parameters of :class:`EcrDockerOperator` that name an engine.
    :raises EcrEngineError: if the engine is not reached.
    """
    dag = DAG("check", schedule=None)
    return EcrDockerOperator(task_id="check", image="check", dag=dag, **parameters).hook.get_conn()


class _Check:
    """The steps for one image; each uses the results of the previous ones."""

    def __init__(self, image: str, parameters: Mapping[str, Any]) -> None:
        self._image = image
        self._parameters = parameters
        self._client: EcrClient = cast("EcrClient", None)
        self._missing: Exception | None = None
        self._found: dict[str, Any] | None = None

    def odd_answers_explained(self) -> AbstractContextManager[None]:
        """Replace errors of Python's for odd answers of the engine; see there."""
        return odd_answers_explained(self._client.engine_url) if self._client else nullcontext()

    @property
    def engine_is_named_well(self) -> bool:
        """Whether docker-py can read the engine's URL."""
        return all(map(is_readable, EngineUrls.of(self._parameters.get("docker_url"))))

    def image(self) -> Step:
        """Find the image's full name and registry."""
        task = EcrDockerOperator(
            task_id="check", image=self._image, dag=DAG("check", schedule=None), **self._parameters
        )
        self._hook: EcrDockerHook = task.hook
        self._image = task.image
        registry = self._ecr = self._hook.registry
        where = "not on Amazon ECR, so the pull is DockerOperator's"
        facts: dict[str, str | None] = {"image": self._image}
        if registry:
            where = f"{registry}, partition {registry.partition}"
            facts |= {
                "registry_id": registry.registry_id,
                "region_name": registry.region_name,
                "partition": registry.partition,
            }
        return Step("image", ok=True, text=f"{self._image}: {where}", facts=facts)

    def engine(self) -> Step:
        """Connect to the engine, the first thing a task does."""
        self._client = self._hook.get_conn()
        with self.odd_answers_explained():
            self._version: dict[str, Any] = self._client.version()  # type: ignore[no-untyped-call]
            url, version, runs = self._client.engine_url, self._version["Version"], "/".join(self._runs)
        facts = {"url": url, "version": version, "platform": runs}
        return Step("engine", ok=True, text=f"{url}: version {version}, {runs}", facts=facts)

    def identity(self) -> Step:
        """Find the ARN of the AWS identity."""
        if self._ecr is None:
            return Step("identity", ok=None, text="not needed: the image is not on Amazon ECR")
        identity = self._hook.identity
        try:
            arn = identity.arn(self._ecr)
        except Exception as error:  # noqa: BLE001 - a task does not need the ARN
            # If there is no token either, that error is the one to show.
            _ = self._credentials
            return Step("identity", ok=None, text=f"not known: {error}")
        return Step("identity", ok=True, text=f"{arn}, by {identity.describe()}", facts={"arn": arn})

    def token(self) -> Step:
        """Request a token from AWS."""
        if self._ecr is None:
            return Step("token", ok=None, text="not needed: the image is not on Amazon ECR")
        if self._credentials is None:
            return Step("token", ok=None, text=f"none, which ECR Public allows at a lower rate: {self._no_token}")
        until = self._credentials.expires_at
        text, facts = f"for {self._ecr}", {}
        if until:
            text += f", until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            facts["expires_at"] = until.astimezone(UTC).isoformat(timespec="seconds")
        return Step("token", ok=True, text=text, facts=facts)

    def registry(self) -> Step:
        """Let the engine request the image from the registry, because the engine must be able to reach it."""
        has_token = self._credentials is not None
        try:
            self._found = self._ask()
        except EcrEngineError as error:
            if error.other_answer is None:
                raise
            text = (
                "not known: the engine does not ask the registry, which Podman cannot do and a proxy may forbid. "
                f"{error.other_answer}"
            )
            return Step("registry", ok=None, text=text)
        except (EcrPullError, APIError) as error:
            if _status(error) != NOT_FOUND:
                raise
            self._missing = error
        host, _ = split_image(self._image)
        text = "accepts the token" if has_token else "answers"
        return Step("registry", ok=True, text=f"{host or 'Docker Hub'} {text}")

    def digest(self) -> Step:
        """Find the image in its repository."""
        if self._missing:
            raise self._missing
        if self._found is None:
            return self._ask_aws()
        digest = self._found["Descriptor"]["digest"]
        return Step("digest", ok=True, text=digest, facts={"digest": digest})

    def _ask_aws(self) -> Step:
        # AWS knows the image and the permissions, so what fails in the task fails here, too.
        answer = ask_about_image(self._image, self._ecr, self._hook.identity) if self._ecr else None
        if answer and answer.refusal:
            raise self._request().refused_by_aws(answer.refusal)
        text = "not known: the registry was not asked"
        return Step("digest", ok=None, text=f"{text}, but AWS gives the image to this identity" if answer else text)

    def architecture(self) -> Step:
        """Compare the image's platform with the engine's."""
        if self._found is None:
            return Step("architecture", ok=None, text="not known: the registry was not asked")
        made_for = [(platform["os"], platform["architecture"]) for platform in self._found.get("Platforms") or []]
        runs = "/".join(self._runs)
        facts = {"platforms": ["/".join(platform) for platform in made_for]}
        if any(map(self._fits, made_for)):
            return Step("architecture", ok=True, text=runs, facts=facts)
        if not made_for:
            return self._unknown_platform(self._found["Descriptor"]["mediaType"], facts)
        if self._found["Descriptor"]["mediaType"].endswith((".list.v2+json", ".index.v1+json")):
            raise self._not_pulled(NO_PLATFORM)
        [(system, architecture)] = made_for
        if system != self._runs[0] and not self._client.uses_containerd_store:
            raise self._not_pulled(NO_PLATFORM)
        if not ARCHITECTURES.issuperset((architecture, self._runs[1])):
            text = f"not known: the image is for {architecture or 'nothing that it names'}, and the engine runs {runs}"
            return Step("architecture", ok=None, text=text, facts=facts)
        text = other_platform(self._image, f"{system}/{architecture}", runs)
        # With containerd's image store, the engine also pulls and starts images for another system.
        return Step("architecture", ok=None if system != self._runs[0] else False, text=text, facts=facts)

    def _unknown_platform(self, kind: str, facts: Mapping[str, Any]) -> Step:
        # The engine reads the configuration only of Docker's own manifest type, so there it must have failed to.
        if kind == "application/vnd.docker.distribution.manifest.v2+json":
            raise self._not_pulled(NO_CONFIGURATION)
        text = "not known: the engine does not say for which platform the image is"
        return Step("architecture", ok=None, text=text, facts=facts)

    @property
    def _runs(self) -> tuple[str, str]:
        return self._version["Os"], self._version["Arch"]

    def _fits(self, made_for: tuple[str, str]) -> bool:
        (system, architecture), (engine_system, engine) = made_for, self._runs
        return system == engine_system and (architecture == engine or (architecture, engine) in COMPATIBLE)

    @cached_property
    def _credentials(self) -> EcrCredentials | None:
        if self._ecr is None:
            return None
        try:
            return fetch_credentials(self._ecr, self._hook.identity)
        except EcrTokenError as error:
            if self._ecr.registry_id:
                raise error.for_image(self._image) from error.__cause__
            self._no_token = str(error)
            return None

    def _ask(self) -> dict[str, Any]:
        found: dict[str, Any] = self._request().send(self._inspect) if self._ecr else self._inspect()
        return found

    def _inspect(self) -> dict[str, Any]:
        credentials = self._credentials
        # A second attempt must request a new token.
        del self._credentials
        # {}: no login, because there is no token. None: the worker's own login, for other registries.
        login = credentials.auth_config if credentials else {} if self._ecr else None
        found: dict[str, Any] = self._client.inspect_distribution(self._image, login)
        return found

    def _request(self) -> ImageRequest:
        return ImageRequest(self._image, cast("EcrRegistry", self._ecr), self._hook.identity, self._client.engine_url)

    def _not_pulled(self, answer: str) -> Exception:
        if self._ecr is None:
            return DockerException(f"{self._image}: {answer}.")
        return self._request().refused(answer)


def _status(error: Exception) -> int | None:
    cause = error if isinstance(error, APIError) else error.__cause__
    return cause.status_code if isinstance(cause, APIError) else None
