"""What every call to AWS has: an end, and errors that contain no credential and do not show how Python found out."""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from ecr_docker_operator import hints
from ecr_docker_operator.compat import AirflowException

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_NO_HEADER = "Invalid header value"
"""The start of http.client's message for a header with a line break; the value follows, which may be a credential."""

_DEFAULT_SECONDS, _DEFAULT_ATTEMPTS = 60, 5
_PAUSES = (1, 2, 4, 8, 16, 20)
"""Longest pauses between attempts, in seconds; all later ones are as long as the last."""
_SPARE = 5


class _Interrupt(BaseException):
    """Not an ``Exception``, which botocore would take for a failed attempt."""


class UnreadableError(Exception):
    """What AWS or the settings say cannot be used; in place of an error that is Python's, or contains a credential."""


def call(operation: Callable[..., dict[str, Any]], **parameters: Any) -> dict[str, Any]:
    """Return AWS's answer to one call, which ends after :func:`longest_call`.

    :param operation: method of a boto3 client.
    :raises TimeoutError: if the answer is not complete by then.
    :raises Exception: as :func:`readable`.
    """
    client: Any = operation.__self__  # type: ignore[attr-defined]
    seconds = longest_call(client.meta.config)
    return readable(lambda: within(seconds, lambda: operation(**parameters)), hints.UNREADABLE_ANSWER)


def readable(action: Callable[[], T], words: str) -> T:
    """Return the result of *action*, which botocore or the amazon provider carries out.

    :param words: what happened, if it raises an error of Python's.
    :raises UnreadableError: for an error of Python's, such as for an answer that is a list; and for one that contains a
        credential. It keeps nothing of that error, whose frames hold the answer.
    :raises Exception: errors of botocore, of Airflow and of the system.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return action()
    except (BotoCoreError, ClientError, AirflowException, OSError, ImportError) as error:
        if _NO_HEADER not in str(error):
            raise
        message = hints.NO_HEADER
    except Exception as error:  # noqa: BLE001 - any, for what nobody expected
        # Some are meant to be read.
        message = str(error) if hints.find(hints.AWS, str(error)) else f"{words}: {type(error).__name__}: {error}"
    raise UnreadableError(message)


def within(seconds: float | None, action: Callable[[], T]) -> T:
    """Return the result of *action*; if it takes longer than *seconds*, interrupt it where it next runs Python code.

    It runs in the thread of the caller, so that neither a thread nor a connection is left behind. It is not interrupted
    while it waits inside C code, for which botocore has time-outs.

    :param seconds: how long it may take; ``None``: without limit.
    :raises TimeoutError: if it takes longer.
    """
    if seconds is None:
        return action()
    timer = threading.Timer(seconds, _interrupt, [threading.get_ident()])
    timer.daemon = True
    try:
        timer.start()
        try:
            return action()
        finally:
            timer.cancel()
            timer.join()  # an interrupt that was raised just now arrives here
    except _Interrupt:
        msg = f"{hints.NO_END} {seconds:g} s"
        raise TimeoutError(msg) from None


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
    pauses = sum(_PAUSES[: attempts - 1]) + _PAUSES[-1] * max(attempts - 1 - len(_PAUSES), 0)
    return float(attempts * sum(timeouts) + pauses + _SPARE)


def _interrupt(thread: int) -> None:
    """Raise an exception in *thread* (Python/C API, "PyThreadState_SetAsyncExc")."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_Interrupt))
