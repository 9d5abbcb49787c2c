"""Many pulls in one process leave it as large as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability.soak import WARM_UP, soak

if TYPE_CHECKING:
    from tests.stand import Stand

pytestmark = pytest.mark.stand

# MiB; a thousand pulls took 8, and twenty took 135 while every token was masked.
MEMORY = 20


def test_soak(stand: Stand) -> None:
    """No more sockets, files or threads than after the warm-up, and hardly more memory; each pull had its own token."""
    figures = soak(stand, 100)
    assert figures.after.memory - figures.before.memory < MEMORY
    assert (figures.after.descriptors, figures.after.threads, figures.after.temporary_files) == (
        figures.before.descriptors,
        figures.before.threads,
        figures.before.temporary_files,
    )
    assert len({token.password for token in stand.aws.tokens}) == figures.pulls + WARM_UP
    assert stand.engine.images() == []
