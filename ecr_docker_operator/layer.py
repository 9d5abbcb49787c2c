"""What the engine has said of one layer of an image that it pulls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Layer:
    """One layer; its sizes are in bytes, as the registry has it, and 0 as long as they are not known.

    The engine's words for a layer are in no document. They are those of its own image store (moby,
    ``distribution``) and of containerd's (``daemon/containerd``); others change nothing.
    """

    status: str = ""
    """What was said last."""
    size: int = 0
    fetched: int = 0
    extracted: int = 0
    complete: bool = False
    """Whether all of it was fetched."""
    done: bool = False
    """Whether it is ready for use."""
    here: bool = False
    """Whether it was so before the pull."""

    def update(self, status: str, detail: Mapping[str, Any]) -> None:
        """Take in what the engine says: the *status*, and the ``progressDetail`` that goes with it."""
        self.status = status
        # containerd's image store counts an extraction in seconds.
        detail = {} if detail.get("units") else detail
        current, total = _number(detail.get("current")), _number(detail.get("total"))
        if status in ("Verifying Checksum", "Download complete"):
            self._fetch_all()
        elif status == "Extracting":
            self.extracted = max(self.extracted, current)
            self._know(total)
            self._fetch_all()
        elif status == "Pull complete":
            self.done = True
            self._know(self.extracted)
            self._fetch_all()
        elif status == "Already exists":
            self.here = self.here or not (self.fetched or self.complete)
            self.done = self.complete = True
        elif current:
            self._fetch(current, total)
        elif status == "Pulling fs layer" and not self.done:
            # It may have been begun before, with a token that has expired since, and nothing of that is left.
            self.fetched, self.complete = 0, False

    def _fetch(self, current: int, total: int) -> None:
        self._know(total)
        # That all is fetched is said of what breaks off, too: only the next status tells.
        if total and current < total:
            # What broke off is gone on with, and then only what was left is counted.
            self.fetched = max(self.fetched, self.size - total + current)
        elif not self.size:
            self.fetched = max(self.fetched, current)

    def _know(self, size: int) -> None:
        if size:
            self.size = max(self.size, size, self.fetched)

    def _fetch_all(self) -> None:
        self.complete = True
        self.fetched = max(self.fetched, self.size)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
