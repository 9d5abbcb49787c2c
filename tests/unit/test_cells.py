"""The cells' data: this project's bounds allow every set that Airflow pins, and the file says where each comes from."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

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
