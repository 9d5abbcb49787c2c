"""Run the engine-dependent tests on all engines but this machine's own, and print the results."""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.runs import Result, jobs, run_pytest, table
from tests.stand.engines import ENGINES

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = [name for name, kind in ENGINES.items() if kind.release not in (None, "bookworm")]
HEAD = ["engine", "made of", "passed", "failed", "skipped", "seconds"]
PATHS = (
    "tests/system/test_pull.py",
    "tests/system/test_progress.py",
    "tests/system/test_retention.py",
    "tests/system/test_check.py",
    "tests/system/test_swarm.py",
    "tests/reliability/test_cases.py",
)


@dataclass(frozen=True)
class Row:
    """The result of one engine."""

    name: str
    result: Result
    seconds: float

    def line(self) -> list[str]:
        """Return the engine's line of the table."""
        made_of = re.search(r"^engine of the stand: \S+ \((.*)\)$", self.result.output, re.MULTILINE)
        counts = (self.result.passed, self.result.failed, self.result.skipped)
        return [self.name, made_of[1] if made_of else "not available", *map(str, counts), f"{self.seconds:.0f}"]


def run(name: str, directory: Path) -> Row:
    """Run the tests on one engine."""
    start = time.monotonic()
    result = run_pytest(sys.executable, directory / f"{name}.xml", [f"--engine={name}", *PATHS])
    sys.stderr.write(f"{name}: {result}\n")
    return Row(name, result, time.monotonic() - start)


def main() -> int:
    """Run on the engines selected on the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.engines", description=__doc__)
    parser.add_argument("-k", "--engine", choices=[*ENGINES], action="append", help="run on this engine alone")
    # A stand mostly waits, so it needs little CPU.
    parser.add_argument("-j", "--jobs", type=int, default=4, help="engines at a time")
    options = parser.parse_args()
    with jobs(options.jobs) as (pool, directory):
        rows = list(pool.map(lambda name: run(name, directory), options.engine or OTHERS))
    for row in rows:
        if row.result.failed:
            sys.stderr.write(f"\n{row.name}:\n{row.result.output[-6000:]}\n")
    sys.stdout.write(f"{table([HEAD, *(row.line() for row in rows)])}\n")
    return int(any(row.result.failed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
