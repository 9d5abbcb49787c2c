"""Bytes and seconds in readable form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_docker_operator.engine.progress import in_bytes, in_seconds


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (95, "95 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (700_400, "700 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (38_249_000.5, "38.2 MB"),
        (1_213_000_000, "1.21 GB"),
        (5_000_000_000_000, "5 TB"),
    ],
)
def test_bytes(count: float, text: str) -> None:
    """Bytes are written with three digits, as Docker does."""
    assert in_bytes(count) == text


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_bytes_are_near(count: int) -> None:
    """The text is accurate to half a percent, and is always short."""
    number, unit = in_bytes(count).split()
    value = float(number) * 1000 ** ("B", "kB", "MB", "GB", "TB").index(unit)
    assert abs(value - count) <= count / 200
    assert len(number) <= 4


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (34.4, "34 s"),
        (59.7, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3600, "1 h 0 min"),
        (3780, "1 h 3 min"),
        (90000, "25 h 0 min"),
    ],
)
def test_seconds(seconds: float, text: str) -> None:
    """Durations are written in suitable units."""
    assert in_seconds(seconds) == text
