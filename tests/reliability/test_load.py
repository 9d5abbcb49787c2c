"""A shorter load test than that of ``python -m tests.reliability``: every task gets its token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability.load import load, rush

if TYPE_CHECKING:
    from pathlib import Path

TASKS, CALLERS = 20, 60
# Lifetime of tokens in seconds: shorter than the run, longer than a pull on a busy machine.
LIFETIME = 10


@pytest.mark.stand
def test_many_cold_pulls(tmp_path: Path) -> None:
    """Mapped tasks, 16 at a time, with tokens that expire within seconds, all succeed on their first try."""
    done = load(tmp_path, TASKS, lifetime=LIFETIME)
    assert done.succeeded == TASKS, done.log
    assert done.pulled == TASKS <= done.tokens


@pytest.mark.slow
def test_rush() -> None:
    """Of many simultaneous callers, most are throttled at first, and all get a token by retrying."""
    done = rush(CALLERS)
    assert done.succeeded == CALLERS
    assert done.throttled > 0


@pytest.mark.slow
def test_rush_without_patience() -> None:
    """``botocore_config`` replaces the default: without retries, throttled callers fail."""
    done = rush(CALLERS, {"retries": {"total_max_attempts": 1}})
    assert 0 < done.throttled == CALLERS - done.succeeded
