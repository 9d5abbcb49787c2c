"""The combinations of versions that are tested together."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

NEWEST = "newest"
SETS = Path(__file__).with_name("sets.toml")
# Each is released after its constraint file was made.
_CORE = ("apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk")


@dataclass(frozen=True)
class Cell:
    """One environment, as ``sets.toml`` explains."""

    airflow: str
    python: str
    also: tuple[str, ...] = ()
    source: str = ""
    date: date | None = None
    pins: dict[str, str] = field(default_factory=dict)
    libraries: bool = False

    @property
    def runs(self) -> dict[str, tuple[str, ...]]:
        """Runs of the cell: name -> arguments of pytest."""
        return RUNS | (LIBRARIES if self.libraries else {})

    @property
    def groups(self) -> list[str]:
        """Dependency groups that its tests need."""
        return ["dev", *(["libraries"] if self.libraries else [])]

    @property
    def name(self) -> str:
        """Name of the cell, such as ``2.11.0`` or ``newest-3.14``."""
        return f"{NEWEST}-{self.python}" if self.airflow == NEWEST else self.airflow

    @property
    def requirements(self) -> list[str]:
        """Requirements of an Airflow as users have it before they install this project."""
        if self.airflow == NEWEST:
            # This project's bounds must not make it an older one.
            return ["apache-airflow", "apache-airflow-providers-docker", "apache-airflow-providers-amazon"]
        return [f"apache-airflow=={self.airflow}", *(f"{name}=={version}" for name, version in self.pins.items())]

    @property
    def limits(self) -> list[str]:
        """Options of uv that leave out what was published after the set's date."""
        if self.date is None:
            return []
        # Not the date itself, because uv takes it for the start of the day.
        options = ["--exclude-newer", str(self.date + timedelta(days=1))]
        for name in _CORE:
            options += ["--exclude-newer-package", f"{name}={self.date + timedelta(days=60)}"]
        return options


def read(path: Path = SETS) -> tuple[Cell, ...]:
    """Return the cells in a file."""
    rows = tomllib.loads(path.read_text())["set"]
    return tuple(Cell(**{**row, "also": tuple(row["also"])}) for row in rows)


CELLS = read()

# The tests that run in each cell, in the order of the table's columns.
RUNS = {
    # Types, the documents and the tests themselves are checked with the newest versions only.
    "unit and contracts": (
        "tests/unit",
        "--deselect=tests/unit/test_house.py::test_habits",
        *(f"--ignore=tests/unit/test_{name}.py" for name in ("cells", "commands", "documents", "isolation")),
    ),
    "provider's own tests": ("tests/upstream",),
    "pull and run": ("tests/system/test_pull.py::test_one_token_for_one_pull",),
    "ways of a DAG": ("tests/system/test_ways.py", "tests/system/test_decorator.py"),
    # Those of the documentation and of failures run with the newest versions only.
    "examples": ("tests/system/test_example_dags.py", "-k=not documentation and not without_credentials"),
}
# Those that make DAGs of DockerOperators.
LIBRARIES = {"libraries": ("tests/system/test_libraries.py",)}
