"""Faults at random, for a short while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability.campaign import run_campaign

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stand import Stand

pytestmark = pytest.mark.stand


def test_campaign(stand: Stand, tmp_path: Path) -> None:
    """Whatever breaks whenever, a task succeeds or says so in one of our sentences."""
    tally = run_campaign(stand, tmp_path, runs=25, seed=2026)
    assert tally.is_clean, tally
    assert tally.ends["success"]
    assert len(tally.ends) > 2
