"""Rounds: in each, all peers run one after the other, in alternating order."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.benchmark.scene import HELPER, HOST, OURS, PARSED, PLAIN, STORED, Peer, Scene
from tests.stand.hosts import REGION

if TYPE_CHECKING:
    from collections.abc import Callable

PULLING = (STORED, OURS, HELPER)
PRESENT = (PLAIN, OURS, STORED)
PULLS = 2
"""How often each peer pulls in a round; the engine's part varies most."""


class Rounds:
    """All figures; each round appends one to each list."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.pulling: dict[Peer, list[dict[str, Any]]] = defaultdict(list)
        """Peer -> figures of tasks whose image has to be pulled."""
        self.present: dict[Peer, list[dict[str, Any]]] = defaultdict(list)
        """Peer -> figures of tasks whose image is on the engine."""
        self.parsed: dict[bool, list[dict[str, Any]]] = defaultdict(list)
        """Whether the cluster policy is on -> figures of the parse of one file."""
        self.policy: list[dict[str, float]] = []
        """What the cluster policy costs where nothing is a DockerOperator."""
        self.parts: list[dict[str, float]] = []
        """Times of the parts of one login of ours."""
        self.floor: list[dict[str, float]] = []
        """Times of botocore's bare call."""

    def run(self, count: int, say: Callable[[str], object]) -> None:
        """Run *count* rounds, after a warm-up round that is not counted."""
        for number in range(-1, count):
            found = [(self.pulling, self._all(PULLING, turn, pulls=True)) for turn in range(PULLS)]
            found.append((self.present, self._all(PRESENT, number, pulls=False)))
            parsed = {policy: self._scene.parse(policy=policy) for policy in (number % 2 == 0, number % 2 == 1)}
            policy = self._scene.work("time_policy", PARSED, policy=True)
            parts, floor = self._scene.work("time_login", HOST), self._scene.work("time_bare_call", REGION)
            say(f"round {number + 1} of {count}")
            if number < 0:
                continue
            for all_figures, new in found:
                for peer, figures in new.items():
                    all_figures[peer].append(figures)
            for on, figures in parsed.items():
                self.parsed[on].append(figures)
            self.policy.append(policy)
            self.parts.append(parts)
            self.floor.append(floor)

    def _all(self, peers: tuple[Peer, ...], turn: int, *, pulls: bool) -> dict[Peer, dict[str, Any]]:
        # A B, B A, ...: drift affects all peers alike.
        in_turn = peers if turn % 2 else reversed(peers)
        return {peer: self._scene.run(peer, pulls=pulls) for peer in in_turn}

    def of(self, peer: Peer, figure: str, *, pulls: bool = False) -> list[float]:
        """Return a figure of *peer* for all rounds."""
        return [found[figure] for found in (self.pulling if pulls else self.present)[peer]]
