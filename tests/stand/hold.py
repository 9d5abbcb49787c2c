"""A place on the stand that blocks its callers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

# Time limit, so that a failing test ends.
SECONDS = 600


class Hold:
    """Blocks every caller until the ``with`` block ends."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._released = threading.Event()

    def __enter__(self) -> Self:
        """Start to block callers."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release all callers."""
        self._released.set()

    def __call__(self) -> None:
        """Wait."""
        self._reached.set()
        self._released.wait(SECONDS)

    def wait_for_somebody(self) -> None:
        """Wait until the first caller is blocked.

        :raises TimeoutError: if there is no caller.
        """
        if not self._reached.wait(SECONDS):
            raise TimeoutError
