"""The evaluation of the benchmark's measurements."""

from __future__ import annotations

from tests.benchmark.figures import Spread, ratios, with_start, without_start


def test_spread() -> None:
    """A spread is a median with its quartiles."""
    spread = Spread.of([4, 1, 3, 2, 5])
    assert (spread.median, spread.low, spread.high) == (3, 2, 4)
    assert spread.show("ms") == "3 (2-4) ms"
    assert spread.show(digits=1) == "3.0 (2.0-4.0)"


def test_ratios_are_those_of_neighbours() -> None:
    """Each run is compared with its neighbour, so a machine that slows down changes no ratio."""
    assert ratios([11, 22, 44], [10, 20, 40]) == Spread(1.1, 1.1, 1.1)


def test_start_is_the_same_for_both() -> None:
    """A slow start is not counted as a difference between two peers; later work is."""
    ours, theirs = with_start([1130, 1055], [1070, 1105], ([1100, 1025], [1050, 1085]))
    assert (ours, theirs) == ([1105, 1085], [1095, 1075])


def test_start_is_taken_off() -> None:
    """Without the starts, each peer's own time remains."""
    assert without_start([1130, 1055], [1070, 1105], ([1100, 1025], [1050, 1085])) == ([30, 30], [20, 20])
