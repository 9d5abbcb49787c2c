"""AWS's answer about an image after a failed pull: the reason for a refusal, or that access is allowed."""

from __future__ import annotations

import json
import logging
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.session import Session

from ecr_docker_operator import hints
from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.aws.manifest import MEDIA_TYPES, ImageAnswer, ask_about_image
from ecr_docker_operator.ecr.registry import EcrRegistry
from tests.stand.aws import AwsError
from tests.stand.hosts import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stand.aws import Aws

REGISTRY = EcrRegistry.private(ACCOUNT, REGION)
IMAGE = f"{REGISTRY.host}/team/app:1"
DIGEST = f"sha256:{'0' * 64}"
MANIFEST = {"config": {"digest": DIGEST}, "layers": []}
MODEL = Session().get_service_model("ecr")
CODES = set(MODEL.shape_for("ImageFailureCode").enum)
ERRORS = {
    shape.name
    for operation in ("BatchGetImage", "GetDownloadUrlForLayer")
    for shape in MODEL.operation_model(operation).error_shapes
}


def answering(answer: Any, asked: list[Any] | None = None) -> Callable[..., Any]:
    """Return an AWS operation that gives this answer or raises it, and records its parameters."""

    def operation(parameters: Any, *_: Any) -> Any:
        if asked is not None:
            asked.append(parameters)
        if isinstance(answer, AwsError):
            raise answer
        return answer

    return operation


def given(manifest: Any) -> dict[str, Any]:
    """Return an answer of BatchGetImage with one image."""
    return {"images": [{"imageManifest": json.dumps(manifest)}], "failures": []}


def ask(image: str = IMAGE) -> ImageAnswer | None:
    """Ask with the worker's own identity."""
    return ask_about_image(image, REGISTRY, AwsIdentity(None))


@pytest.mark.parametrize(
    ("image", "image_id"),
    [
        ("team/app", {"imageTag": "latest"}),
        ("team/app:1", {"imageTag": "1"}),
        (f"team/app@{DIGEST}", {"imageDigest": DIGEST}),
        (f"team/app:1@{DIGEST}", {"imageDigest": DIGEST}),
    ],
)
@pytest.mark.parametrize("port", ["", ":443"])
def test_what_is_asked(image: str, image_id: dict[str, str], port: str, aws: Aws) -> None:
    """AWS is asked for the image in its account's repository, with all media types, and then for a layer."""
    images: list[Any] = []
    layers: list[Any] = []
    aws.operations["BatchGetImage"] = answering(given(MANIFEST), images)
    aws.operations["GetDownloadUrlForLayer"] = answering({"downloadUrl": "https://s3", "layerDigest": DIGEST}, layers)
    assert ask(f"{REGISTRY.host}{port}/{image}") == ImageAnswer(MANIFEST)
    place = {"registryId": ACCOUNT, "repositoryName": "team/app"}
    assert images == [{**place, "imageIds": [image_id], "acceptedMediaTypes": list(MEDIA_TYPES)}]
    assert layers == [{**place, "layerDigest": DIGEST}]


def test_index(aws: Aws) -> None:
    """For an index, AWS is asked for the layer of one of its images."""
    images: list[Any] = []
    index = {"manifests": [{"digest": f"sha256:{'1' * 64}"}]}
    answers = iter([given(index), given(MANIFEST)])

    def batch_get_image(parameters: Any, *_: Any) -> Any:
        images.append(parameters)
        return next(answers)

    aws.operations["BatchGetImage"] = batch_get_image
    aws.operations["GetDownloadUrlForLayer"] = answering({"downloadUrl": "https://s3", "layerDigest": DIGEST})
    assert ask() == ImageAnswer(index, variant=MANIFEST)
    assert images[1]["imageIds"] == [{"imageDigest": f"sha256:{'1' * 64}"}]


@pytest.mark.parametrize("code", sorted(CODES))
def test_failures(code: str, aws: Aws) -> None:
    """Every failure code of BatchGetImage in the installed botocore has a next step."""
    failure = {"failureCode": code, "failureReason": "It failed."}
    aws.operations["BatchGetImage"] = answering({"images": [], "failures": [failure]})
    assert ask() == ImageAnswer(refusal=f"It failed ({code})")
    assert hints.next_step(hints.IMAGE, f"({code})", **REGISTRY.hint_names)


@pytest.mark.parametrize("code", sorted(ERRORS | {"AccessDeniedException"}))
@pytest.mark.parametrize("operation", ["BatchGetImage", "GetDownloadUrlForLayer"])
def test_errors(code: str, operation: str, aws: Aws) -> None:
    """Every error of both calls has a next step, and a refused layer keeps the manifest."""
    aws.operations["BatchGetImage"] = answering(given(MANIFEST))
    aws.operations[operation] = answering(AwsError(400, code, "It failed"))
    assert ask() == ImageAnswer(None if operation == "BatchGetImage" else MANIFEST, f"It failed ({code})")
    assert hints.next_step(hints.IMAGE, f"({code})", **REGISTRY.hint_names)


@pytest.mark.parametrize(
    "answer",
    [
        AwsError(400, "ExpiredTokenException", "The security token included in the request is expired"),
        AwsError(400, "ThrottlingException", "Rate exceeded"),
        AwsError(500, "ServerException", "Internal error"),
        {"images": [], "failures": []},
        {"images": [{"imageManifest": "garbage"}]},
        {"images": [{"imageManifest": "[]"}]},
        given({}),
        [],
        None,
    ],
)
def test_no_answer(answer: Any, aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    """An answer without information about the image counts as none, raises nothing, and is logged."""
    aws.operations["BatchGetImage"] = answering(answer)
    assert ask() is None
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert re.match(rf"{IMAGE}: AWS could not be asked why it was refused: .+", record.getMessage())


@pytest.mark.slow
def test_aws_does_not_answer(aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    """If AWS does not answer, the wait ends and is logged."""
    answered = threading.Event()
    aws.at_call = lambda: answered.wait(60)
    assert ask() is None
    answered.set()
    assert f"{IMAGE}: AWS could not be asked why it was refused: no answer within 4 s" in caplog.messages


def test_no_way_to_ask(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unusable identity counts as no answer."""
    monkeypatch.setenv("AWS_PROFILE", "nosuch")
    assert ask() is None
    assert aws.calls == []


def test_public_registry_is_not_asked(aws: Aws) -> None:
    """Amazon ECR Public is not asked: it has no such call."""
    public = EcrRegistry.parse("public.ecr.aws")
    assert public
    assert ask_about_image("public.ecr.aws/team/app:1", public, AwsIdentity(None)) is None
    assert aws.calls == []
