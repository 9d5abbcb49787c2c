"""Asks AWS, and the engine if there is one, about images: a few calls for each repository. Nothing is pulled."""

from __future__ import annotations

import re
import threading
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import cached_property, partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from docker.errors import APIError

from ecr_docker_operator import hints
from ecr_docker_operator.aws.manifest import ask_about_images, cache_prefixes
from ecr_docker_operator.aws.token import fetch_credentials
from ecr_docker_operator.check.dags import LATER, PULLED, REFUSED, UNKNOWN
from ecr_docker_operator.ecr.reference import repository_of, split_image
from ecr_docker_operator.engine.container import ARCHITECTURES, COMPATIBLE
from ecr_docker_operator.errors import EcrPullError, other_platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ecr_docker_operator.aws.identity import AwsIdentity
    from ecr_docker_operator.check.dags import Image
    from ecr_docker_operator.ecr.registry import EcrRegistry

CALLS = 8
"""Most calls to AWS at the same time."""

_NO_REPOSITORY = "(RepositoryNotFoundException)"
_ROOT = "ROOT"


@dataclass(eq=False)
class Login:
    """One identity at one registry."""

    registry: EcrRegistry
    identity: AwsIdentity
    repositories: dict[str, list[Image]] = field(default_factory=dict)
    ok: bool | None = None
    """Whether it gets a token; ``None`` for Amazon ECR Public, where it is not asked."""
    text: str = ""
    """Why it gets none."""
    without_repository: list[Image] = field(default_factory=list)

    @cached_property
    def name(self) -> str:
        """The identity, and whether its AWS connection exists."""
        return self.identity.describe()

    @property
    def images(self) -> list[Image]:
        """All its images."""
        return [image for images in self.repositories.values() for image in images]

    def ask_for_token(self) -> None:
        """Request a token, and drop it."""
        try:
            fetch_credentials(self.registry, self.identity)
            self._client = self.identity.client(self.registry)
            _ = self.name
            self.ok = True
        except Exception as error:  # noqa: BLE001 - a task would fail with any error
            self.ok, self.text = False, str(error) or repr(error)
            for image in self.images:
                image.set(REFUSED, self.text)

    def ask_about(self, images: Sequence[Image]) -> None:
        """Ask about the images of one repository."""
        try:
            answers = ask_about_images(self._client, self.registry, [image.name for image in images])
        except Exception as error:  # noqa: BLE001 - the others may be answered
            text = f"{self.registry}: AWS gave no answer about its images to {self.name}. {error}"
            for image in images:
                image.set(UNKNOWN, text)
            return
        for image in images:
            image.answer = answer = answers[image.name]
            if _NO_REPOSITORY in answer.refusal:
                self.without_repository.append(image)
            elif answer.refusal:
                self._refuse(image, REFUSED)
            else:
                image.set(PULLED)

    def ask_for_caches(self) -> None:
        """Find out which missing repositories the first pull creates."""
        try:
            prefixes = cache_prefixes(self._client, self.registry)
        except Exception:  # noqa: BLE001 - not allowed for most identities
            for image in self.without_repository:
                self._refuse(image, UNKNOWN)
            return
        for image in self.without_repository:
            repository = repository_of(split_image(image.name)[1])
            prefix = next((each for each in prefixes if each == _ROOT or repository.startswith(f"{each}/")), None)
            if prefix is None:
                self._refuse(image, REFUSED)
                continue
            text = (
                f"{image.name}: not pulled yet through the pull-through cache {prefix!r}. The first pull, by tag, "
                "creates the repository, for which ecr:BatchImportUpstreamImage and ecr:CreateRepository have to be "
                "allowed."
            )
            image.set(UNKNOWN, text, f"{self.registry} {prefix}")

    def _refuse(self, image: Image, state: str) -> None:
        refusal = image.answer.refusal if image.answer else ""
        step = hints.next_step(hints.IMAGE, refusal, **self.registry.hint_names) or hints.UNEXPLAINED
        text = str(EcrPullError.refused(image.name, str(self.registry), self.name, refusal, step))
        code = re.search(r"\(\w+\)$", refusal)
        image.set(state, text, f"{self.registry} {self.name} {code[0] if code else refusal}")


def ask_aws(images: Iterable[Image], progress: Callable[[int, int], None]) -> list[Login]:
    """Ask AWS about *images*, set their states, and return the identities that asked, each with its registry.

    One token for each; one or two BatchGetImage calls and one GetDownloadUrlForLayer call for each repository; one
    DescribePullThroughCacheRules call for each registry that lacks a repository.

    :param progress: called with the number of questions that are answered, and of all.
    """
    logins: dict[tuple[str, ...], Login] = {}
    for image in images:
        if (registry := image.registry) is None or (identity := image.identity) is None:
            continue
        if registry.registry_id is None:
            image.set(UNKNOWN, f"{registry}: not asked, because it answers no questions about images. Anyone may pull.")
            continue
        # Different host names of a registry lead to the same repositories.
        key = (registry.registry_id, registry.region_name, str(registry.fips), str(vars(identity)))
        login = logins.setdefault(key, Login(registry, identity))
        login.repositories.setdefault(repository_of(split_image(image.name)[1]), []).append(image)
    asking = _Asking(progress, len(logins) + sum(len(login.repositories) for login in logins.values()))
    asking.ask([login.ask_for_token for login in logins.values()])
    able = [login for login in logins.values() if login.ok]
    asking.ask([partial(login.ask_about, images) for login in able for images in login.repositories.values()])
    asking.ask([login.ask_for_caches for login in able if login.without_repository])
    return list(logins.values())


class _Asking:
    def __init__(self, progress: Callable[[int, int], None], total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def ask(self, questions: Sequence[Callable[[], None]]) -> None:
        for _ in _at_once(questions):
            self._done += 1
            self._progress(self._done, max(self._total, self._done))


def _at_once(questions: Sequence[Callable[[], None]]) -> Iterator[None]:
    """Ask *questions*, :data:`CALLS` at a time, and yield after each; errors are raised here."""
    waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()
    done: SimpleQueue[BaseException | None] = SimpleQueue()
    for question in questions:
        waiting.put(question)

    def work() -> None:
        while True:
            try:
                question = waiting.get_nowait()
            except Empty:
                return
            try:
                question()
                done.put(None)
            except BaseException as error:  # noqa: BLE001 - raised below
                done.put(error)

    for _ in range(min(CALLS, len(questions))):
        # Not a ThreadPoolExecutor: the end of the process would wait for its calls, also after an interrupt.
        threading.Thread(target=copy_context().run, args=(work,), daemon=True).start()
    for _ in questions:
        if error := done.get():
            raise error
        yield


class EngineQuestions:
    """Asks an engine which images it has, and whether they fit its platform.

    :param client: client of the engine.
    :raises EcrEngineError: if the engine is not reached.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        version = client.version()
        self._runs = (version["Os"], version["Arch"])
        self.facts = {"url": client.engine_url, "version": version["Version"], "platform": "/".join(self._runs)}
        self._names: set[str] = set()
        for image in client.images():
            self._names.update(image.get("RepoTags") or (), image.get("RepoDigests") or ())

    def ask(self, images: Iterable[Image]) -> None:
        """Find out which of *images* are on the engine; one that fits no platform cannot be pulled."""
        for image in images:
            if image.state == LATER:
                continue
            name = _local_name(image.name)
            image.on_engine = name in self._names
            if image.on_engine:
                self._compare_present(image, name)
            elif image.state == PULLED and image.answer and (platforms := image.answer.platforms):
                self._compare(image, platforms)

    def _compare_present(self, image: Image, name: str) -> None:
        try:
            found = self._client.inspect_image(name)
        except APIError:  # removed by now
            return
        made_for = (found.get("Os", ""), found.get("Architecture", ""))
        if image.state == PULLED and self._is_misfit(made_for):
            runs = "/".join(self._runs)
            image.set(REFUSED, other_platform(image.name, "/".join(made_for), runs), f"platform {made_for}")

    def _compare(self, image: Image, platforms: Sequence[str]) -> None:
        if all(self._is_misfit((platform.split("/")[0], platform.split("/")[1])) for platform in platforms):
            registry, identity = str(image.registry), image.identity.describe() if image.identity else ""
            answer = hints.NO_PLATFORM
            step = hints.next_step(hints.REGISTRY, answer)
            text = str(EcrPullError.refused(image.name, registry, identity, answer, step))
            image.set(REFUSED, text, f"platform {platforms}")

    def _is_misfit(self, made_for: tuple[str, str]) -> bool:
        (system, architecture), (engine_system, engine) = made_for, self._runs
        if not ARCHITECTURES.issuperset((architecture, engine)):
            return False
        return system != engine_system or (architecture != engine and (architecture, engine) not in COMPATIBLE)


def _local_name(image: str) -> str:
    repository = repository_of(image)
    _, _, digest = image.partition("@")
    if digest:
        return f"{repository}@{digest}"
    return image if image != repository else f"{image}:latest"
