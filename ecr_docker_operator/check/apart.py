"""Runs code that may do anything in a process of its own."""

from __future__ import annotations

import io
import os
import pickle
import signal
import time
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

T = TypeVar("T")

_POLL = 0.5
"""How often, in seconds, to look whether a silent process has ended."""


class ApartError(Exception):
    """The process ended before its work was done, or found what cannot be brought out of it."""


def run_apart(work: Callable[[Callable[[T], None]], None], patience: Callable[[], float]) -> Iterator[T]:
    """Call *work* in a copy of this process, and yield copies of what it passes to its argument.

    The copy, and the processes that it has started, end with the work; what it registered for its end does not run.

    :param patience: returns how many seconds to wait for what comes next.
    :raises ApartError: if the copy ends before *work* returns, or what it passes cannot be copied.
    :raises TimeoutError: if nothing comes in time.
    """
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, sender))
    process.start()
    sender.close()
    try:
        while message := _receive(receiver, process, patience()):
            yield _unpacked(message)
    finally:
        with suppress(ProcessLookupError):  # it has no group of its own yet, or any more
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.kill()
        process.join()
        receiver.close()


def _receive(receiver: Connection, process: ForkProcess, seconds: float) -> bytes:
    deadline = time.monotonic() + seconds
    while not receiver.poll(_POLL):
        # Processes that it has started may hold its end of the pipe.
        if not process.is_alive() and not receiver.poll():
            break
        if time.monotonic() > deadline:
            raise TimeoutError
    with suppress(EOFError, OSError):
        if receiver.poll():
            return receiver.recv_bytes()
    process.join(_POLL)
    msg = f"It ended the process that read it ({_how(process.exitcode)})."
    raise ApartError(msg)


def _run(work: Callable[[Callable[[Any], None]], None], sender: Connection) -> None:
    copy = os.getpid()

    def send(message: bytes) -> None:
        if os.getpid() != copy:  # the work has made a copy of it
            os._exit(1)
        sender.send_bytes(message)

    try:
        os.setsid()  # signals to its group are not for the first process
        work(lambda found: send(_packed(found)))
        send(b"")
    finally:
        os._exit(1)


_PLAIN = (int, float, dict, list, tuple)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        # Its class, such as a StrEnum of images, may exist in the copy only.
        if isinstance(value, str):
            return str, (str.__str__(value),)
        kind = next((kind for kind in _PLAIN if isinstance(value, kind)), None)
        return (kind, (kind(value),)) if kind else NotImplemented


def _packed(found: Any) -> bytes:
    packed = io.BytesIO()
    try:
        _Pickler(packed).dump(found)
    except Exception as error:  # noqa: BLE001 - what a DAG file has made may raise anything
        return pickle.dumps(_cannot_copy(error))
    return packed.getvalue()


def _unpacked(message: bytes) -> Any:
    try:
        found = pickle.loads(message)  # noqa: S301 - from ourselves
    except Exception as error:
        raise _cannot_copy(error) from error
    if isinstance(found, ApartError):
        raise found
    return found


def _cannot_copy(error: Exception) -> ApartError:
    return ApartError(f"Its tasks have parameters that the check cannot read: {error}.")


def _how(status: int | None) -> str:
    if status is None:
        return "its status is not known"
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
