"""A Swarm of two of the stand's engines, as on two machines."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.stand.namespaces import FIRST_NODE, SECOND_NODE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stand.engine import Engine

PORT = 2377


@contextmanager
def swarm(manager: Engine, worker: Engine) -> Iterator[None]:
    """Create a Swarm with the stand's first engine as manager and its second as worker."""
    manager.client.init_swarm(advertise_addr=FIRST_NODE, listen_addr=f"{FIRST_NODE}:{PORT}")
    try:
        worker.client.join_swarm(
            remote_addrs=[f"{FIRST_NODE}:{PORT}"],
            join_token=manager.client.inspect_swarm()["JoinTokens"]["Worker"],
            advertise_addr=SECOND_NODE,
            listen_addr=f"{SECOND_NODE}:{PORT}",
        )
        try:
            yield
        finally:
            worker.client.leave_swarm()
    finally:
        manager.client.leave_swarm(force=True)
