"""How much does a pull fetch, and how much room is there?"""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.errors import DockerException

from ecr_docker_operator.compat import AirflowException
from ecr_docker_operator.image import repository_of, split_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.api.client import APIClient

    from ecr_docker_operator.credentials import AwsIdentity
    from ecr_docker_operator.registry import EcrRegistry

# Otherwise Amazon ECR may convert what it answers (Amazon ECR API Reference, BatchGetImage).
MEDIA_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
MOST_IMAGES = 100
"""How many images one call may name."""


class NotKnownError(Exception):
    """Something that cannot be found out, and does not have to be."""


def bytes_free(client: APIClient, engine_url: str) -> int:
    """Return the free bytes of the disk on which the engine keeps its images.

    The engine does not tell, so it has to be this machine's.

    :raises NotKnownError: if that disk cannot be seen from here.
    """
    try:
        engine = client.info()
    except (AirflowException, DockerException) as error:
        msg = f"what is free, for the engine says: {error}"
        raise NotKnownError(msg) from error
    root = Path(engine["DockerRootDir"])
    # A socket may be mounted from elsewhere, and a folder of that name be another.
    here = engine_url.startswith("unix:") and engine["Name"] == socket.gethostname() and root.is_dir()
    if not here:
        msg = "what is free, for the engine's disk is not seen from here"
        raise NotKnownError(msg)
    if dict(engine.get("DriverStatus") or []).get("driver-type"):
        msg = "what is free, for the engine's images are kept by containerd"
        raise NotKnownError(msg)
    return shutil.disk_usage(root).free


def bytes_to_fetch(
    client: APIClient,
    registry: EcrRegistry | None,
    identity: AwsIdentity,
    image: str,
    digest: str,
    *,
    fits: Callable[[dict[str, str]], bool],
) -> int:
    """Return the size of an image's layers, compressed, without those of images of its repository on the engine.

    Asked of Amazon ECR's own API, with a permission that the pull needs in any case (``ecr:BatchGetImage``).

    :param client: of the engine.
    :param digest: of the image, or of a list of images for several platforms.
    :param fits: tells whether a platform in such a list is one for the engine.
    :raises NotKnownError: if it is not told.
    """
    repository = repository_of(image)
    present = set(_digests(client, repository))
    if digest in present:
        return 0
    if registry is None or registry.registry_id is None:
        msg = "what is to fetch, for only private registries of Amazon ECR tell"
        raise NotKnownError(msg)
    try:
        ask = _Manifests(identity.client(registry), registry.registry_id, split_image(repository)[1])
        found = ask(digest, *present)
        manifest = found.pop(digest)
        if "manifests" in manifest:
            entries = [entry for entry in manifest["manifests"] if "platform" in entry]
            digest = next(entry["digest"] for entry in entries if fits(entry["platform"]))
            manifest = ask(digest)[digest]
    except Exception as error:  # whatever it is, the task does not ask this
        msg = f"what is to fetch, for AWS says: {error}"
        raise NotKnownError(msg) from error
    known = {layer["digest"] for other in found.values() for layer in other.get("layers", [])}
    return sum(
        {layer["digest"]: layer["size"] for layer in manifest["layers"] if layer["digest"] not in known}.values()
    )


def _digests(client: APIClient, repository: str) -> Iterator[str]:
    for image in client.images(name=repository):
        for name in image["RepoDigests"] or []:
            yield name.partition("@")[2]


class _Manifests:
    """The manifests of a repository."""

    def __init__(self, ecr: Any, registry_id: str, repository: str) -> None:
        self._ecr, self._registry_id, self._repository = ecr, registry_id, repository

    def __call__(self, *digests: str) -> dict[str, Any]:
        """Return digest -> manifest of those that are there."""
        answer = self._ecr.batch_get_image(
            registryId=self._registry_id,
            repositoryName=self._repository,
            imageIds=[{"imageDigest": digest} for digest in digests[:MOST_IMAGES]],
            acceptedMediaTypes=list(MEDIA_TYPES),
        )
        return {image["imageId"]["imageDigest"]: json.loads(image["imageManifest"]) for image in answer["images"]}
