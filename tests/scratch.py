"""One folder for all temporary files of a run, which is removed however the run ends.

Uses only the standard library, because ``python3 -m tests`` needs it before anything is installed.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_VARIABLE = "STAND_TMPDIR"
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def scratch() -> Iterator[Path]:
    """Put all temporary files, those of child processes too, into one new folder until the ``with`` block ends.

    In a child process, the block uses the same folder. SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, so
    that the block ends with them, and an interrupt prints no traceback. The folder's path is short, because that of a
    Unix socket has at most 107 characters.
    """
    _end_on_signals()
    before = {name: os.environ.get(name) for name in (_VARIABLE, "TMPDIR")}
    outer, current = before.values()
    # A child process may have been given another folder.
    if outer and outer == current:
        yield Path(outer)
        return
    with tempfile.TemporaryDirectory(prefix="ecr-", ignore_cleanup_errors=True) as directory:
        # Like /tmp: PostgreSQL and apt use it as other users.
        Path(directory).chmod(0o1777)
        os.environ.update(dict.fromkeys(before, directory))
        tempfile.tempdir = None
        try:
            yield Path(directory)
        finally:
            for name, value in before.items():
                del os.environ[name]
                os.environ.update({name: value} if value else {})
            tempfile.tempdir = None


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let interrupts wait until the ``with`` block ends, so that what it starts is known to who has to end it."""
    came: list[int] = []
    numbers = [number for number in _INTERRUPTS if signal.getsignal(number) is signal.default_int_handler]
    # Python handles signals in the main thread only.
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    try:
        for number in numbers:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt


def _end_on_signals() -> None:
    for number in _INTERRUPTS[1:]:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup(1)
            signal.signal(number, signal.default_int_handler)
    sys.excepthook = _say_nothing_of_interrupts


def _say_nothing_of_interrupts(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
