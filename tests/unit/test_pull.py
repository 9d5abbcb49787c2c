"""A pull from Amazon ECR raises what the engine reports; any other pull is docker-py's."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import pytest
from docker.api.client import APIClient
from docker.errors import APIError, NotFound

from ecr_docker_operator import EcrPullError
from ecr_docker_operator.pull import EcrPull
from ecr_docker_operator.registry import EcrRegistry
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from tests.recording_engine import RecordingEngine

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = f"{HOST}/app:1"
BEGINNING = f"{IMAGE}: not pulled from Amazon ECR registry {ACCOUNT} in eu-west-1."
ERROR = {"errorDetail": {"message": "boom"}, "error": "boom"}


def find(host: str | None) -> EcrRegistry | None:
    """Return the registry of *host*."""
    return EcrRegistry.parse(host) if host else None


@pytest.fixture
def client(engine: RecordingEngine) -> APIClient:
    """Provide a client of the recording engine."""
    return APIClient(base_url=engine.url, version="1.41")


@pytest.mark.parametrize(
    ("answer", "step"),
    [
        (
            "pull access denied for x, repository does not exist or may require 'docker login': denied: "
            "Your authorization token has expired. Reauthenticate and try again.",
            "The token was made for this pull: check the worker's clock and that the region is the registry's.",
        ),
        (
            "pull access denied for x, repository does not exist or may require 'docker login': denied: User: arn:x "
            "is not authorized to perform: ecr:BatchGetImage on resource: arn:y because no policy allows it.",
            "Allow ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository; if another account owns it, "
            "the owner must allow them in the repository's policy.",
        ),
        (
            "repository x not found: name unknown: The repository with name 'app' does not exist in the registry.",
            "Check the repository's name, and that this is its account and region.",
        ),
        ("manifest for x not found: manifest unknown: Requested image not found.", "Check the tag or digest."),
        ("toomanyrequests: Rate exceeded.", "The registry is throttling; the task can be tried again."),
        (
            "unexpected status from HEAD request to https://x/v2/app/manifests/1: 403 Forbidden.",
            "Check that the repository exists and that its policy allows this identity.",
        ),
        (
            "unauthorized: authentication required.",
            "Check that the host is the registry that registry_id and region_name name.",
        ),
        ("received unexpected HTTP status: 500 Internal Server Error.", ""),
    ],
    ids=["expired", "iam", "repository", "tag", "throttled", "forbidden", "unauthorized", "other"],
)
@pytest.mark.parametrize("where", ["status", "stream"])
def test_sentence(client: APIClient, engine: RecordingEngine, answer: str, step: str, where: str) -> None:
    """The error names image and registry, repeats the engine's words, and says what to do."""
    if where == "status":
        engine.pull_status, engine.pull_answer = 404, answer
    else:
        engine.stream = [{"status": "Pulling"}, {"errorDetail": {"message": answer}, "error": answer}]
    pull = EcrPull(client.pull, find)
    sentence = f"{BEGINNING} {answer} {step}".rstrip()
    with pytest.raises(EcrPullError, match=f"^{re.escape(sentence)}$"):
        list(pull(IMAGE, stream=True, decode=True))


@pytest.mark.parametrize(
    "how", [{}, {"stream": True}, {"stream": True, "decode": True}], ids=["text", "bytes", "items"]
)
def test_error_inside_the_stream(client: APIClient, engine: RecordingEngine, how: dict[str, bool]) -> None:
    """An error inside the stream is raised in every form in which docker-py hands out the stream."""
    engine.stream = [{"status": "Pulling"}, ERROR, {"status": "Never seen"}]
    seen: list[Any] = []
    pull = EcrPull(client.pull, find)
    with pytest.raises(EcrPullError, match=re.escape(f"{BEGINNING} boom.")):
        seen.extend(pull(IMAGE, **how))
    assert "Never seen" not in str(seen)


@pytest.mark.parametrize(
    "how", [{}, {"stream": True}, {"stream": True, "decode": True}], ids=["text", "bytes", "items"]
)
def test_pull_that_succeeds(client: APIClient, engine: RecordingEngine, how: dict[str, bool]) -> None:
    """A pull that succeeds hands out what docker-py hands out."""
    engine.stream = [{"status": "Pulling"}, {"status": "Done", "id": "layer"}]
    expected = client.pull(IMAGE, **how)
    answer = EcrPull(client.pull, find)(IMAGE, **how)
    assert type(expected) is type(answer)
    assert list(expected) == list(answer)


@pytest.mark.parametrize(
    "how", [{}, {"stream": True}, {"stream": True, "decode": True}], ids=["text", "bytes", "items"]
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_error_however_the_stream_is_cut(
    client: APIClient, engine: RecordingEngine, how: dict[str, bool], size: int
) -> None:
    """The pieces in which the stream arrives need not be its items, nor need an error be called by its old name."""
    engine.stream = [{"status": "Pulling"}, {"errorDetail": {"message": "boom"}}]
    engine.piece = size
    with pytest.raises(EcrPullError, match=re.escape(f"{BEGINNING} boom.")):
        list(EcrPull(client.pull, find)(IMAGE, **how))


def test_tag_and_options_are_passed_on(client: APIClient, engine: RecordingEngine) -> None:
    """All parameters of docker-py's pull reach the engine."""
    EcrPull(client.pull, find)(f"{HOST}/app", "2", platform="linux/arm64")
    assert engine.pulls()[0].query == {"fromImage": [f"{HOST}/app"], "tag": ["2"], "platform": ["linux/arm64"]}


def test_other_registries_are_left_alone(client: APIClient, engine: RecordingEngine) -> None:
    """Pulls from elsewhere raise, or do not raise, what docker-py does."""
    pull = EcrPull(client.pull, find)
    engine.stream = [ERROR]
    assert list(pull("busybox:1", stream=True, decode=True)) == [ERROR]
    engine.pull_status, engine.pull_answer = 404, "no such thing"
    with pytest.raises(NotFound):
        pull("quay.io/app:1")


def test_cause_is_kept(client: APIClient, engine: RecordingEngine) -> None:
    """docker-py's exception is the cause, for those who look for its status."""
    engine.pull_status, engine.pull_answer = 500, "oops"
    with pytest.raises(EcrPullError) as caught:
        EcrPull(client.pull, find)(IMAGE)
    assert isinstance(caught.value.__cause__, APIError)
    assert caught.value.__cause__.status_code == 500


def test_it_is_still_docker_pys_method(client: APIClient) -> None:
    """In all that is not a call, it is the method that it stands for."""
    pull = EcrPull(client.pull, find)
    assert pull.__self__ is client
    assert copy.copy(pull).__self__ is client
    assert pull.__name__ == "pull"
