"""Log lines for the progress of a pull: one at its start, one every few seconds, one at its end."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ecr_docker_operator.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Minimum seconds between two lines."""

PATIENCE = 1.0
"""Seconds that the first line waits for the sizes of layers; the engine fetches three layers at a time."""

_THOUSAND = 1000
_TOO_MANY = 2**63
_FEW_SECONDS = 10


def log_progress(pull: Callable[[], Any], find_digest: Callable[[], str] = str) -> Any:
    """Start a pull, and return an iterator of its items for DockerOperator to log.

    DockerOperator ends its log group only after a successful pull; this also ends it after a failure.

    :param pull: starts the pull and returns docker-py's items.
    :param find_digest: returns the image's digest, or an empty string; called after the pull if no item names it.
    """
    with _group_ended_on_error():
        progress = Progress(find_digest)
        items = pull()
    return _lines(progress, items) if isinstance(items, Iterator) else items


def _lines(progress: Progress, items: Iterator[Any]) -> Iterator[Any]:
    with _group_ended_on_error():
        yield from progress.lines(items)


@contextmanager
def _group_ended_on_error() -> Iterator[None]:
    try:
        yield
    except GeneratorExit:
        raise
    except BaseException:  # also a task time-out
        log.info("::endgroup::")
        raise


class Progress:
    """The log lines of one pull, which starts when this is created.

    :param find_digest: as in :func:`log_progress`.
    :param interval: minimum seconds between two lines.
    :param clock: monotonic clock, in seconds.
    """

    def __init__(
        self,
        find_digest: Callable[[], str] = str,
        *,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find_digest, self._interval, self._clock = find_digest, interval, clock
        self._start = clock()
        self._layers: dict[str, Layer] = {}
        self._first_line_by: float | None = None
        self._next_line: float | None = None
        # Half a minute of samples, so that the rate is recent but not erratic.
        self._samples: deque[tuple[float, int]] = deque(maxlen=6)
        self._digest = ""
        self._up_to_date = False
        self._extracts = False
        self._image_id: str | None = None

    def lines(self, items: Iterable[Any]) -> Iterator[Any]:
        """Replace the engine's items with items without an ``id``, which DockerOperator logs unchanged.

        Each new status of a layer is logged at DEBUG only. A status of the whole image (Docker Engine API, "Create an
        image") is passed on, except for the final ones, which the last line replaces.
        """
        for item in items:
            if not self._take(item):
                yield _printable(item)
            if line := self._line(self._clock()):
                yield {"status": line}
        self._layers.pop(self._image_id or "", None)
        if self._layers and self._next_line is None:
            yield {"status": self._first_line()}
        seconds = self._clock() - self._start
        self._digest = self._digest or printable(self._find_digest())
        yield {"status": self._last_line(seconds)}

    def _take(self, item: Any) -> bool:
        """Record what *item* reports; return ``False`` if it has to be passed on."""
        status = item.get("status") if isinstance(item, dict) else None
        if not isinstance(status, str):
            return False
        if "id" in item:
            self._take_layer(str(item["id"]), status, item.get("progressDetail"))
        elif status.startswith("Digest: "):
            self._digest = printable(status.removeprefix("Digest: "))
        elif status.startswith("Status: "):
            self._up_to_date = status.startswith("Status: Image is up to date")
        else:
            return False
        return True

    def _take_layer(self, layer_id: str, status: str, detail: Any) -> None:
        if status.startswith("Pulling from "):  # here, "id" is the tag
            # Docker's first item. Podman has none like it, and reports no extraction.
            self._extracts = True
            log.debug("%s: %s", printable(layer_id), printable(status))
            return
        layer = self._layers.setdefault(layer_id, Layer())
        # Podman fetches the image's configuration like a layer, and repeats its last item with the image's id.
        self._image_id = layer_id if layer.status == status == "Download complete" else None
        if layer.status != status:
            log.debug("%s: %s", printable(layer_id), printable(status))
        layer.update(status, detail if isinstance(detail, dict) else {})

    def _line(self, now: float) -> str | None:
        if self._next_line is not None:
            if now < self._next_line:
                return None
            line = self._one_line(now)
        elif self._layers:
            if self._first_line_by is None:
                self._first_line_by = now + PATIENCE
            if now < self._first_line_by and not self._all_sizes_known():
                return None
            line = self._first_line()
        else:
            return None
        self._next_line = now + self._interval
        self._samples.append((now, self._fetched()))
        return line

    def _first_line(self) -> str:
        here = sum(layer.here for layer in self._layers.values())
        parts = [_count(len(self._layers), "layer")]
        if here:
            parts.append(f"{'all' if here == len(self._layers) else here} of them already here")
        if fetching := self._fetching():
            size = sum(layer.size for layer in fetching)
            parts.append(f"{_at_least(fetching)}{in_bytes(size)} to fetch" if size else "their sizes not known yet")
        return ", ".join(parts)

    def _one_line(self, now: float) -> str:
        fetching = self._fetching()
        if not fetching:
            parts = []
        elif all(layer.complete for layer in fetching):
            parts = [f"100 %: {_at_least(fetching)}{in_bytes(self._fetched())}"]
            parts += [_extracted(fetching)] if self._extracts else []
        else:
            parts = [self._transfer(fetching), f"{in_bytes(self._rate(now))}/s"]
        done = sum(layer.done if self._extracts else layer.complete for layer in self._layers.values())
        parts.append(f"{done} of {_count(len(self._layers), 'layer')} done")
        if broken := sum(layer.status.startswith("Retrying in ") for layer in fetching):
            parts.append(f"{broken} being tried again")
        elif (left := self._left(fetching)) and (rate := self._rate(now)):
            parts.append(f"about {in_seconds(left / rate)} left")
        return ", ".join(parts)

    def _transfer(self, fetching: list[Layer]) -> str:
        fetched, size = self._fetched(), sum(layer.size or layer.fetched for layer in fetching)
        if not _open_ended(fetching):
            return f"{fetched * 100 // size} %: {in_bytes(fetched)} of {in_bytes(size)}"
        return f"{in_bytes(fetched)} of at least {in_bytes(size)}" if size > fetched else in_bytes(fetched)

    def _left(self, fetching: list[Layer]) -> int:
        """Return how many bytes are left; 0 if not known."""
        return 0 if _open_ended(fetching) else sum(max(layer.size - layer.fetched, 0) for layer in fetching)

    def _last_line(self, seconds: float) -> str:
        what = "up to date" if self._up_to_date and not self._fetching() else "pulled"
        return ", ".join(filter(None, [f"{what} in {in_seconds(seconds)}", self._what_was_fetched(), self._digest]))

    def _what_was_fetched(self) -> str:
        fetching, fetched = self._fetching(), self._fetched()
        if fetched:
            return f"{_at_least(fetching)}{in_bytes(fetched)} fetched"
        if fetching:  # a quick engine may not report their sizes
            return f"{_count(len(fetching), 'layer')} fetched"
        return "nothing fetched" if self._up_to_date or self._layers else ""

    def _fetching(self) -> list[Layer]:
        return [layer for layer in self._layers.values() if not layer.here]

    def _fetched(self) -> int:
        return sum(layer.fetched for layer in self._fetching())

    def _all_sizes_known(self) -> bool:
        # If all known layers are already here, others may follow.
        fetching = self._fetching()
        return bool(fetching) and all(layer.size for layer in fetching)

    def _rate(self, now: float) -> float:
        then, before = self._samples[0]
        return max(0, self._fetched() - before) / (now - then) if now > then else 0


def _at_least(layers: list[Layer]) -> str:
    return "" if all(layer.size for layer in layers) else "at least "


def _open_ended(layers: list[Layer]) -> bool:
    """Return whether the total size is not known yet."""
    return any(not layer.size and not layer.complete for layer in layers)


def _extracted(layers: list[Layer]) -> str:
    if not all(layer.size and (layer.extracted or layer.status != "Extracting") for layer in layers):
        return "extracting"
    extracted = sum(layer.size if layer.done else min(layer.extracted, layer.size) for layer in layers)
    return f"{extracted * 100 // sum(layer.size for layer in layers)} % extracted"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@dataclass
class Layer:
    """One layer; sizes are in bytes, compressed as in the registry, and 0 until they are known.

    The statuses of a layer are not documented. These are from the source of Docker's image store (moby,
    ``distribution``), of its containerd image store (``daemon/containerd``), and of Podman
    (``pkg/api/handlers/compat``). Others are ignored.
    """

    status: str = ""
    """The last status."""
    size: int = 0
    fetched: int = 0
    extracted: int = 0
    complete: bool = False
    """Whether it was fetched completely."""
    done: bool = False
    """Whether it is ready for use; Podman does not report it."""
    here: bool = False
    """Whether it was ready before the pull."""

    def update(self, status: str, detail: Mapping[str, Any]) -> None:
        """Update the layer from a *status* and its ``progressDetail``."""
        self.status = status
        # containerd's image store reports an extraction in seconds.
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
            # A second pull, after the token expired, starts again from zero.
            self.fetched, self.complete = 0, False

    def _fetch(self, current: int, total: int) -> None:
        self._know(total)
        # An interrupted transfer also reports all bytes as fetched. Only the next status shows whether it was complete.
        if total and current < total:
            # A resumed transfer counts only the bytes that were left.
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
    return value if isinstance(value, int) and 0 < value < _TOO_MANY else 0


def _printable(item: Any) -> Any:
    if isinstance(item, str):
        return printable(item)
    if isinstance(item, dict) and isinstance(item.get("status"), str):
        return {**item, "status": printable(item["status"])}
    return item


def in_bytes(count: float) -> str:
    """Return *count* bytes with three significant digits and a decimal unit, as Docker does: ``1.21 GB``."""
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    count = _three_digits(count)
    while count >= _THOUSAND and (larger := next(units, None)):
        count, unit = _three_digits(count / _THOUSAND), larger
    return f"{count:g} {unit}"


def in_seconds(seconds: float) -> str:
    """Return a duration: ``0.4 s``, ``34 s``, ``2 min 5 s``, ``1 h 3 min``."""
    if seconds < _FEW_SECONDS:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _three_digits(number: float) -> float:
    return float(f"{number:.3g}")
