"""The stand's image API without its registry: manifests in memory, for tests that need no engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tests.stand.hosts import ACCOUNT, REGION
from tests.stand.images import digest
from tests.stand.manifests import Manifests
from tests.stand.registry import Answer, Registry

if TYPE_CHECKING:
    from tests.stand.aws import Aws
    from tests.stand.namespaces import Namespaces

SINGLE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = digest(b"layer")
SIZE = 2_500_000
"""Size of each image in bytes."""


class MemoryRegistry(Registry):
    """Registries of all accounts and regions, whose API *aws* answers."""

    def __init__(self, aws: Aws) -> None:
        super().__init__(Path(), cast("Namespaces", None), aws)
        self._content: dict[str, Answer] = {}
        self.manifests = Manifests(self)
        aws.operations |= self.manifests.operations

    def add(
        self,
        name: str,
        *,
        account: str = ACCOUNT,
        region: str = REGION,
        platforms: tuple[str, ...] = (),
        admits: tuple[str, ...] = (),
    ) -> str:
        """Add an image, and return its full name.

        :param name: repository and tag.
        :param platforms: platforms of an index; default: a single image.
        :param admits: accounts that the policy of the repository admits.
        """
        repository, _, tag = name.partition(":")
        self.policies.setdefault((account, region, repository), set()).update(admits)
        path = f"/v2/{account}/{region}/{repository}"
        self._content[f"{path}/blobs/{digest(b'{}')}"] = Answer(200)
        single = {"config": {"digest": digest(b"{}"), "size": 2}, "layers": [{"digest": LAYER, "size": SIZE - 2}]}
        if not platforms:
            self._put(path, tag, single, SINGLE)
            return f"{account}.dkr.ecr.{region}.amazonaws.com/{name}"
        entries = [
            {
                "digest": self._put(path, f"{tag}-{number}", {**single, "platform": platform}, SINGLE),
                "platform": dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False)),
            }
            for number, platform in enumerate(platforms)
        ]
        self._put(path, tag, {"manifests": entries}, INDEX)
        return f"{account}.dkr.ecr.{region}.amazonaws.com/{name}"

    def _put(self, path: str, tag: str, manifest: dict[str, Any], kind: str) -> str:
        body = json.dumps(manifest).encode()
        answer = Answer(200, body, (("docker-content-digest", digest(body)), ("content-type", kind)))
        self._content[f"{path}/manifests/{tag}"] = self._content[f"{path}/manifests/{digest(body)}"] = answer
        return digest(body)

    def backend(self, method: str, path: str, *_: Any, **__: Any) -> Answer:
        """Return what is stored under *path*."""
        return self._content.get(path, Answer(404)) if method == "GET" else Answer(405)
