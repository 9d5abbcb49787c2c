"""The cells' data: this project's bounds allow every set that Airflow pins, and the file says where each comes from."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.cells.moved import main
from tests.cells.versions import CELLS, NEWEST, Cell

PROJECT: dict[str, Any] = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
BOUNDS = {found.name: found for found in map(Requirement, PROJECT["dependencies"])}
PINNED = [cell for cell in CELLS if cell.airflow != NEWEST]


@pytest.mark.parametrize("cell", PINNED, ids=lambda cell: cell.name)
def test_bounds_allow_what_airflow_pins(cell: Cell) -> None:
    """Every dependency of this project is pinned in the set, and its bound allows that version."""
    pinned = {"apache-airflow": cell.airflow, **cell.pins}
    assert BOUNDS.keys() <= pinned.keys()
    assert [name for name, bound in BOUNDS.items() if pinned[name] not in bound.specifier] == []


@pytest.mark.parametrize("cell", PINNED, ids=lambda cell: cell.name)
def test_source(cell: Cell) -> None:
    """Each set has a date, and is from the constraint file of its Python; boto3 and botocore go together."""
    assert cell.date is not None
    assert cell.source == f"constraints-{cell.python}.txt"
    assert cell.pins["boto3"] == cell.pins["botocore"]


def test_cells() -> None:
    """Names are unique, and the classifiers name each Python of the cells."""
    assert len({cell.name for cell in CELLS}) == len(CELLS)
    named = {text.rpartition(" ")[2] for text in PROJECT["classifiers"] if "Python :: 3." in text}
    assert named == {version for cell in CELLS for version in (cell.python, *cell.also)}


HEAD = "# This constraints file was automatically generated on 2026-08-12T00:39:47.116640\nAPScheduler==3.11.2\n"
NEWEST_SET = PINNED[-1]


def constraints(path: Path, **changed: str) -> str:
    """Write the newest set as a constraint file of Airflow, with *changed* versions, and return its path."""
    pins = {**NEWEST_SET.pins, **changed}
    path.write_text(HEAD + "".join(f"{name}=={version}\n" for name, version in pins.items()))
    return str(path)


def test_nothing_has_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the file of the newest set, there is nothing to do."""
    assert main([constraints(tmp_path / "file")]) == 0
    assert "Made on 2026-08-12." in (printed := capsys.readouterr().out)
    assert printed.endswith("Nothing has moved.\n")


def test_what_has_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A package with another version is named, and what to do."""
    assert main([constraints(tmp_path / "file", docker="8.0.0")]) == 1
    printed = capsys.readouterr().out
    assert [line.split()[1:6] for line in printed.splitlines() if "moved" in line] == [
        ["docker", "|", NEWEST_SET.pins["docker"], "|", "8.0.0"]
    ]
    assert "Add a set to tests/cells/sets.toml" in printed


def test_no_constraint_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any other file is refused in one sentence; so is a missing one."""
    (tmp_path / "page").write_text("<html>Not found</html>")
    for name, reason in (("page", "This is no constraint file of Airflow"), ("missing", "No such file")):
        with pytest.raises(SystemExit):
            main([str(tmp_path / name)])
        assert reason in capsys.readouterr().err
