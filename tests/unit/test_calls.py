"""The end of a call to AWS, of which the answer does not end."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from ecr_docker_operator.aws.calls import call, longest_call, within
from ecr_docker_operator.aws.identity import DEFAULT_CONFIG
from tests.reliability.sockets import dripping

if TYPE_CHECKING:
    from tests.stand.aws import Aws


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
    assert threading.enumerate() == before


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

    with pytest.raises(TimeoutError, match=r"^no complete answer within 0\.1 s$"):
        within(0.1, action)
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


@pytest.mark.parametrize(
    ("config", "seconds"),
    [
        (DEFAULT_CONFIG, 8 * 20 + 71 + 5),
        ({}, 5 * 120 + 15 + 5),
        ({"retries": {"max_attempts": 1}}, 2 * 120 + 1 + 5),
        ({"retries": {"mode": "adaptive"}}, 5 * 120 + 15 + 5),
        ({"connect_timeout": 1, "read_timeout": 1.5, "retries": {"total_max_attempts": 1}}, 2.5 + 5),
        ({"read_timeout": None}, None),
    ],
)
def test_longest_call(config: dict[str, Any], seconds: float | None, aws: Aws) -> None:
    """The limit is what botocore's own attempts, time-outs and pauses add up to, and 5 s more."""
    client = boto3.client("ecr", "eu-west-1", endpoint_url=aws.url, config=Config(**config))
    assert longest_call(client.meta.config) == seconds
    assert longest_call(Config(**config)) == seconds
