"""Asks AWS whether an identity may pull an image, and if not, why.

A refused engine often does not know why: with containerd's image store, it sends HEAD requests, and their answers have
no text. AWS gives the same explanation for every engine.
"""

from __future__ import annotations

import json
import logging
import threading
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ecr_docker_operator import hints
from ecr_docker_operator.aws.calls import call
from ecr_docker_operator.aws.token import quiet_parser
from ecr_docker_operator.ecr.reference import repository_of, split_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ecr_docker_operator.aws.identity import AwsIdentity
    from ecr_docker_operator.ecr.registry import EcrRegistry

MEDIA_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
"""All media types of a manifest. For a type that is not accepted, AWS answers that the image does not exist."""

BATCH = 100
"""Most images of one call (Amazon ECR API Reference, "BatchGetImage")."""

PREFERRED = "linux/amd64"
"""Platform whose image stands for an index, which has no layers of its own."""

SECONDS = 4.0
"""How long to wait for AWS in total, in seconds."""

_CONFIG = {"connect_timeout": 2, "read_timeout": 3, "retries": {"mode": "standard", "total_max_attempts": 2}}
_SERVER_ERROR = 500
_ACCESS_DENIED = "(AccessDeniedException)"

_NOT_ASKED = "%s: AWS could not be asked why it was refused: %s"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageAnswer:
    """AWS's answer about an image."""

    manifest: dict[str, Any] | None = None
    """The image's manifest, or index of manifests; ``None`` if AWS refused it."""
    refusal: str = ""
    """AWS's reason for refusing the image or its layers; empty if the identity may pull it."""
    variant: dict[str, Any] | None = None
    """For an index: the manifest of its image for :data:`PREFERRED`, else of its first one."""

    @property
    def platforms(self) -> tuple[str, ...]:
        """Platforms of an index, such as ``linux/amd64``; empty for a single image, whose manifest names none."""
        return tuple(dict.fromkeys(filter(None, map(_platform, (self.manifest or {}).get("manifests") or []))))

    @property
    def size(self) -> int | None:
        """Compressed size of the image in bytes: its layers and its configuration; ``None`` if not known."""
        manifest = self.variant or self.manifest or {}
        parts = [manifest.get("config") or {}, *(manifest.get("layers") or [])]
        sizes = [part.get("size") for part in parts]
        return sum(sizes) if sizes and all(isinstance(size, int) for size in sizes) else None


def ask_about_image(image: str, registry: EcrRegistry, identity: AwsIdentity) -> ImageAnswer | None:
    """Return AWS's answer about *image*; ``None`` if AWS cannot be reached or gives no reason.

    Uses BatchGetImage, which needs the same permission as a pull (Amazon ECR User Guide, "Pulling an image"). Amazon
    ECR Public has no such call: ``None``. Never raises, and returns within :data:`SECONDS`.
    """
    if registry.registry_id is None:
        return None
    try:
        # Not in the thread, because it may request the connection from Airflow.
        client = identity.client(registry, **_CONFIG)
    except Exception as error:  # noqa: BLE001 - must not hide the failure that is being explained
        log.warning(_NOT_ASKED, image, error)
        return None
    answers: list[ImageAnswer | None] = []

    def ask() -> None:
        try:
            answers.append(ask_about_images(client, registry, [image])[image])
        except Exception as error:  # noqa: BLE001 - as above
            log.warning(_NOT_ASKED, image, error)
            answers.append(None)

    context = copy_context()
    # No time-out of botocore limits a slow name server.
    thread = threading.Thread(target=lambda: context.run(ask), daemon=True)
    thread.start()
    thread.join(SECONDS)
    if not answers:
        log.warning(_NOT_ASKED, image, f"no answer within {SECONDS:g} s")
        return None
    return answers[0]


def ask_about_images(client: Any, registry: EcrRegistry, images: Sequence[str]) -> dict[str, ImageAnswer]:
    """Return AWS's answer about each of *images*, which are in one repository of a private registry.

    One BatchGetImage call for every :data:`BATCH` images, and for as many indexes; one GetDownloadUrlForLayer call.

    :param client: boto3 client of ``ecr``.
    :raises Exception: if AWS cannot be reached or gives no reason: botocore's errors, and others for a strange answer.
    """
    repository = _Repository(client, registry, repository_of(split_image(images[0])[1]))
    with quiet_parser():
        return repository.ask(images)


def cache_prefixes(client: Any, registry: EcrRegistry) -> list[str]:
    """Return the repository prefixes of the registry's pull-through cache rules; ``ROOT`` is any repository.

    :raises Exception: botocore's errors, for instance if DescribePullThroughCacheRules is not allowed.
    """
    found: list[str] = []
    more: dict[str, str] = {}
    while True:
        answer = call(client.describe_pull_through_cache_rules, registryId=registry.registry_id, **more)
        found += [rule["ecrRepositoryPrefix"] for rule in answer.get("pullThroughCacheRules") or []]
        if not answer.get("nextToken"):
            return found
        more = {"nextToken": answer["nextToken"]}


_ImageId = tuple[str, str]
"""``imageTag`` or ``imageDigest``, and its value."""


@dataclass(frozen=True)
class _Repository:
    client: Any
    registry: EcrRegistry
    name: str

    def ask(self, images: Sequence[str]) -> dict[str, ImageAnswer]:
        ids = {image: _image_id(image) for image in images}
        try:
            found = self._get(ids.values())
            variants = self._get(filter(None, map(_variant_of, found.values())))
        except self.client.exceptions.ClientError as error:
            refusal = self._refusal(error)
            return {image: ImageAnswer(refusal=refusal) for image in images}
        answers = {image: _answer(found[image_id], variants) for image, image_id in ids.items()}
        allowed = {image: answer for image, answer in answers.items() if not answer.refusal}
        for image, answer in allowed.items():
            if refusal := self._ask_for_layer((answer.variant or answer.manifest or {})["config"]["digest"]):
                # Permissions apply to the whole repository, other refusals to one layer.
                same = allowed if _ACCESS_DENIED in refusal else {image: answer}
                answers |= {name: replace(allowed[name], refusal=refusal) for name in same}
            break
        return answers

    @property
    def _place(self) -> dict[str, str]:
        return {"registryId": str(self.registry.registry_id), "repositoryName": self.name}

    def _get(self, ids: Iterable[_ImageId]) -> dict[_ImageId, dict[str, Any] | str]:
        """Return the manifest of each image, or why there is none."""
        found: dict[_ImageId, dict[str, Any] | str] = {}
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            found |= self._get_batch(batch)
            # AWS does not say what it answers to two names of one image.
            if len(batch) > 1:
                for image_id in set(batch) - found.keys():
                    found |= self._get_batch([image_id])
        return found

    def _get_batch(self, batch: Sequence[_ImageId]) -> dict[_ImageId, dict[str, Any] | str]:
        ids = [{kind: value} for kind, value in batch]
        answer = call(self.client.batch_get_image, **self._place, imageIds=ids, acceptedMediaTypes=list(MEDIA_TYPES))
        only = ids[0] if len(ids) == 1 else {}
        found: dict[_ImageId, dict[str, Any] | str] = {}
        for failure in answer.get("failures") or []:
            words = _words(failure["failureCode"], failure.get("failureReason"))
            found |= dict.fromkeys({**only, **failure.get("imageId", {})}.items(), words)
        for image in answer.get("images") or []:
            # AWS adds the digest to the id of an image that was asked for by its tag.
            found |= dict.fromkeys({**only, **image.get("imageId", {})}.items(), json.loads(image["imageManifest"]))
        return found

    def _ask_for_layer(self, digest: str) -> str:
        try:
            call(self.client.get_download_url_for_layer, **self._place, layerDigest=digest)
        except self.client.exceptions.ClientError as error:
            return self._refusal(error)
        return ""

    def _refusal(self, error: Any) -> str:
        """Return AWS's reason in *error*; if it says nothing about the image, raise it again."""
        answer, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        words = _words(answer["Code"], answer.get("Message"))
        # Other errors, such as credentials that have since expired, say nothing about the image.
        if status < _SERVER_ERROR and hints.next_step(hints.IMAGE, words, **self.registry.hint_names):
            return words
        raise error


def _answer(found: dict[str, Any] | str, variants: Mapping[_ImageId, dict[str, Any] | str]) -> ImageAnswer:
    if isinstance(found, str):
        return ImageAnswer(refusal=found)
    if (wanted := _variant_of(found)) is None:
        return ImageAnswer(found)
    variant = variants[wanted]
    return ImageAnswer(found, variant) if isinstance(variant, str) else ImageAnswer(found, variant=variant)


def _variant_of(found: dict[str, Any] | str) -> _ImageId | None:
    """Return the id of one image of an index; ``None`` for a single image."""
    entries = found.get("manifests") if isinstance(found, dict) else None
    if not entries:
        return None
    by_platform = {_platform(entry): entry for entry in reversed(entries)}
    entry = by_platform.get(PREFERRED) or next((e for e in entries if _platform(e)), entries[0])
    return ("imageDigest", entry["digest"])


def _platform(entry: Mapping[str, Any]) -> str:
    """Return the platform of an entry of an index; empty if it names none, as attestations do."""
    names = entry.get("platform") or {}
    parts = [names.get(part) for part in ("os", "architecture", "variant")]
    return "" if "unknown" in parts or not all(parts[:2]) else "/".join(filter(None, parts))


def _image_id(image: str) -> _ImageId:
    name, _, digest = split_image(image)[1].partition("@")
    if digest:
        return ("imageDigest", digest)
    return ("imageTag", name[len(repository_of(name)) + 1 :] or "latest")


def _words(code: str, message: str | None) -> str:
    return f"{(message or '').strip().removesuffix('.')} ({code})".strip()
