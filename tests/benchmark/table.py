"""The table that the benchmark prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.benchmark.figures import Spread, ratios, with_start, without_start
from tests.benchmark.scene import HELPER, OURS, PARSED, PLAIN, ROUND_TRIP, STORED, TASKS, Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmark.rounds import Rounds
    from tests.benchmark.scene import Mapped

HEAVY = ("boto3", "botocore", "airflow.providers.amazon")
MORE_CPU = 1.02
POLICY_CPU, TASK_US, IMPORT_MS = 1.15, 2, 2
NOTHING = "no boto3, no amazon provider"
# One for TCP, one for TLS, and one for the call.
AWS_ROUND_TRIPS = 3 * ROUND_TRIP


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    measure: str
    beside: str
    figures: str
    goal: str = ""
    holds: bool | None = None
    is_count: bool = False
    """Whether the figure is the same on every run and machine."""

    def __str__(self) -> str:
        reached = {True: "yes", False: "**no**", None: ""}[self.holds]
        return f"| {self.measure} | {self.beside} | {self.figures} | {self.goal} | {reached} |"


HEAD = "| measure | beside | EcrDockerOperator | goal | reached |\n| --- | --- | --- | --- | --- |"


def rows(rounds: Rounds, by_hand: Sequence[str], mapped: Mapped) -> list[Row]:
    """Return all rows.

    :param by_hand: the requests to the registry when the Docker CLI pulled.
    """
    return [
        *_parsing(rounds),
        *_policy(rounds),
        *_present(rounds),
        *_pulling(rounds, by_hand),
        *_login(rounds),
        _many(mapped),
    ]


def _parsing(rounds: Rounds) -> list[Row]:
    ours, plain = (set(rounds.present[peer][0]["modules"]) for peer in (OURS, PLAIN))
    more = ours - plain
    heavy = ", ".join(sorted(name for name in more if _is_heavy(name)))
    modules = f"{len(more)} more, {heavy or NOTHING}"
    return [
        _cpu("import: CPU", rounds, "import_cpu"),
        Row("import and parse: modules", PLAIN.name, modules, NOTHING, not heavy, is_count=True),
        _cpu(f"parse of a file of {TASKS} tasks: CPU", rounds, "parse_cpu"),
    ]


def _policy(rounds: Rounds) -> list[Row]:
    on, off = ([figures["parse_cpu"] for figures in rounds.parsed[policy]] for policy in (True, False))
    task, imported = (Spread.of([f[name] for f in rounds.policy]) for name in ("policy_task", "policy_import"))
    goals = [
        ("a task that is no DockerOperator", task, 1e6, "µs", TASK_US),
        ("import of Airflow", imported, 1e3, "ms", IMPORT_MS),
    ]
    return [
        Row(
            f"cluster policy on, parse of {PARSED} DockerOperators: CPU",
            "off",
            _both(on, off),
            f"≤ {POLICY_CPU:.2f}",
            ratios(on, off).median <= POLICY_CPU,
        ),
        *(
            Row(
                f"cluster policy on, {what}",
                "not installed",
                f"{scale * spread.median:.1f} ({scale * spread.low:.1f}-{scale * spread.high:.1f}) {unit} more",
                f"≤ {goal} {unit}",
                scale * spread.median <= goal,
            )
            for what, spread, scale, unit, goal in goals
        ),
    ]


def _present(rounds: Rounds) -> list[Row]:
    ours, plain = rounds.present[OURS][0], rounds.present[PLAIN][0]
    counts = tuple(len(ours[kind]) for kind in ("aws", "registry", "requests"))
    goal = (0, 0, len(plain["requests"]))
    return [
        Row(
            "image present: calls of AWS, registry, engine",
            PLAIN.name,
            _slashes(counts),
            _slashes(goal),
            counts == goal,
            is_count=True,
        ),
        _cpu("image present: CPU", rounds, "cpu"),
        _wall("image present: wall", STORED, rounds, pulls=False, strictly=True),
    ]


def _pulling(rounds: Rounds, by_hand: Sequence[str]) -> list[Row]:
    ours = rounds.pulling[OURS][0]
    is_same = len(ours["aws"]) == 1 and sorted(ours["registry"]) == sorted(by_hand)
    counts, goal = (len(ours["aws"]), len(ours["registry"])), (1, len(by_hand))
    what = "pull: calls of AWS, registry"
    memory = [rounds.of(peer, "memory", pulls=True) for peer in (OURS, STORED)]
    return [
        Row(what, "`docker pull`", _slashes(counts), _slashes(goal), is_same, is_count=True),
        _wall("pull: wall", STORED, rounds, pulls=True),
        _wall("pull: wall", HELPER, rounds, pulls=True, strictly=True),
        Row("pull: peak memory", STORED.name, _both(*memory, scale=1 / 1024, unit="MiB")),
    ]


def _login(rounds: Rounds) -> list[Row]:
    until = [[1000 * value for value in rounds.of(peer, "until_pull", pulls=True)] for peer in (OURS, STORED, HELPER)]
    floor = [1000 * (found["call"] - AWS_ROUND_TRIPS) for found in rounds.floor]
    less = [value - 1000 * AWS_ROUND_TRIPS for value in until[0]]
    parts = {
        "boto3 and the provider imported": [1000 * found["import"] for found in rounds.parts],
        "client built": [1000 * found["client"] for found in rounds.parts],
        "call": [1000 * (found["call"] - AWS_ROUND_TRIPS) for found in rounds.parts],
        "token decoded and masked": [1000 * found["mask"] for found in rounds.parts],
    }
    shown = ", ".join(f"{name} {Spread.of(values).show('ms')}" for name, values in parts.items())
    return [
        Row(
            "credentials needed to header sent, less AWS's round trips",
            f"botocore's bare call {Spread.of(floor).show('ms')}",
            f"{Spread.of(less).show('ms')}: {shown}",
        ),
        Row(
            "the same, round trips included",
            f"{STORED.name} {Spread.of(until[1]).show('ms')}, {HELPER.name} {Spread.of(until[2]).show('ms')}",
            Spread.of(until[0]).show("ms"),
        ),
    ]


def _many(mapped: Mapped) -> Row:
    holds = mapped.tokens == mapped.pulls and not mapped.failed
    figures = f"{mapped.tokens} tokens, {mapped.pulls} pulls, {len(mapped.failed)} failed"
    return Row(f"{mapped.tasks} mapped tasks: tokens", "pulls that happened", figures, "equal", holds, is_count=True)


def _cpu(measure: str, rounds: Rounds, figure: str) -> Row:
    ours, theirs = rounds.of(OURS, figure), rounds.of(PLAIN, figure)
    starts = rounds.of(OURS, "airflow_cpu"), rounds.of(PLAIN, "airflow_cpu")
    both, alone = with_start(ours, theirs, starts), without_start(ours, theirs, starts)
    figures = f"{_both(*both)}; Airflow's start taken off, {_both(*alone)}"
    return Row(measure, PLAIN.name, figures, f"≤ {MORE_CPU:.2f}", ratios(*both).median <= MORE_CPU)


def _wall(measure: str, peer: Peer, rounds: Rounds, *, pulls: bool, strictly: bool = False) -> Row:
    both = rounds.of(OURS, "wall", pulls=pulls), rounds.of(peer, "wall", pulls=pulls)
    ratio = ratios(*both).median
    goal, holds = ("< 1.00", ratio < 1) if strictly else ("≤ 1.00", ratio <= 1)
    return Row(measure, peer.name, _both(*both), goal, holds)


def _both(ours: Sequence[float], theirs: Sequence[float], *, scale: float = 1000, unit: str = "ms") -> str:
    mine, other = (Spread.of([scale * value for value in values]) for values in (ours, theirs))
    return f"**{ratios(ours, theirs).show(digits=3)}**: {mine.show()} to {other.show(unit)}"


def _is_heavy(module: str) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in HEAVY)


def _slashes(counts: Sequence[Any]) -> str:
    return " / ".join(map(str, counts))
