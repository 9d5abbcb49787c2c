"""A place on the stand where whoever arrives is kept waiting."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

# Limit of waiting, so that a test that fails ends.
SECONDS = 120


class Hold:
    """Keeps every caller waiting until the ``with`` block ends."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._released = threading.Event()

    def __enter__(self) -> Self:
        """Start to keep callers waiting."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let all of them go on."""
        self._released.set()

    def __call__(self) -> None:
        """Wait."""
        self._reached.set()
        self._released.wait(SECONDS)

    def wait_for_somebody(self) -> None:
        """Wait until the first caller waits.

        :raises TimeoutError: if nobody comes.
        """
        if not self._reached.wait(SECONDS):
            raise TimeoutError
