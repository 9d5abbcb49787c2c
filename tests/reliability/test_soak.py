"""Many pulls in one process, in a shorter form than ``python -m tests.reliability`` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability.soak import WARM_UP, soak

if TYPE_CHECKING:
    from tests.stand import Stand

pytestmark = pytest.mark.stand


def test_soak(stand: Stand) -> None:
    """No more sockets, files or threads than after the warm-up, and hardly more memory; each pull had its own token."""
    figures = soak(stand, 100)
    assert figures.is_bounded, figures
    assert len({token.password for token in stand.aws.tokens}) == figures.pulls + WARM_UP
    assert stand.engine.images() == []
