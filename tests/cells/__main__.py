"""Run the cells and print their results."""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.cells.environment import SHOWN, CellError, Environment
from tests.cells.interpreters import NoInterpreterError
from tests.cells.versions import CELLS, LIBRARIES, RUNS, Cell
from tests.runs import Result, jobs, table
from tests.stand.install import StandUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

INSTALLATION = "installation"
COLUMNS = (INSTALLATION, *RUNS, *LIBRARIES)


@dataclass
class Row:
    """The result of one cell."""

    cell: Cell
    versions: dict[str, str] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    problem: str = ""
    """Why the environment could not be created."""
    seconds: float = 0

    @property
    def passed(self) -> int:
        """Number of tests that passed."""
        return sum(result.passed for result in self.results.values())

    @property
    def failed(self) -> int:
        """Number of tests that failed; a cell without an environment counts as one."""
        return sum(result.failed for result in self.results.values()) + bool(self.problem)

    def line(self) -> list[str]:
        """Return the cell's row of the table."""
        versions = [self.versions.get(column, "-") for column in SHOWN]
        if self.problem:
            versions[[*SHOWN].index("Airflow")] = self.cell.name
        return [*versions, *(str(self.results.get(name, "not run")) for name in COLUMNS), f"{self.seconds:.0f}"]


def run(cell: Cell, directory: Path) -> Row:
    """Create the environment of *cell* and run all its tests."""
    row, start = Row(cell), time.monotonic()
    try:
        environment = Environment(cell, directory / cell.name)
    except (CellError, NoInterpreterError, StandUnavailableError) as error:
        row.problem = str(error)
    else:
        row.versions = environment.versions()
        row.results[INSTALLATION] = environment.installation
        for name, paths in cell.runs.items():
            row.results[name] = environment.test(name, paths)
    row.seconds = time.monotonic() - start
    _say(f"{cell.name}: {row.passed} passed, {row.failed} failed, {row.seconds:.0f} s")
    return row


def main() -> int:
    """Run the cells selected on the command line; return the exit status."""
    names = [cell.name for cell in CELLS]
    parser = argparse.ArgumentParser(prog="python -m tests.cells", description=__doc__)
    parser.add_argument("-k", "--cell", choices=names, action="append", help="run this one alone")
    # A stand mostly waits, so it needs little CPU.
    parser.add_argument("-j", "--jobs", type=int, default=(os.cpu_count() or 1) + 1, help="cells at a time")
    options = parser.parse_args()
    cells = [cell for cell in CELLS if cell.name in (options.cell or names)]
    with jobs(options.jobs) as (pool, directory):
        rows = list(pool.map(lambda cell: run(cell, directory), cells))
    for row in rows:
        _say_what_failed(row)
    passed, failed = sum(row.passed for row in rows), sum(row.failed for row in rows)
    sys.stdout.write(
        f"{table([[*SHOWN, *COLUMNS, 'seconds'], *(row.line() for row in rows)])}\n{passed} passed, {failed} failed\n"
    )
    return int(failed > 0)


def _say_what_failed(row: Row) -> None:
    if row.problem:
        _say(f"\n{row.cell.name}: {row.problem}")
    for name, result in row.results.items():
        if result.failed:
            _say(f"\n{row.cell.name}, {name}:\n{result.output[-6000:]}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
