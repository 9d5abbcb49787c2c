"""The stand: a real engine and a real registry under Amazon ECR's names, and AWS's API over HTTP.

Everything is private to the stand: its files are in one temporary directory, the engine runs in separate mount and
network namespaces, and everything is removed when the ``with`` block ends. Stands can run side by side.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.stand.assembly import Assembly
from tests.stand.aws import Aws
from tests.stand.engine import Engine
from tests.stand.engines import chosen_engine
from tests.stand.hosts import ACCOUNT, REGION
from tests.stand.images import build
from tests.stand.install import install_parts
from tests.stand.manifests import Manifests
from tests.stand.namespaces import Namespaces
from tests.stand.podman import Podman
from tests.stand.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stand.engines import EngineKind
    from tests.stand.images import Image


def _engine(directory: Path, namespaces: Namespaces, kind: EngineKind, disk: str | None = None) -> Engine:
    return (Podman if kind.podman else Engine)(directory, namespaces, kind, disk=disk)


class Stand(Assembly):
    """AWS, a registry and an engine; start and stop it with ``with Stand() as stand``."""

    def _assemble(self, parts: ExitStack) -> None:
        """Install missing programs, then start AWS's API, the registry and the engine."""
        install_parts()
        self.kind = chosen_engine()
        self.directory = Path(tempfile.mkdtemp(prefix="stand-"))
        parts.callback(shutil.rmtree, self.directory)
        self.namespaces = parts.enter_context(Namespaces(self.directory, root=self.kind.root()))
        self.aws = parts.enter_context(Aws())
        self.registry = parts.enter_context(Registry(self.directory, self.namespaces, self.aws))
        self.manifests = Manifests(self.registry)
        self.aws.operations |= self.manifests.operations
        self.engine = parts.enter_context(_engine(self.directory, self.namespaces, self.kind))
        self.worker = self.aws.add_user(ACCOUNT, "worker")

    def push(
        self,
        repository: str = "app",
        tag: str = "1",
        *,
        account: str = ACCOUNT,
        region: str = REGION,
        host: str | None = None,
        image: Image | None = None,
    ) -> str:
        """Push a small new image to a repository and return its name.

        :param host: host name of the registry; default: its plain host name.
        :param image: image to push; default: busybox with a unique file.
        """
        image = image or build()
        host = host or f"{account}.dkr.ecr.{region}.amazonaws.com"
        self.registry.push(account, region, repository, tag, image)
        self.registry.serve(host, account, region)
        return f"{host}/{repository}:{tag}"

    @contextmanager
    def second_engine(self, *, disk: str | None = None) -> Iterator[Engine]:
        """Start another engine in a separate network, as on another machine, that reaches the same registries.

        :param disk: size of its disk; default: this machine's.
        """
        with ExitStack() as parts:
            directory = Path(tempfile.mkdtemp(prefix=f"{self.directory.name}-"))
            parts.callback(shutil.rmtree, directory)
            namespaces = parts.enter_context(Namespaces(directory, root=self.kind.root(), beside=self.namespaces))
            yield parts.enter_context(_engine(directory, namespaces, self.kind, disk))

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that point a process to this stand, as the user ``worker``."""
        return {
            "AWS_ACCESS_KEY_ID": self.worker.access_key,
            "AWS_SECRET_ACCESS_KEY": self.worker.secret_key,
            "AWS_CONFIG_FILE": str(self.directory / "no-aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "no-aws-credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.aws.url,
            "DOCKER_HOST": self.engine.url,
            "DOCKER_CONFIG": str(self.directory / "no-docker-config"),
        }
