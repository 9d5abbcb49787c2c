"""Calls to AWS: they end, and their errors contain no credential and nothing of Python's."""

from __future__ import annotations

import json
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from ecr_docker_operator import EcrTokenError
from ecr_docker_operator.aws.calls import UnreadableError, call, longest_call, within
from ecr_docker_operator.aws.identity import DEFAULT_CONFIG, AwsIdentity
from ecr_docker_operator.aws.token import fetch_credentials
from ecr_docker_operator.ecr.registry import EcrRegistry
from tests.airflow_names import Connection
from tests.reliability.sockets import dripping
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws


REGISTRY = EcrRegistry.private(ACCOUNT, "eu-west-1")


def busy(seconds: float) -> str:
    """Run Python code for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.001)
    return "result"


def test_result_and_error() -> None:
    """What ends in time returns its result or raises its own error, and leaves no thread."""
    before = threading.enumerate()
    assert within(60, lambda: busy(0)) == "result"
    assert within(None, lambda: busy(0)) == "result"
    with pytest.raises(ZeroDivisionError):
        within(60, lambda: 1 // 0)
    assert not set(threading.enumerate()) - set(before)


def test_interrupted_in_its_own_thread() -> None:
    """What takes longer is interrupted, even where it catches every error, and cleans up."""
    ended = []

    def action() -> None:
        try:
            while True:
                with suppress(Exception):  # as botocore does before another attempt
                    busy(60)
        finally:
            ended.append(threading.current_thread())

    with pytest.raises(TimeoutError, match=r"^no complete answer within 1 s$"):
        within(1, action)
    assert ended == [threading.current_thread()]


@pytest.mark.slow
def test_answer_that_does_not_end(aws: Aws) -> None:
    """A call whose answer arrives byte by byte is not tried again, and its connection is closed."""
    del aws
    config = Config(connect_timeout=0.5, read_timeout=0.5, retries={"total_max_attempts": 2})
    with dripping() as url:
        client = boto3.client("ecr", "eu-west-1", endpoint_url=url, config=config)
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="no complete answer within 8 s"):
            call(client.get_authorization_token)
        assert time.monotonic() - began < 12


def chain(error: BaseException) -> str:
    """Return what an error and all errors before it say, with the variables of their frames but the test's own."""
    found: list[str] = []
    seen = [error]
    for each in seen:
        frames = each.__traceback__.tb_next if each is error and each.__traceback__ else each.__traceback__
        found += traceback.TracebackException(type(each), each, frames, capture_locals=True, compact=True).format()
        seen += [before for before in (each.__cause__, each.__context__) if before and before not in seen]
    return "".join(found)


@pytest.mark.parametrize("name", ["AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"])
def test_credential_with_a_line_break(name: str, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """http.client would show it; the error says what is wrong, and does not contain it."""
    del aws
    monkeypatch.setenv(name, "TOPSECRET\n")
    with pytest.raises(EcrTokenError, match=r"such as a line break\. Correct it where") as caught:
        fetch_credentials(REGISTRY, AwsIdentity(None))
    assert "TOPSECRET" not in chain(caught.value)
    with pytest.raises(UnreadableError, match="such as a line break") as unknown:
        AwsIdentity(None).arn(REGISTRY)
    assert "TOPSECRET" not in chain(unknown.value)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "x",
        {"authorizationData": ["x"]},
        {"authorizationData": 5},
        {"authorizationData": [{"authorizationToken": "QVdTOlRPUFNFQ1JFVA==", "expiresAt": "soon"}]},
    ],
    ids=repr,
)
def test_odd_answer(answer: Any, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that botocore cannot read is said to be one, and not kept."""
    engine.answers["/"] = (200, json.dumps(answer))
    monkeypatch.setenv("AWS_ENDPOINT_URL", engine.url.replace("tcp", "http"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(EcrTokenError, match=r"An answer cannot be read: \w+Error: .* Check what answers") as caught:
        fetch_credentials(REGISTRY, AwsIdentity(None))
    assert "QVdTOlRPUFNFQ1JFVA" not in chain(caught.value)


@pytest.mark.parametrize(
    "extra",
    ['{"config_kwargs": {"read_timeout": "x"}}', '{"role_arn": "x", "assume_role_method": "other"}'],
)
def test_odd_settings(extra: str, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that the provider cannot read are said to be ones, with where to look."""
    monkeypatch.setenv("AIRFLOW_CONN_ODD", Connection(conn_id="x", conn_type="aws", extra=extra).get_uri())
    with pytest.raises(EcrTokenError, match=r"settings cannot be used: .* Check the AWS connection's fields and extra"):
        fetch_credentials(REGISTRY, AwsIdentity("odd"))
    assert aws.tokens == []


@pytest.mark.parametrize(
    ("config", "seconds"),
    [
        (DEFAULT_CONFIG, 8 * 20 + 71 + 5),
        ({}, 5 * 120 + 15 + 5),
        ({"retries": {"max_attempts": 1}}, 2 * 120 + 1 + 5),
        ({"retries": {"mode": "adaptive"}}, 5 * 120 + 15 + 5),
        ({"connect_timeout": 1, "read_timeout": 1.5, "retries": {"total_max_attempts": 1}}, 2.5 + 5),
        ({"read_timeout": None}, None),
        ({"retries": {"total_max_attempts": 10**6}}, 10**6 * 120 + 31 + 20 * (10**6 - 6) + 5),
    ],
)
def test_longest_call(config: dict[str, Any], seconds: float | None, aws: Aws) -> None:
    """The limit is what botocore's own attempts, time-outs and pauses add up to, and 5 s more."""
    client = boto3.client("ecr", "eu-west-1", endpoint_url=aws.url, config=Config(**config))
    assert longest_call(client.meta.config) == seconds
    assert longest_call(Config(**config)) == seconds
