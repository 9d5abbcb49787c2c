"""Medians, spreads and ratios of runs that were taken in turn."""

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
    """A median, and the half of the values in its middle."""

    median: float
    low: float
    """First quartile."""
    high: float
    """Third quartile."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return that of *values*, of which there are two or more."""
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), low, high)

    def show(self, unit: str = "", digits: int = 0) -> str:
        """Return the figures as text."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f}){unit and ' '}{unit}"


def with_start(ours: Sequence[float], theirs: Sequence[float], starts: Starts) -> tuple[list[float], list[float]]:
    """Return both, each pair with the mean of its two *starts* in the place of its own.

    What a process does before it differs from its neighbour's is the same work, and takes now more, now less.
    """
    mine, other = without_start(ours, theirs, starts)
    means = [mean(pair) for pair in zip(*starts, strict=True)]
    return list(map(add, mine, means)), list(map(add, other, means))


def without_start(ours: Sequence[float], theirs: Sequence[float], starts: Starts) -> tuple[list[float], list[float]]:
    """Return what is left of both when their *starts* are taken off."""
    mine, other = starts
    return list(map(sub, ours, mine)), list(map(sub, theirs, other))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return those of runs that were neighbours, so that both had the same machine."""
    return Spread.of([mine / other for mine, other in zip(ours, theirs, strict=True)])
