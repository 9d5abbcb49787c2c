"""Many pulls in one process, in a shorter form than ``python -m tests.reliability`` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability.soak import soak

if TYPE_CHECKING:
    from tests.stand import Stand

pytestmark = pytest.mark.stand


def test_soak(stand: Stand) -> None:
    """Nothing grows: no file, socket or thread, and memory by no more than its bound."""
    figures = soak(stand, 60)
    assert figures.is_bounded, figures
