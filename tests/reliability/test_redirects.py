"""A redirect of the registry to another host is followed without the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ecr_docker_operator import EcrDockerOperator, EcrPullError
from tests.stand.hosts import ACCOUNT, OTHER_HOSTS, REGION, bucket
from tests.stand.registry import Answer

if TYPE_CHECKING:
    from tests.stand import Stand
    from tests.stand.registry import Request

pytestmark = pytest.mark.stand

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
[ELSEWHERE] = OTHER_HOSTS


def pull(image: str) -> None:
    """Run a task that pulls *image*."""
    EcrDockerOperator(task_id="task", image=image).execute({})


def requests_to(stand: Stand, host: str) -> list[Request]:
    """Return the requests to *host*."""
    return [request for request in stand.registry.requests if request.host == host]


def test_layers_on_s3(stand: Stand) -> None:
    """The registry receives the token; S3, which serves its layers, does not."""
    pull(stand.push("redirected"))
    layers = requests_to(stand, bucket(REGION))
    # One configuration and two layers.
    assert [(request.authorized, request.status) for request in layers] == [(False, 200)] * 3
    assert any(request.token for request in requests_to(stand, HOST))
    assert {request.host for request in stand.registry.requests} == {HOST, bucket(REGION)}


@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_another_registry(kind: str, stand: Stand) -> None:
    """A manifest or layer that is redirected to another registry is requested there without the token."""
    image = stand.push("moved")
    stand.push("elsewhere", host=ELSEWHERE)
    elsewhere = f"/v2/elsewhere/{kind}/1"
    stand.registry.faults[f"/v2/moved/{kind}/"] = Answer(
        307, headers=(("Location", f"https://{ELSEWHERE}{elsewhere}"),)
    )
    with pytest.raises(EcrPullError):
        pull(image)
    reached = requests_to(stand, ELSEWHERE)
    assert {(request.path, request.authorized, request.status) for request in reached} == {(elsewhere, False, 401)}
    # containerd asks for the manifest before it logs in.
    if kind == "blobs" or not stand.kind.containerd_store:
        assert any(request.token for request in requests_to(stand, HOST))
