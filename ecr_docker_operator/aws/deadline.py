"""An end for calls to AWS: botocore's time-outs do not limit an answer that arrives byte by byte."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from ecr_docker_operator import hints

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_DEFAULT_SECONDS, _DEFAULT_ATTEMPTS = 60, 5
_LONGEST_PAUSE = 20
_SPARE = 5


def within(seconds: float | None, action: Callable[[], T]) -> T:
    """Return the result of *action*, which runs in a thread of its own with this thread's context variables.

    :param seconds: how long to wait, in seconds; ``None``: without limit, in this thread.
    :raises TimeoutError: if it takes longer; the thread is then left alone, and does not keep the process alive.
    """
    if seconds is None:
        return action()
    context = copy_context()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(context.run(action))
        except BaseException as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    thread = threading.Thread(target=run, name="ecr-docker-operator", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors.pop()
    if not results:
        msg = f"{hints.NO_END} {seconds:g} s"
        raise TimeoutError(msg)
    return results[0]


def longest_call(config: Any) -> float | None:
    """Return the seconds after which a call has ended, if each attempt and pause takes as long as botocore allows.

    5 s more are for credentials and the name server. ``None``: the configuration sets no limit.

    :param config: a ``botocore.config.Config`` (botocore documentation, "Config Reference" and "Retries").
    """
    timeouts = [getattr(config, name, _DEFAULT_SECONDS) for name in ("connect_timeout", "read_timeout")]
    if None in timeouts:
        return None
    retries = getattr(config, "retries", None) or {}
    # botocore turns "max_attempts" into the other, which counts the first attempt, too.
    attempts = retries.get("total_max_attempts", retries.get("max_attempts", _DEFAULT_ATTEMPTS - 1) + 1)
    pauses = sum(min(2**number, _LONGEST_PAUSE) for number in range(attempts - 1))
    return float(attempts * sum(timeouts) + pauses + _SPARE)
