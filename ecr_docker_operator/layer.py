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
        if status == "Pulling fs layer" and not self.done:
            # It may have been begun before, with a token that has expired, and nothing of that is left.
            self.fetched, self.complete = 0, False
        elif status == "Downloading":
            self._download(current, total)
        elif status in ("Verifying Checksum", "Download complete", "Extracting", "Pull complete", "Already exists"):
            self.here = self.here or (status == "Already exists" and not self.fetched and not self.complete)
            self.complete = True
            self.done = self.done or status in ("Pull complete", "Already exists")
            if status == "Extracting":
                self.size = max(self.size, total)
                self.extracted = max(self.extracted, min(current, self.size))
            self.fetched = 0 if self.here else max(self.fetched, self.size)
            if self.done:
                self.extracted = self.size

    def _download(self, current: int, total: int) -> None:
        self.complete = False
        if not total:
            self.fetched = max(self.fetched, current)
            return
        # What broke off is gone on with, and then only what was left is counted.
        self.size = max(self.size, total, self.fetched)
        self.fetched = max(self.fetched, self.size - max(total - current, 0))


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
