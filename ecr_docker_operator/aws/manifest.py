"""Asks AWS whether an identity may pull an image, and if not, why.

A refused engine often does not know why: with containerd's image store, it sends HEAD requests, and their answers have
no text. AWS gives the same explanation for every engine.
"""

from __future__ import annotations

import json
import logging
import threading
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ecr_docker_operator import hints
from ecr_docker_operator.aws.token import quiet_parser
from ecr_docker_operator.ecr.reference import repository_of, split_image

if TYPE_CHECKING:
    from ecr_docker_operator.aws.identity import AwsIdentity
    from ecr_docker_operator.ecr.registry import EcrRegistry

MEDIA_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
"""All media types of a manifest. For a type that is not accepted, AWS answers that the image does not exist."""

SECONDS = 4.0
"""How long to wait for AWS in total, in seconds."""

_CONFIG = {"connect_timeout": 2, "read_timeout": 3, "retries": {"mode": "standard", "total_max_attempts": 2}}
_SERVER_ERROR = 500

_NOT_ASKED = "%s: AWS could not be asked why it was refused: %s"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageAnswer:
    """AWS's answer about an image."""

    manifest: dict[str, Any] | None = None
    """The image's manifest, or index of manifests; ``None`` if AWS refused it."""
    refusal: str = ""
    """AWS's reason for refusing the image or its layers; empty if the identity may pull it."""


class _RefusedError(Exception):
    """AWS refused; the message is AWS's, followed by the error code in parentheses."""


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
    question = _Question(client, image, registry)
    answers: list[ImageAnswer | None] = []
    context = copy_context()
    # Connection time-outs do not limit a slow name server, or an answer that arrives byte by byte.
    thread = threading.Thread(target=lambda: answers.append(context.run(question.ask)), daemon=True)
    thread.start()
    thread.join(SECONDS)
    if not answers:
        log.warning(_NOT_ASKED, image, f"no answer within {SECONDS:g} s")
        return None
    return answers[0]


@dataclass(frozen=True)
class _Question:
    client: Any
    image: str
    registry: EcrRegistry

    def ask(self) -> ImageAnswer | None:
        manifest = None
        try:
            with quiet_parser():
                manifest = self._manifest(_image_id(self.image))
                self._ask_for_layer(manifest)
        except _RefusedError as refused:
            return ImageAnswer(manifest, str(refused))
        except self.client.exceptions.ClientError as error:
            if refusal := self._refusal(error.response):
                return ImageAnswer(manifest, refusal)
            log.warning(_NOT_ASKED, self.image, error)
            return None
        except Exception as error:  # noqa: BLE001 - as above
            log.warning(_NOT_ASKED, self.image, error)
            return None
        return ImageAnswer(manifest)

    @property
    def _place(self) -> dict[str, str]:
        _, rest = split_image(self.image)
        return {"registryId": str(self.registry.registry_id), "repositoryName": repository_of(rest)}

    def _manifest(self, image_id: dict[str, str]) -> dict[str, Any]:
        answer = self.client.batch_get_image(**self._place, imageIds=[image_id], acceptedMediaTypes=list(MEDIA_TYPES))
        for failure in answer.get("failures") or []:
            raise _RefusedError(_words(failure["failureCode"], failure.get("failureReason")))
        manifest: dict[str, Any] = json.loads(answer["images"][0]["imageManifest"])
        return manifest

    def _ask_for_layer(self, manifest: dict[str, Any]) -> None:
        # In an index, any image will do: permissions apply to the whole repository.
        if manifests := manifest.get("manifests"):
            manifest = self._manifest({"imageDigest": manifests[0]["digest"]})
        self.client.get_download_url_for_layer(**self._place, layerDigest=manifest["config"]["digest"])

    def _refusal(self, response: Any) -> str:
        error, status = response["Error"], response["ResponseMetadata"]["HTTPStatusCode"]
        words = _words(error["Code"], error.get("Message"))
        # Other errors, such as credentials that have since expired, say nothing about the image.
        known = status < _SERVER_ERROR and hints.next_step(hints.IMAGE, words, **self.registry.hint_names)
        return words if known else ""


def _image_id(image: str) -> dict[str, str]:
    name, _, digest = image.partition("@")
    if digest:
        return {"imageDigest": digest}
    return {"imageTag": name[len(repository_of(name)) + 1 :] or "latest"}


def _words(code: str, message: str | None) -> str:
    return f"{(message or '').strip().removesuffix('.')} ({code})".strip()
