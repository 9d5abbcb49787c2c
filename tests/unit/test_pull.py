"""A pull from Amazon ECR raises the errors that the engine reports; any other pull is docker-py's."""

from __future__ import annotations

import copy
import json
import re
from traceback import TracebackException
from typing import TYPE_CHECKING, Any

import pytest
from docker.api.client import APIClient
from docker.auth import encode_header
from docker.errors import APIError, NotFound

from ecr_docker_operator import EcrEngineError, EcrPullError, EcrStartError
from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.engine.client import EcrClient
from ecr_docker_operator.hints import NO_PLATFORM
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = f"{HOST}/app:1"
BEGINNING = f"{IMAGE}: not pulled from Amazon ECR registry {ACCOUNT} in eu-west-1 for the worker's own AWS credentials."
ERROR = {"errorDetail": {"message": "boom"}, "error": "boom"}


def plain(engine: RecordingEngine) -> APIClient:
    """Return docker-py's own client of *engine*."""
    return APIClient(base_url=engine.url, version="1.41")


@pytest.fixture
def client(engine: RecordingEngine, aws: Aws) -> APIClient:  # noqa: ARG001 - tokens come from there
    """Provide our client of the recording engine."""
    return EcrClient.from_api_client(plain(engine), identity=AwsIdentity(None))


WAY = (
    "Check the way from the engine's host to the registry: without internet, the VPC endpoints "
    "com.amazonaws.eu-west-1.ecr.dkr, with a private DNS name, and com.amazonaws.eu-west-1.s3 are needed."
)
UNEXPLAINED = "Check the repository's name, the tag or digest, and that the identity may pull it."


def refuse(engine: RecordingEngine, where: str, answer: str) -> None:
    """Make *engine* answer a pull with an error, as its status or inside the stream."""
    if where == "status":
        engine.pull_status, engine.pull_answer = 404, answer
    else:
        engine.stream = [{"status": "Pulling"}, {"errorDetail": {"message": answer}, "error": answer}]


# If AWS does not know the reason (tests/unit/test_manifest.py), the error shows the engine's message.
# tests/reliability/ covers the messages of the stand's engines; these are from other engines and network failures.
@pytest.mark.parametrize(
    ("answer", "step"),
    [
        (
            "error from registry: Your authorization token has expired. Reauthenticate and try again.",
            "A new token did not help: check the worker's clock, the policy of the VPC endpoint "
            "com.amazonaws.eu-west-1.ecr.dkr and, for an alias host, registry_id and region_name.",
        ),
        (
            "pull access denied for x, repository does not exist or may require 'docker login'.",
            UNEXPLAINED,
        ),
        (
            "unexpected status from HEAD request to https://x/v2/app/manifests/1: 403 Forbidden.",
            UNEXPLAINED,
        ),
        (
            'failed to resolve reference "x": pull access denied, repository does not exist or may require '
            "authorization: authorization failed: no basic auth credentials.",
            "The engine sent no login. Please report this with the versions you use.",
        ),
        (
            "User: arn:x is not authorized to perform: ecr:BatchGetImage on resource: arn:y.",
            UNEXPLAINED,
        ),
        (
            "unexpected status from GET request to https://x: 500 Internal Server Error.",
            "The registry failed. The task can be tried again.",
        ),
        ("unauthorized: authentication required.", UNEXPLAINED),
        ('Get "https://x/v2/": dial tcp: lookup x on 10.0.0.2:53: no such host.', WAY),
        ('Get "https://x/v2/": dial tcp 10.0.0.3:443: i/o timeout.', WAY),
        ('Get "https://x/v2/": dial tcp 10.0.0.3:443: connect: connection refused.', WAY),
        (
            'Get "https://x/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded '
            "while awaiting headers).",
            WAY,
        ),
        (
            'Get "https://x/v2/": x509: certificate signed by unknown authority.',
            f"Give the engine the certificate of the server that answers, in /etc/docker/certs.d/{HOST}/ca.crt.",
        ),
        (
            "read tcp 10.0.0.2:5->10.0.0.3:443: read: connection reset by peer.",
            "The transfer broke off. The task can be tried again.",
        ),
        ("something that nobody has seen.", ""),
    ],
    ids=[
        "expired",
        "denied",
        "forbidden",
        "anonymous",
        "not-authorized",
        "failed",
        "unauthorized",
        "no-name",
        "no-answer",
        "refused",
        "timeout",
        "tls",
        "reset",
        "other",
    ],
)
@pytest.mark.parametrize("where", ["status", "stream"])
def test_sentence(client: APIClient, engine: RecordingEngine, answer: str, step: str, where: str) -> None:
    """The error names image and registry, repeats the engine's message, and says what to do."""
    refuse(engine, where, answer)
    sentence = f"{BEGINNING} {answer} {step}".rstrip()
    with pytest.raises(EcrPullError, match=f"^{re.escape(sentence)}$"):
        list(client.pull(IMAGE, stream=True, decode=True))


@pytest.mark.parametrize(
    "answer",
    [
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        "no match for platform in manifest sha256:0: not found",
        'image operating system "windows" cannot be used on this platform',
    ],
)
def test_other_platform(answer: str, client: APIClient, engine: RecordingEngine, aws: Aws) -> None:
    """An image without the engine's platform always has the same error, whatever the engine's wording."""
    refuse(engine, "stream", answer)
    sentence = f"{BEGINNING} {NO_PLATFORM}. Push an image for the platform of the engine, too."
    with pytest.raises(EcrPullError, match=f"^{re.escape(sentence)}$"):
        list(client.pull(IMAGE, stream=True, decode=True))
    assert len(aws.calls) == 1


def test_vpc_endpoints_in_china(client: APIClient, engine: RecordingEngine) -> None:
    """In China, the VPC endpoint of Amazon ECR has another name than elsewhere; that of S3 does not."""
    engine.pull_status, engine.pull_answer = 500, "dial tcp: lookup x: no such host"
    way = "cn.com.amazonaws.cn-north-1.ecr.dkr, with a private DNS name, and com.amazonaws.cn-north-1.s3 are"
    with pytest.raises(EcrPullError, match=re.escape(way)):
        client.pull(f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/app:1")


@pytest.mark.parametrize(
    "how", [{}, {"stream": True}, {"stream": True, "decode": True}], ids=["text", "bytes", "items"]
)
def test_error_inside_the_stream(client: APIClient, engine: RecordingEngine, how: dict[str, bool]) -> None:
    """An error inside the stream is raised for every form of docker-py's stream."""
    engine.stream = [{"status": "Pulling"}, ERROR, {"status": "Never seen"}]
    seen: list[Any] = []
    with pytest.raises(EcrPullError, match=re.escape(f"{BEGINNING} boom.")):
        seen.extend(client.pull(IMAGE, **how))
    assert "Never seen" not in str(seen)


@pytest.mark.parametrize(
    "how", [{}, {"stream": True}, {"stream": True, "decode": True}], ids=["text", "bytes", "items"]
)
def test_pull_that_succeeds(client: APIClient, engine: RecordingEngine, how: dict[str, bool]) -> None:
    """A successful pull returns docker-py's result."""
    engine.stream = [{"status": "Pulling"}, {"status": "Done", "id": "layer"}]
    expected = plain(engine).pull(IMAGE, **how)
    answer = client.pull(IMAGE, **how)
    assert type(expected) is type(answer)
    assert list(expected) == list(answer)


@pytest.mark.parametrize(
    "how", [{}, {"stream": True}, {"stream": True, "decode": True}], ids=["text", "bytes", "items"]
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_error_however_the_stream_is_cut(
    client: APIClient, engine: RecordingEngine, how: dict[str, bool], size: int
) -> None:
    """An error is found however the stream is split, and also without its deprecated key."""
    engine.stream = [{"status": "Pulling"}, {"errorDetail": {"message": "boom"}}]
    engine.piece = size
    with pytest.raises(EcrPullError, match=re.escape(f"{BEGINNING} boom.")):
        list(client.pull(IMAGE, **how))


def test_tag_and_options_are_passed_on(client: APIClient, engine: RecordingEngine) -> None:
    """All parameters of docker-py's pull reach the engine."""
    client.pull(f"{HOST}/app", "2", platform="linux/arm64")
    assert engine.pulls()[0].query == {"fromImage": [f"{HOST}/app"], "tag": ["2"], "platform": ["linux/arm64"]}


@pytest.mark.parametrize(
    "how", [{}, {"stream": True}, {"stream": True, "decode": True}], ids=["text", "bytes", "items"]
)
@pytest.mark.parametrize("where", ["status", "stream"])
def test_new_token_where_the_registry_says_that_it_has_expired(
    client: APIClient, engine: RecordingEngine, aws: Aws, how: dict[str, bool], where: str
) -> None:
    """A pull with an expired token is retried once with a new token, and returns the second stream."""
    expired = "denied: Your authorization token has expired. Reauthenticate and try again."
    engine.once = (404, expired) if where == "status" else (200, json.dumps({"errorDetail": {"message": expired}}))
    answer = client.pull(IMAGE, **how)
    assert "Done" in (answer if isinstance(answer, str) else str(list(answer)))
    assert engine.passwords() == [token.password for token in aws.tokens]
    assert len(aws.tokens) == 2


def test_one_new_token_only(client: APIClient, engine: RecordingEngine, aws: Aws) -> None:
    """If the registry reports the second token as expired, too, there is no third try."""
    expired = "denied: Your authorization token has expired. Reauthenticate and try again."
    engine.once = (404, expired)
    engine.stream = [{"status": "Pulling"}, {"errorDetail": {"message": expired}}]
    with pytest.raises(EcrPullError, match="A new token did not help"):
        list(client.pull(IMAGE, stream=True, decode=True))
    assert len(aws.tokens) == 2


REFUSED = "unexpected status from HEAD request to https://x/v2/app/manifests/1: 403 Forbidden"


def give(aws: Aws) -> None:
    """Make AWS give access to every image and its layers."""
    manifest = json.dumps({"config": {"digest": "sha256:0"}})
    aws.operations["BatchGetImage"] = lambda *_: {"images": [{"imageManifest": manifest}], "failures": []}
    aws.operations["GetDownloadUrlForLayer"] = lambda *_: {"downloadUrl": "https://s3", "layerDigest": "sha256:0"}


@pytest.mark.parametrize("where", ["status", "stream"])
def test_new_token_where_aws_gives_the_image(client: APIClient, engine: RecordingEngine, aws: Aws, where: str) -> None:
    """If AWS allows access to the image, one new token is tried, however the engine reports the refusal."""
    give(aws)
    engine.once = (404, REFUSED) if where == "status" else (200, json.dumps({"errorDetail": {"message": REFUSED}}))
    assert "Done" in str(list(client.pull(IMAGE, stream=True, decode=True)))
    assert engine.passwords() == [token.password for token in aws.tokens]
    assert len(aws.tokens) == 2


@pytest.mark.parametrize("where", ["status", "stream"])
def test_two_tokens_are_refused(client: APIClient, engine: RecordingEngine, aws: Aws, where: str) -> None:
    """If the registry refuses the second token, too, the error says that AWS allows access to the image."""
    give(aws)
    refuse(engine, where, REFUSED)
    sentence = f"{BEGINNING} The registry refused the token, although AWS gives the image to this identity. A new token"
    with pytest.raises(EcrPullError, match=re.escape(sentence)):
        list(client.pull(IMAGE, stream=True, decode=True))
    assert len(aws.tokens) == 2


@pytest.mark.parametrize("where", ["status", "stream"])
def test_aws_says_why(client: APIClient, engine: RecordingEngine, aws: Aws, where: str) -> None:
    """The error has AWS's reason and its next step, and no second token is requested."""
    failure = {"failureCode": "KmsError", "failureReason": "The key is disabled."}
    aws.operations["BatchGetImage"] = lambda *_: {"images": [], "failures": [failure]}
    refuse(engine, where, REFUSED)
    step = "Check that the KMS key of the repository is enabled, and that Amazon ECR may use it."
    with pytest.raises(EcrPullError, match=f"^{re.escape(f'{BEGINNING} The key is disabled (KmsError). {step}')}$"):
        list(client.pull(IMAGE, stream=True, decode=True))
    assert len(aws.tokens) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "dial tcp: lookup x on 10.0.0.2:53: no such host",
        "failed to extract layer sha256:a403b404c401: unexpected EOF: unknown",
        "failed to extract layer sha256:a403b404c401: archive/tar: invalid tar header: unknown",
        "failed to register layer: open /data/x: permission denied",
    ],
)
def test_aws_is_not_asked_what_it_cannot_know(
    answer: str, client: APIClient, engine: RecordingEngine, aws: Aws
) -> None:
    """For failures of network, disk or platform, AWS is not asked for the reason."""
    refuse(engine, "stream", answer)
    with pytest.raises(EcrPullError, match=re.escape(answer)):
        list(client.pull(IMAGE, stream=True, decode=True))
    assert [call.operation for call in aws.calls] == ["GetAuthorizationToken"]


def raw(status: str, content: str, kind: str = "text/html") -> bytes:
    """Return an HTTP response."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return (head + content).encode()


@pytest.mark.parametrize(
    "how", [{}, {"stream": True}, {"stream": True, "decode": True}], ids=["text", "bytes", "items"]
)
@pytest.mark.parametrize(
    "answer",
    [
        raw("403 Forbidden", "<html>Request forbidden by administrative rules.</html>"),
        raw("502 Bad Gateway", "the proxy has no engine"),
        raw("200 OK", "<html>Welcome</html>"),
        raw("200 OK", '{"status": "Pulling"}\r\n{"status": "Pull', kind="application/json"),
        raw("500 Internal Server Error", '{"error": "of somebody else"}', kind="application/json"),
    ],
    ids=["forbidden", "gateway", "page", "half", "other-json"],
)
def test_not_an_engine(
    answer: bytes, how: dict[str, bool], client: APIClient, engine: RecordingEngine, aws: Aws
) -> None:
    """A response that no Docker engine would send is an engine error; AWS is not asked for the reason."""
    engine.raw["/images/create"] = answer
    sentence = f"{IMAGE}: not pulled. {engine.url}: something else than a Docker engine answered. "
    with pytest.raises(EcrEngineError, match=f"^{re.escape(sentence)}.+ Check what is between") as caught:
        list(client.pull(IMAGE, **how))
    assert "\n" not in str(caught.value)
    assert [call.operation for call in aws.calls] == ["GetAuthorizationToken"]


@pytest.mark.parametrize("item", [{"errorDetail": "boom"}, {"errorDetail": None, "error": "boom"}, {"error": "boom"}])
def test_odd_error_items(item: dict[str, Any], client: APIClient, engine: RecordingEngine) -> None:
    """An error item in another form is recognized, too."""
    engine.stream = [item]
    with pytest.raises(EcrPullError, match=re.escape(f"{BEGINNING} boom.")):
        list(client.pull(IMAGE, stream=True, decode=True))


def test_nobody_forges_a_line_of_the_log(client: APIClient, engine: RecordingEngine) -> None:
    """Line breaks, escape sequences and invalid characters in a response are escaped."""
    engine.stream = [{"error": "boom\r\n[2026-11-27] INFO all is well\x1b[2J\ud800\u202e"}]
    with pytest.raises(EcrPullError) as caught:
        list(client.pull(IMAGE, stream=True, decode=True))
    assert r"boom\r\n[2026-11-27] INFO all is well\x1b[2J\ud800\u202e." in str(caught.value)
    assert str(caught.value).isprintable()


def test_other_registries_are_left_alone(client: APIClient, engine: RecordingEngine) -> None:
    """Pulls from elsewhere raise the same errors as docker-py, or none."""
    engine.stream = [ERROR]
    assert list(client.pull("busybox:1", stream=True, decode=True)) == [ERROR]
    engine.pull_status, engine.pull_answer = 404, "no such thing"
    with pytest.raises(NotFound):
        client.pull("quay.io/app:1")


def test_cause_is_kept(client: APIClient, engine: RecordingEngine) -> None:
    """docker-py's exception is the cause, so that code can read its status."""
    engine.pull_status, engine.pull_answer = 500, "oops"
    with pytest.raises(EcrPullError) as caught:
        client.pull(IMAGE)
    assert isinstance(caught.value.__cause__, APIError)
    assert caught.value.__cause__.status_code == 500


def test_error_carries_no_token(client: APIClient, engine: RecordingEngine, aws: Aws) -> None:
    """Neither the frames of the error nor its stored request contain the login."""
    engine.pull_status, engine.pull_answer = 500, "oops"
    with pytest.raises(EcrPullError) as caught:
        client.pull(IMAGE)
    [password] = engine.passwords()
    assert password == aws.tokens[0].password
    header = engine.asked[-1].login or {}
    told = "".join(TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "in pull" in told
    assert encode_header(header).decode() not in told
    assert isinstance(caught.value.__cause__, APIError)
    assert caught.value.__cause__.response is not None
    assert "X-Registry-Auth" not in caught.value.__cause__.response.request.headers


def test_errors_of_others_are_left_alone(client: APIClient, engine: RecordingEngine) -> None:
    """A pull that fails while another error is handled does not clear that error's frames or generators."""
    engine.pull_status, engine.pull_answer = 500, "oops"

    def earlier() -> Iterator[Exception]:
        for text in ("one", "two", "three"):
            try:
                int(text)
            except ValueError as error:
                yield error

    rounds = 0
    for error in earlier():
        try:
            raise error
        except ValueError:
            with pytest.raises(EcrPullError):
                client.pull(IMAGE)
        rounds += 1
    assert rounds == 3


def test_it_is_docker_pys_client(client: APIClient) -> None:
    """Our client is an instance of docker-py's, and can be copied."""
    assert isinstance(client, APIClient)
    assert isinstance(copy.copy(client), EcrClient)


@pytest.mark.parametrize(
    ("status", "answer", "pulls"),
    [
        (404, f"No such image: {IMAGE}", 3),
        # containerd's store and Podman, in the moment in which the image is removed
        (500, "failed to prepare: parent snapshot sha256:1 does not exist: not found", 3),
        (404, "content digest sha256:1: not found", 3),
        (500, f"container create: {IMAGE}: image not known", 3),
        (500, "container create: layer not known", 3),
        (500, "no space left on device", 0),
        (404, "No such network", 0),
    ],
)
def test_image_that_is_removed(
    client: APIClient, engine: RecordingEngine, status: int, answer: str, pulls: int
) -> None:
    """An image that disappears before its container is created is pulled again, three times at most."""
    engine.answers["/containers/create"] = (status, {"message": answer})
    with pytest.raises(EcrStartError, match=re.escape(answer)):
        client.create_container(IMAGE, "true")
    assert len(engine.pulls()) == pulls
