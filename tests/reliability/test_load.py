"""Load, in a shorter form than ``python -m tests.reliability`` has it: nothing trips, and nobody is turned away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability.load import load, rush

if TYPE_CHECKING:
    from pathlib import Path

TASKS, CALLERS = 20, 60
# Of tokens, in seconds: shorter than the run takes, longer than a pull on a busy machine.
LIFETIME = 10


@pytest.mark.stand
def test_many_cold_pulls(tmp_path: Path) -> None:
    """Mapped tasks, 16 at a time, with tokens that live for seconds, all succeed on their first try."""
    done = load(tmp_path, TASKS, lifetime=LIFETIME)
    assert done.succeeded == TASKS, done.log
    assert done.pulled == TASKS <= done.tokens


@pytest.mark.slow
def test_rush() -> None:
    """Of many that ask at the same moment, most are throttled at first, and all get their token by themselves."""
    done = rush(CALLERS)
    assert done.succeeded == CALLERS
    assert done.throttled > 0


@pytest.mark.slow
def test_rush_without_patience() -> None:
    """``botocore_config`` replaces the default: without retries, those are turned away who are throttled."""
    done = rush(CALLERS, {"retries": {"total_max_attempts": 1}})
    assert 0 < done.throttled == CALLERS - done.succeeded
