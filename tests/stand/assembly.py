"""A group of parts that start and end together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Assembly(ABC):
    """Parts that ``with`` starts one after the other, and ends in reverse order."""

    @abstractmethod
    def _assemble(self, parts: ExitStack) -> None:
        """Start all parts and enter each into *parts*."""

    def __enter__(self) -> Self:
        """Start all parts; if one fails to start, end the earlier ones."""
        with ExitStack() as parts:
            self._assemble(parts)
            self._parts = parts.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all parts."""
        self._parts.close()
