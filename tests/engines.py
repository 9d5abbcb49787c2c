"""Run the engine-dependent tests on all engines but this machine's own, and print the results."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.stand.engines import ENGINES

ROOT = Path(__file__).parents[1]
OTHERS = [name for name, kind in ENGINES.items() if kind.release not in (None, "bookworm")]
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
    made_of: str
    counts: dict[str, int]
    """Outcome, as pytest calls it -> number of tests."""
    seconds: float
    output: str

    @property
    def failed(self) -> int:
        """Number of tests that failed; an engine that is not available counts as one."""
        return self.counts.get("failed", 0) + self.counts.get("error", 0) + (not self.counts.get("passed"))


def run(name: str) -> Row:
    """Run the tests on one engine."""
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--engine={name}", *PATHS]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    [*_, last] = done.stdout.strip().splitlines() or [""]
    counts = {outcome.removesuffix("s"): int(count) for count, outcome in re.findall(r"(\d+) ([a-z]+)\b", last)}
    made_of = re.search(r"^engine of the stand: \S+ \((.*)\)$", done.stdout, re.MULTILINE)
    row = Row(name, made_of[1] if made_of else "not to be had", counts, time.monotonic() - start, done.stdout)
    sys.stderr.write(f"{name}: {last}\n")
    return row


def table(rows: list[Row]) -> str:
    """Return *rows* as a Markdown table."""
    lines = ["| engine | made of | passed | failed | skipped | seconds |", "|---|---|---|---|---|---|"]
    for row in rows:
        counts = " | ".join(
            str(count) for count in (row.counts.get("passed", 0), row.failed, row.counts.get("skipped", 0))
        )
        lines.append(f"| {row.name} | {row.made_of} | {counts} | {row.seconds:.0f} |")
    return "\n".join(lines)


def main() -> int:
    """Run on the engines selected on the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.engines", description=__doc__)
    parser.add_argument("-k", "--engine", choices=[*ENGINES], action="append", help="run on this engine alone")
    # A stand mostly waits, so it needs little CPU.
    parser.add_argument("-j", "--jobs", type=int, default=2, help="engines at a time")
    options = parser.parse_args()
    with ThreadPoolExecutor(options.jobs) as pool:
        rows = list(pool.map(run, options.engine or OTHERS))
    for row in rows:
        if row.failed:
            sys.stderr.write(f"\n{row.name}:\n{row.output[-6000:]}\n")
    sys.stdout.write(f"{table(rows)}\n")
    return int(any(row.failed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
