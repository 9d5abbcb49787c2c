"""Answers that no Docker engine gives: of a proxy, a login page, or something else at the engine's address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ecr_docker_operator import EcrDockerOperator, EcrEngineError
from tests.recording_engine import RecordingEngine, execute
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from tests.stand.aws import Aws

IMAGE = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app:1"
PAGE = "<!DOCTYPE html><html><head><title>Login - ACME proxy</title></head><body>" + "x" * 5000
PATHS = ["/images/json", "/images/create", "/containers/create", "/containers/1/start", "/containers/1/wait"]
WHO = "something else than a Docker engine answered. "
STEP = " Check what is between the worker and the engine, such as a proxy, and whether it allows the request."


def raw(status: str, content: str, *head: str) -> bytes:
    """Return an answer with its head."""
    return "\r\n".join(
        (f"HTTP/1.1 {status}", *head, "Connection: close", f"Content-Length: {len(content)}", "", content)
    ).encode()


def page(status: str, content: str = PAGE, kind: str = "text/html") -> bytes:
    """Return an answer of one type."""
    return raw(status, content, f"Content-Type: {kind}")


def prepare(engine: RecordingEngine) -> EcrDockerOperator:
    """Return a task whose container starts on *engine*, and ends."""
    engine.answers["/containers/create"] = (201, {"Id": "1"})
    engine.answers["/containers/1/start"] = (204, "")
    engine.answers["/containers/1/json"] = (
        200,
        {"Config": {"Tty": False}, "HostConfig": {"LogConfig": {"Type": "json-file"}}},
    )
    engine.answers["/containers/1/logs"] = (200, b"")
    # docker-py reads until the engine hangs up.
    engine.raw["/containers/1/attach"] = page("200 OK", "", "application/vnd.docker.raw-stream")
    engine.answers["/containers/1/wait"] = (200, {"StatusCode": 0})
    return EcrDockerOperator(
        task_id="task", image=IMAGE, docker_url=engine.url, api_version="1.41", auto_remove="never"
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page("403 Forbidden"), "403 Forbidden: a page of HTML: Login - ACME proxy."),
        (page("200 OK"), "200 OK: a page of HTML: Login - ACME proxy."),
        (page("502 Bad Gateway", "no backend", "text/plain"), "502 Bad Gateway: no backend."),
        (page("403 Forbidden", '"teapot"', "application/json"), '403 Forbidden: "teapot".'),
        (page("500 Oops", "[1, 2]", "application/json"), "500 Oops: [1, 2]."),
        (
            raw("307 Temporary Redirect", "", "Location: http://other.example.com/x"),
            "307 Temporary Redirect: a redirection to http://other.example.com/x.",
        ),
        (raw("302 Found", "", "Location: foo://bar"), "302 Found: a redirection to foo://bar."),
    ],
    ids=["page", "page-200", "text", "string", "list", "redirection", "nowhere"],
)
def test_who_answered(path: str, answer: bytes, words: str, engine: RecordingEngine, aws: Aws) -> None:
    """Whatever the request, the error says that it was no engine, repeats its words, and holds no login."""
    task = prepare(engine)
    engine.raw[path] = answer
    with pytest.raises(EcrEngineError) as caught:
        task.execute({})
    assert str(caught.value).endswith(f"{engine.url}: {WHO}{words}{STEP}")
    assert not [token for token in aws.tokens if token.password in str(caught.value)]


@pytest.mark.parametrize("path", ["/images/json", "/containers/create", "/containers/1/wait"])
@pytest.mark.parametrize("answer", ["null", '"x"', "{}", "", "half a {"])
def test_odd_json(path: str, answer: str, engine: RecordingEngine, aws: Aws) -> None:
    """An answer of another form is not an error of Python's."""
    del aws
    task = prepare(engine)
    engine.raw[path] = page("200 OK", answer, "application/json")
    if path == "/images/json" and answer in ("null", "{}", '"x"'):
        task.execute({})  # docker-py and DockerOperator ask only whether there is something in it
        return
    with pytest.raises(EcrEngineError, match=WHO):
        task.execute({})


@pytest.mark.parametrize(
    "answer",
    [
        page("200 OK"),
        page("403 Forbidden"),
        page("403 Forbidden", '"teapot"', "application/json"),
        page("500 Oops", "[1]", "application/json"),
    ],
    ids=["page", "page-403", "string", "list"],
)
def test_next_engine(answer: bytes, engine: RecordingEngine, aws: Aws) -> None:
    """What is no engine at the first address is left for the next one, or said."""
    del aws
    with RecordingEngine() as bad:
        bad.raw["/_ping"] = answer
        parameters: dict[str, Any] = {"task_id": "task", "image": IMAGE, "api_version": "1.41"}
        with pytest.raises(EcrEngineError, match="not connected to the Docker engine"):
            EcrDockerOperator(**parameters, docker_url=bad.url).execute({})
        execute(EcrDockerOperator(**parameters, docker_url=[bad.url, engine.url]))


def test_time_out_of_another_type(engine: RecordingEngine) -> None:
    """The parameter is named, not the engine."""
    task = EcrDockerOperator(task_id="task", image=IMAGE, docker_url=engine.url, timeout="60")
    with pytest.raises(EcrEngineError, match="Correct timeout: a number of seconds above 0"):
        task.execute({})


def test_long_answer_is_cut(engine: RecordingEngine, aws: Aws) -> None:
    """However long an answer is, the error stays readable."""
    del aws
    task = prepare(engine)
    engine.raw["/images/create"] = page("403 Forbidden", "y" * 200_000, "text/plain")
    with pytest.raises(EcrEngineError) as caught:
        task.execute({})
    assert len(str(caught.value)) < 1500
