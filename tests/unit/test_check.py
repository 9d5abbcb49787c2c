"""The steps of a check for rare answers of the engine; the system tests cover the command and the common answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from ecr_docker_operator.check.steps import Step, run
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
DIGEST = f"sha256:{'0' * 64}"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EXPIRED = "denied: Your authorization token has expired. Reauthenticate and try again."


def found(*platforms: tuple[str, str], kind: str = MANIFEST) -> tuple[int, dict[str, Any]]:
    """Return an engine's answer about an image for *platforms*."""
    named = [{"os": system, "architecture": architecture} for system, architecture in platforms]
    return 200, {"Descriptor": {"digest": DIGEST, "mediaType": kind}, "Platforms": named or None}


def steps(engine: RecordingEngine, answer: tuple[int, Any], image: str = f"{HOST}/app:1") -> dict[str, Step]:
    """Return the steps of a check on an ``arm64`` *engine* that gives this answer about the image."""
    engine.answers["/version"] = (200, {"ApiVersion": "1.41", "Version": "27.0.1", "Os": "linux", "Arch": "arm64"})
    engine.answers[f"/distribution/{quote(image, safe='/:')}/json"] = answer
    return {step.name: step for step in run(image, docker_url=engine.url)}


@pytest.mark.parametrize(
    ("parameters", "name", "said"),
    [
        ({"image": "app:1", "registry_id": ACCOUNT}, "image", "could not be looked up"),
        ({"image": f"{HOST}/app:1", "docker_url": "tcp://h:99999999"}, "engine", "Port out of range"),
    ],
    ids=["profile", "url"],
)
def test_whatever_goes_wrong_is_a_step(
    parameters: dict[str, str], name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error becomes a step, too, so that scripts always get an answer."""
    monkeypatch.setenv("AWS_PROFILE", "gone")
    *_, last = run(**parameters)
    assert (last.name, last.ok) == (name, False)
    assert said in last.text


@pytest.mark.parametrize(
    ("status", "message", "name"),
    [(403, "denied: no", "registry"), (404, "name unknown: no", "digest"), (404, "manifest unknown: no", "digest")],
)
def test_refusal_is_in_the_words_of_aws(
    status: int, message: str, name: str, engine: RecordingEngine, aws: Aws
) -> None:
    """A refusal shows AWS's reason, as in the task, whatever the engine reports."""
    failure = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
    aws.operations["BatchGetImage"] = lambda *_: {"images": [], "failures": [failure]}
    *_, last = steps(engine, (status, {"message": message}), f"{HOST}/app:1").values()
    assert (last.name, last.ok) == (name, False)
    assert "). Requested image not found (ImageNotFound). Check the tag or digest" in last.text
    assert len(aws.tokens) == 1


@pytest.mark.parametrize("answer", [(403, b"forbidden by the proxy"), (404, b"Not Found")], ids=["proxy", "podman"])
def test_engine_that_does_not_ask_registries(answer: tuple[int, bytes], engine: RecordingEngine, aws: Aws) -> None:
    """If the engine cannot or may not query registries, the steps of the image are unknown, not failed."""
    done = steps(engine, answer)
    assert [done[name].ok for name in ("token", "registry", "digest", "architecture")] == [True, None, None, None]
    assert (
        "the engine does not ask the registry, which Podman cannot do and a proxy may forbid" in done["registry"].text
    )
    assert len(aws.tokens) == 1


def test_refusal_that_the_engine_cannot_see(engine: RecordingEngine, aws: Aws) -> None:
    """If the engine does not ask the registry, AWS does, and its refusal is the error of the task."""
    aws.operations["BatchGetImage"] = lambda *_: {
        "images": [],
        "failures": [{"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}],
    }
    *_, last = steps(engine, (404, b"Not Found")).values()
    assert (last.name, last.ok) == ("digest", False)
    assert "). Requested image not found (ImageNotFound). Check the tag or digest" in last.text


def test_token_that_expired_on_its_way(engine: RecordingEngine, aws: Aws) -> None:
    """As in a task, one new token is tried if the registry reports an expired token."""

    class Once(dict[str, Any]):
        def get(self, path: str, default: Any = None) -> Any:
            if path.startswith("/distribution") and len(aws.tokens) == 1:
                return 403, {"message": EXPIRED}
            return super().get(path, default)

    engine.answers = Once(engine.answers)
    assert steps(engine, found(("linux", "arm64")))["registry"].ok is True
    first, second = (token.password for token in aws.tokens)
    sent = [asked.login for asked in engine.asked if asked.path.startswith("/distribution")]
    assert [(login or {})["password"] for login in sent] == [first, second]


@pytest.mark.parametrize(
    ("platforms", "ok"),
    [
        ([("linux", "arm64")], True),
        ([("linux", "arm")], True),
        ([("linux", "amd64"), ("linux", "arm64"), ("unknown", "unknown")], True),
        ([("linux", "amd64")], False),
        ([("windows", "arm64")], False),
        ([("linux", "x86_64")], None),
        ([("linux", "")], None),
    ],
    ids=["same", "older", "list", "other", "system", "other-spelling", "none"],
)
def test_architecture(platforms: list[tuple[str, str]], ok: bool | None, engine: RecordingEngine, aws: Aws) -> None:
    """The architecture matches or not; if either name is unknown, so is the result."""
    step = steps(engine, found(*platforms))["architecture"]
    assert step.ok is ok
    assert aws.tokens
    assert (step.text == "linux/arm64") is (ok is True)


@pytest.mark.parametrize(
    ("kind", "ok"),
    [
        ("application/vnd.docker.distribution.manifest.v2+json", False),
        ("application/vnd.oci.image.manifest.v1+json", None),
    ],
)
def test_no_platform(kind: str, ok: bool | None, engine: RecordingEngine, aws: Aws) -> None:
    """An engine never reports the platform of an OCI manifest; for Docker's own manifests, it does if it can."""
    step = steps(engine, found(kind=kind))["architecture"]
    assert (step.ok, bool(aws.tokens)) == (ok, True)


def test_other_system_in_containerds_store(engine: RecordingEngine, aws: Aws) -> None:
    """With containerd's store, an engine pulls and starts an image labelled for another system."""
    engine.answers["/info"] = (200, {"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]})
    step = steps(engine, found(("windows", "arm64")))["architecture"]
    assert (step.ok, bool(aws.tokens)) == (None, True)
    assert "the image is for windows/arm64, and the engine runs linux/arm64" in step.text


@pytest.mark.parametrize(
    "kind", ["application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json"]
)
def test_list_of_one(kind: str, engine: RecordingEngine, aws: Aws) -> None:
    """The engine pulls nothing from a list without a match, even if it has only one entry."""
    step = steps(engine, found(("linux", "amd64"), kind=kind))["architecture"]
    assert (step.ok, "There is no image for the platform that the engine runs" in step.text) == (False, True)
    assert aws.tokens


def test_answer_without_expiry(engine: RecordingEngine, aws: Aws) -> None:
    """A token without an expiry is valid."""
    aws.authorization_data = [{"authorizationToken": "QVdTOnNlY3JldA=="}]
    step = steps(engine, found(("linux", "arm64")))["token"]
    assert step == Step("token", ok=True, text=f"for Amazon ECR registry {ACCOUNT} in eu-west-1")


def test_engine_that_goes_away(engine: RecordingEngine, aws: Aws) -> None:
    """An error of the engine itself shows docker-py's message, as in a task."""
    engine.answers["/version"] = (500, {"message": "out of order"})
    *_, last = run(f"{HOST}/app:1", docker_url=engine.url)
    assert (last.name, last.ok) == ("engine", False)
    assert "out of order" in last.text
    assert aws.calls == []
