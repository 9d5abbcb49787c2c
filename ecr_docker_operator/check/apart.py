"""Runs code that may do anything in a process of its own."""

from __future__ import annotations

import io
import os
import pickle
import signal
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

T = TypeVar("T")


class ApartError(Exception):
    """The process ended before its work was done, or found what cannot be brought out of it."""


def run_apart(work: Callable[[Callable[[T], None]], None]) -> Iterator[T]:
    """Call *work* in a copy of this process, and yield copies of what it passes to its argument.

    The copy ends with the work, whatever threads it has started; what it registered for its end does not run.

    :raises ApartError: if the copy ends before *work* returns, or what it passes cannot be copied.
    """
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, sender))
    process.start()
    sender.close()
    try:
        while message := receiver.recv_bytes():
            yield _unpacked(message)
    except EOFError:
        process.join()
        msg = f"It ended the process that read it ({_status(process.exitcode)})."
        raise ApartError(msg) from None
    finally:
        process.kill()
        process.join()
        receiver.close()


def _run(work: Callable[[Callable[[Any], None]], None], sender: Connection) -> None:
    try:
        work(lambda found: sender.send_bytes(_packed(found)))
        sender.send_bytes(b"")
    finally:
        os._exit(1)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        # Its class, such as a StrEnum of images, may exist in the copy only.
        return (str, (str.__str__(value),)) if isinstance(value, str) else NotImplemented


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


def _status(status: int | None) -> str:
    return f"signal {signal.Signals(-status).name}" if status and status < 0 else f"status {status}"
