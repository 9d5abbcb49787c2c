"""Show what the newest constraint file of Airflow pins, beside the newest set of the cells.

``python -m tests.cells.moved FILE``; the file is ``constraints-3.13.txt`` at the tag ``constraints-X.Y.Z`` of Airflow's
repository. Exit status: 0 if nothing has moved, 1 if something has.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from packaging.version import Version

from tests.cells.versions import CELLS, NEWEST
from tests.runs import table

_MADE = re.compile(r"automatically generated on (\d{4}-\d{2}-\d{2})")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)$", re.MULTILINE)


class NoConstraintsError(ValueError):
    """A file is not one of Airflow's constraint files."""


def compare(text: str) -> tuple[str, list[list[str]]]:
    """Return when a constraint file was made, and a row for each package that the cells pin.

    A row has the package, its version in the newest set, its version in the file (``none`` if it has none), and
    ``moved`` where they differ.

    :param text: content of the file.
    :raises NoConstraintsError: if it pins none of these packages, or has no date.
    """
    newest = max((cell for cell in CELLS if cell.airflow != NEWEST), key=lambda cell: Version(cell.airflow))
    pins = {name.lower().replace("_", "-"): version for name, version in _PIN.findall(text)}
    made = _MADE.search(text)
    if made is None or not newest.pins.keys() & pins.keys():
        msg = "This is no constraint file of Airflow: it has no date, or pins no package of the cells."
        raise NoConstraintsError(msg)
    found = {name: pins.get(name, "none") for name in newest.pins}
    rows = [[name, old, found[name], "moved" if found[name] != old else ""] for name, old in newest.pins.items()]
    return made[1], [["package", f"Airflow {newest.airflow}", "this file", ""], *rows]


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison for the file on the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.cells.moved", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path, help="a constraint file of Airflow")
    file: Path = parser.parse_args(arguments).file
    try:
        made, rows = compare(file.read_text())
    except (OSError, NoConstraintsError) as error:
        parser.error(f"{file}: {error}")
    moved = any(row[3] == "moved" for row in rows)
    step = "Add a set to tests/cells/sets.toml, and run python -m tests.cells." if moved else "Nothing has moved."
    sys.stdout.write(f"Made on {made}.\n\n{table(rows)}\n\n{step}\n")
    return int(moved)


if __name__ == "__main__":
    sys.exit(main())
