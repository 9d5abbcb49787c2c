"""A case: something breaks, the task fails with one sentence, and the next try succeeds after the fix."""

from __future__ import annotations

import re
import uuid
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest

from ecr_docker_operator import EcrDockerOperator
from tests.stand.hosts import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.stand import Stand

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


class Scene:
    """A task on the stand and its surroundings; all changes are undone when the ``with`` block ends."""

    def __init__(self, stand: Stand, directory: Path) -> None:
        self.stand = stand
        self.directory = directory
        self.repository = f"case-{uuid.uuid4().hex}"
        self.image = f"{HOST}/{self.repository}:1"
        self.parameters: dict[str, Any] = {}
        self.words: dict[str, str] = {}
        """Values of additional words in braces."""
        self._environment = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        for name, value in self.stand.environment.items():
            self.set(name, value)
        return self

    def __exit__(self, *error: object) -> None:
        self._environment.undo()

    def set(self, name: str, value: str) -> None:
        """Set an environment variable of the worker."""
        self._environment.setenv(name, value)

    def unset(self, *names: str) -> None:
        """Remove environment variables of the worker."""
        for name in names:
            self._environment.delenv(name, raising=False)

    def take_keys(self) -> None:
        """Take the worker's access key away."""
        self.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

    def give_keys(self) -> None:
        """Give the worker its access key back."""
        self.set("AWS_ACCESS_KEY_ID", self.stand.worker.access_key)
        self.set("AWS_SECRET_ACCESS_KEY", self.stand.worker.secret_key)

    def push(self, **options: Any) -> str:
        """Put the task's image into its repository."""
        return self.stand.push(self.repository, **options)

    def run(self) -> Any:
        """Run the task in a new operator, as each try does."""
        return EcrDockerOperator(task_id="task", image=self.image, **self.parameters).execute({})


@dataclass(frozen=True)
class Case:
    """What breaks, and the error of a task while it is broken.

    :param name: of the case, as in its table row.
    :param says: the whole error message. The scene fills in words in braces: ``image``, ``registry``, ``user``, …;
        an asterisk stands for text that differs between runs or versions.
    :param breaks: breaks the scene until the ``with`` block ends.
    :param error: class of the error.
    :param parameters: of the operator.
    :param lasts_with_containerd: whether the next try fails, too, on an engine with containerd's image store.
    :param over_tls: whether the engine has to listen on a port, too, with TLS.
    """

    name: str
    says: str
    breaks: Callable[[Scene], AbstractContextManager[None]]
    error: type[Exception]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    lasts_with_containerd: bool = False
    over_tls: bool = False

    @contextmanager
    def broken(self, scene: Scene) -> Iterator[None]:
        """Make a task of *scene* fail with this error until the ``with`` block ends."""
        scene.parameters.update(self.parameters)
        broken = ExitStack()
        broken.enter_context(self.breaks(scene))
        try:
            yield
        finally:
            # Close without the exception, so that the fault is always fixed.
            broken.close()
            # Only a fault needs short time-outs, and a busy machine may exceed them without one.
            scene.parameters.pop("botocore_config", None)

    def matches(self, error: BaseException, scene: Scene) -> bool:
        """Return whether *error* has the class and the whole message of the case."""
        return isinstance(error, self.error) and re.fullmatch(self.pattern(scene), str(error)) is not None

    def pattern(self, scene: Scene) -> str:
        """Return the message as a regular expression."""
        words = {
            "image": scene.image,
            "registry": f"Amazon ECR registry {ACCOUNT} in {REGION}",
            "account": ACCOUNT,
            "owner": ACCOUNT,
            "region": REGION,
            "host": HOST,
            "repository": scene.repository,
            "aws": scene.stand.aws.url,
            "engine": scene.stand.engine.url,
            "user": scene.stand.worker.arn,
            "worker": "AWS connection 'aws_default' (not found, so the worker's own AWS credentials)",
            **scene.words,
        }
        return re.escape(self.says.format(**words)).replace(r"\*", ".*")


def while_set(
    find: Callable[[Scene], object], name: str, value: object
) -> Callable[[Scene], AbstractContextManager[None]]:
    """Return a context manager that pushes the image and sets an attribute of the stand until the block ends."""

    @contextmanager
    def breaks(scene: Scene) -> Iterator[None]:
        scene.push()
        before = getattr(find(scene), name)
        setattr(find(scene), name, value)
        yield
        setattr(find(scene), name, before)

    return breaks
