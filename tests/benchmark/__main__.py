"""Print the cost of EcrDockerOperator compared with its alternatives, as a Markdown table."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from contextlib import ExitStack
from importlib.metadata import version

from tests.isolation import isolated

ISOLATION = ExitStack()
ISOLATION.enter_context(isolated())

from tests.benchmark.rounds import PULLS, Rounds
from tests.benchmark.scene import ROUND_TRIP, Scene
from tests.benchmark.table import HEAD, rows

PACKAGES = ("apache-airflow", "apache-airflow-providers-docker", "apache-airflow-providers-amazon", "docker", "boto3")
TAGS, AT_A_TIME = 40, 8


def main() -> int:
    """Measure, print, and return 1 if a count is wrong; times are only reported."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often each peer runs (default: %(default)s)")
    parser.add_argument("--mapped", type=int, default=1000, help="number of mapped tasks (default: %(default)s)")
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error("--rounds: at least 2")
    began = time.monotonic()
    with Scene() as scene:
        rounds = Rounds(scene)
        rounds.run(options.rounds, _say)
        scene.pull_by_hand()
        by_hand = scene.asked_of_registry()
        engine = f"{scene.stand.kind.name} ({scene.stand.engine.versions()})"
    with Scene(round_trip=0) as scene:
        mapped = scene.run_mapped(options.mapped, AT_A_TIME, min(TAGS, options.mapped))
    for error in mapped.failed:
        _say(error)
    found = rows(rounds, by_hand, mapped)
    print(HEAD, *found, "", _where(engine, options.rounds, time.monotonic() - began), sep="\n")  # noqa: T201
    return int(any(row.is_count and not row.holds for row in found))


def _where(engine: str, count: int, seconds: float) -> str:
    machine = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    rule = f"medians and middle halves of {count} runs in turn, of pulls {PULLS * count}, each in a new process"
    delay = f"{1000 * ROUND_TRIP:.0f} ms added to each round trip"
    mapped = f"mapped tasks in one process, {AT_A_TIME} at a time, nothing added"
    return f"{machine}; {engine}; {packages}; {rule}; {delay}; {mapped}; {seconds:.0f} s."


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
