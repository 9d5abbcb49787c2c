"""The folder of examples, as somebody's Airflow reads it once it is copied there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow_home import AirflowHome

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow

DAGS = sorted(path for path in (ROOT / "dags").rglob("*.py") if path.name != "before.py")


def dag_id(path: Path) -> str:
    """Return the id of the one DAG in a file: its name or, of a recipe, its folder's."""
    return path.parent.name if path.name == "after.py" else path.stem


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowHome]:
    """Provide an Airflow with a copy of the folder; Airflow 2 and 3 read its ``.airflowignore`` in different ways."""
    directory = tmp_path_factory.mktemp("airflow")
    shutil.copytree(ROOT / "dags", directory / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    yield AirflowHome(directory, directory / "dags")
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def dags(copied: AirflowHome) -> dict[str, dict[str, Any]]:
    """Provide what Airflow shows of the DAGs in it."""
    return copied.dags()


def test_every_example_is_there_and_nothing_is_broken(copied: AirflowHome, dags: dict[str, dict[str, Any]]) -> None:
    """Airflow finds one DAG in each file and no error, and of the recipes only what comes after the move."""
    assert sorted(map(dag_id, DAGS)) == sorted(dags)
    assert copied.import_errors() == {}


@pytest.mark.parametrize("path", DAGS, ids=dag_id)
def test_every_example_is_explained(path: Path, dags: dict[str, dict[str, Any]]) -> None:
    """Each DAG tells in the UI what it does, in a sentence first, and as Markdown shows it: text, not code."""
    lines = dags[dag_id(path)]["doc_md"].strip().splitlines()
    assert lines[0]
    assert "\n".join(lines).split("\n\n")[0].endswith(".")
    assert [line for line in lines if line.startswith((" ", "\t"))] == []
