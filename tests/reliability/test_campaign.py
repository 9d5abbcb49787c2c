"""Faults at random, for a short while."""

from __future__ import annotations

import pytest

from tests.reliability.campaign import campaign

pytestmark = pytest.mark.stand


def test_campaign() -> None:
    """Whatever breaks whenever, a task succeeds or says so in one of our sentences."""
    tally = campaign(runs=25, seed=2026)
    assert tally.is_clean, tally
    assert tally.ends["success"]
    assert len(tally.ends) > 2
