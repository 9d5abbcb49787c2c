"""A shorter soak test than that of ``python -m tests.reliability``: many pulls in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability.soak import WARM_UP, soak

if TYPE_CHECKING:
    from tests.stand import Stand

pytestmark = pytest.mark.stand


def test_soak(stand: Stand) -> None:
    """After the warm-up, sockets, files and threads do not grow, memory hardly does, and each pull has a new token."""
    figures = soak(stand, 100)
    assert figures.is_bounded, figures
    assert len({token.password for token in stand.aws.tokens}) == figures.pulls + WARM_UP
    assert stand.engine.images() == []
