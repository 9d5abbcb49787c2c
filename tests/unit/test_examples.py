"""The examples folder as a user's Airflow reads it after copying."""

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
    """Return the id of the only DAG in a file: the file's name or, for a recipe, its folder's."""
    return path.parent.name if path.name == "after.py" else path.stem


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowHome]:
    """Provide an Airflow with a copy of the folder; Airflow 2 and 3 read its ``.airflowignore`` differently."""
    directory = tmp_path_factory.mktemp("airflow")
    shutil.copytree(ROOT / "dags", directory / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    yield AirflowHome(directory, directory / "dags")
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def dags(copied: AirflowHome) -> dict[str, dict[str, Any]]:
    """Provide the DAGs of the folder as Airflow shows them."""
    return copied.dags()


def test_every_example_is_there_and_nothing_is_broken(copied: AirflowHome, dags: dict[str, dict[str, Any]]) -> None:
    """Airflow finds one DAG per file without errors, and only the "after" DAGs of the recipes."""
    assert sorted(map(dag_id, DAGS)) == sorted(dags)
    assert copied.import_errors() == {}


@pytest.mark.parametrize("path", DAGS, ids=dag_id)
def test_every_example_is_explained(path: Path, dags: dict[str, dict[str, Any]]) -> None:
    """Each DAG has a description in one sentence and documentation in Markdown that shows as text, not as code."""
    lines = dags[dag_id(path)]["doc_md"].strip().splitlines()
    assert lines[0]
    assert "\n".join(lines).split("\n\n")[0].endswith(".")
    assert [line for line in lines if line.startswith((" ", "\t"))] == []
