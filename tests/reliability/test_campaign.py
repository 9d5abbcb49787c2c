"""A short campaign of random faults."""

from __future__ import annotations

import pytest

from tests.reliability.campaign import campaign

pytestmark = pytest.mark.stand


def test_campaign() -> None:
    """Whatever breaks at whatever moment, a task succeeds or fails with one of our errors."""
    tally = campaign(runs=25, seed=2026)
    assert tally.is_clean, tally
    assert tally.ends["success"]
    assert len(tally.ends) > 2
