"""Rounds: in each, all peers run, one after the other, in turning order."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.benchmark.scene import HELPER, HOST, OURS, PLAIN, STORED, Peer, Scene
from tests.stand.hosts import REGION

if TYPE_CHECKING:
    from collections.abc import Callable

PULLING = (STORED, OURS, HELPER)
PRESENT = (PLAIN, OURS, STORED)
PULLS = 2
"""How often each peer pulls in a round: what the engine does for it varies most."""


class Rounds:
    """All figures, of which each round adds one to each list."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.pulling: dict[Peer, list[dict[str, Any]]] = defaultdict(list)
        """Peer -> figures of tasks whose image has to be pulled."""
        self.present: dict[Peer, list[dict[str, Any]]] = defaultdict(list)
        """Peer -> figures of tasks whose image is on the engine."""
        self.parts: list[dict[str, float]] = []
        """Of one login of ours: what its parts take."""
        self.floor: list[dict[str, float]] = []
        """Of botocore's bare call."""

    def run(self, count: int, say: Callable[[str], object]) -> None:
        """Take *count* rounds, after one that warms files and certificates up and is not counted."""
        for number in range(-1, count):
            found = [(self.pulling, self._all(PULLING, turn, pulls=True)) for turn in range(PULLS)]
            found.append((self.present, self._all(PRESENT, number, pulls=False)))
            parts, floor = self._scene.work("time_login", HOST), self._scene.work("time_bare_call", REGION)
            say(f"round {number + 1} of {count}")
            if number < 0:
                continue
            for all_figures, new in found:
                for peer, figures in new.items():
                    all_figures[peer].append(figures)
            self.parts.append(parts)
            self.floor.append(floor)

    def _all(self, peers: tuple[Peer, ...], turn: int, *, pulls: bool) -> dict[Peer, dict[str, Any]]:
        # A B, B A, ...: whatever drifts, drifts for all.
        in_turn = peers if turn % 2 else reversed(peers)
        return {peer: self._scene.run(peer, pulls=pulls) for peer in in_turn}

    def of(self, peer: Peer, figure: str, *, pulls: bool = False) -> list[float]:
        """Return a figure of *peer* in all rounds."""
        return [found[figure] for found in (self.pulling if pulls else self.present)[peer]]
