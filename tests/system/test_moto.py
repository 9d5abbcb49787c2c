"""The stand's AWS compared with moto, an independent mock: the same shapes, and the same error messages."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.session import Session
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from ecr_docker_operator.aws.manifest import MEDIA_TYPES
from tests.stand.hosts import ACCOUNT, REGION
from tests.stand.images import MANIFEST_TYPE, build, digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stand import Stand
    from tests.stand.images import Image

pytestmark = [
    pytest.mark.stand,
    # moto's server closes neither its socket nor its connections.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ABSENT = f"sha256:{'0' * 64}"
# The operations that moto supports: not GetDownloadUrlForLayer, and none of ECR Public.
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "token": ("ecr", "get_authorization_token", {}),
    "image": ("ecr", "batch_get_image", {"repositoryName": "app", "imageIds": [{"imageTag": "1"}]}),
    "tag": ("ecr", "batch_get_image", {"repositoryName": "app", "imageIds": [{"imageTag": "missing"}]}),
    "repository": ("ecr", "batch_get_image", {"repositoryName": "missing", "imageIds": [{"imageTag": "1"}]}),
    "caller": ("sts", "get_caller_identity", {}),
    "role": (
        "sts",
        "assume_role",
        {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/puller", "RoleSessionName": "session"},
    ),
}


@cache
def image() -> Image:
    """Return the image that is in both registries."""
    # Do not build it at import: the stand may have to install busybox first.
    return build("the same in both")


def client(service: str, url: str, key: str, secret: str) -> Any:
    """Return a client for a service at this URL."""
    return boto3.client(
        service, endpoint_url=url, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret
    )


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """Provide the URL of a moto server with our image in its repository."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    ecr = client("ecr", url, "key", "secret")
    ecr.create_repository(repositoryName="app")
    ecr.put_image(
        repositoryName="app",
        imageManifest=image().manifest.decode(),
        imageManifestMediaType=MANIFEST_TYPE,
        imageTag="1",
    )
    yield url
    server.stop()


@pytest.fixture
def ours(stand: Stand) -> Stand:
    """Provide the stand with the same image, and a role."""
    stand.push("app", image=image())
    stand.aws.add_role(ACCOUNT, "puller", trusted=stand.worker)
    return stand


def call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
    """Return AWS's answer, or the code and message of its error."""
    if operation == "batch_get_image":
        parameters = {**parameters, "acceptedMediaTypes": list(MEDIA_TYPES)}
    try:
        answer = getattr(client, operation)(**parameters)
    except ClientError as error:
        return {"Error": [error.response["Error"]["Code"], error.response["Error"]["Message"]]}
    del answer["ResponseMetadata"]
    return answer


def shape(answer: Any) -> Any:
    """Return *answer* with types in place of values; failure messages are kept."""
    if isinstance(answer, dict):
        kept = {"failureCode", "failureReason", "Error"}
        return {name: value if name in kept else shape(value) for name, value in sorted(answer.items())}
    if isinstance(answer, list):
        return [shape(value) for value in answer]
    return type(answer).__name__


def members(answer: Any, model: Any) -> Iterator[str]:
    """Yield each name in *answer* that is not in botocore's model, and each required name that is missing."""
    if model.type_name == "structure":
        yield from answer.keys() - model.members.keys()
        yield from set(model.required_members) - answer.keys()
        for name in answer.keys() & model.members.keys():
            yield from members(answer[name], model.members[name])
    elif model.type_name == "list":
        for value in answer:
            yield from members(value, model.member)


@pytest.mark.parametrize("name", CALLS)
def test_as_moto_answers(name: str, ours: Stand, moto: str) -> None:
    """Both answers have the same shape, and the same codes and messages of failures and errors."""
    service, operation, parameters = CALLS[name]
    answers = [
        call(client(service, url, key, secret), operation, parameters)
        for url, key, secret in (
            (ours.aws.url, ours.worker.access_key, ours.worker.secret_key),
            (moto, "key", "secret"),
        )
    ]
    mine, theirs = map(shape, answers)
    if name == "role":  # moto's message is longer
        theirs.pop("PackedPolicySize", None)
    assert mine == theirs


def test_manifest_is_the_same(ours: Stand, moto: str) -> None:
    """Both return the manifest of the image."""
    _, operation, parameters = CALLS["image"]
    for url, key, secret in (
        (ours.aws.url, ours.worker.access_key, ours.worker.secret_key),
        (moto, "key", "secret"),
    ):
        [found] = call(client("ecr", url, key, secret), operation, parameters)["images"]
        assert json.loads(found["imageManifest"]) == json.loads(image().manifest)


@pytest.mark.parametrize(
    ("layer", "error"), [(None, None), (ABSENT, "LayersNotFoundException")], ids=["there", "absent"]
)
def test_as_botocore_knows_it(layer: str | None, error: str | None, ours: Stand) -> None:
    """Operations that moto does not support match botocore's model: names of members and of errors."""
    model = Session().get_service_model("ecr").operation_model("GetDownloadUrlForLayer")
    ecr = client("ecr", ours.aws.url, ours.worker.access_key, ours.worker.secret_key)
    answer = call(
        ecr, "get_download_url_for_layer", {"repositoryName": "app", "layerDigest": layer or digest(image().config)}
    )
    if error:
        assert answer["Error"][0] == error
        assert error in {shape.name for shape in model.error_shapes}
    else:
        assert answer.keys() == model.output_shape.members.keys()


def test_public_token_as_botocore_knows_it(stand: Stand) -> None:
    """A token of ECR Public is a single object, with the members of botocore's model."""
    public = boto3.client(
        "ecr-public",
        endpoint_url=stand.aws.url,
        region_name="us-east-1",
        aws_access_key_id=stand.worker.access_key,
        aws_secret_access_key=stand.worker.secret_key,
    )
    model = Session().get_service_model("ecr-public").operation_model("GetAuthorizationToken")
    answer = call(public, "get_authorization_token", {})
    assert list(members(answer, model.output_shape)) == []
    assert set(answer["authorizationData"]) == set(model.output_shape.members["authorizationData"].members)
