"""Medians, spreads and ratios of alternating runs."""

from __future__ import annotations

from dataclasses import dataclass
from operator import add, sub
from statistics import mean, median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    Starts = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class Spread:
    """A median and the quartiles around it."""

    median: float
    low: float
    """First quartile."""
    high: float
    """Third quartile."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of *values*, which must be at least two."""
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), low, high)

    def show(self, unit: str = "", digits: int = 0) -> str:
        """Return the figures as text."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f}){unit and ' '}{unit}"


def with_start(ours: Sequence[float], theirs: Sequence[float], starts: Starts) -> tuple[list[float], list[float]]:
    """Replace the start time in each pair by the mean of its two *starts*.

    Both processes do the same work at the start; any difference there is noise.
    """
    mine, other = without_start(ours, theirs, starts)
    means = [mean(pair) for pair in zip(*starts, strict=True)]
    return list(map(add, mine, means)), list(map(add, other, means))


def without_start(ours: Sequence[float], theirs: Sequence[float], starts: Starts) -> tuple[list[float], list[float]]:
    """Subtract the *starts* from both."""
    mine, other = starts
    return list(map(sub, ours, mine)), list(map(sub, theirs, other))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return the ratios of neighbouring runs, which saw the machine in the same condition."""
    return Spread.of([mine / other for mine, other in zip(ours, theirs, strict=True)])
