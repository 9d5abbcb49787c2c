"""The migration recipes: the diffs in the text match the DAG files, and those from before still import."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.airflow_home import AirflowHome

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "dags" / "migration"
TEXT = (FOLDER / "README.md").read_text()


@dataclass(frozen=True)
class Recipe:
    """One section: a DAG before the migration and after it, and the diff."""

    title: str
    before: Path
    after: Path
    diff: list[str]
    text: str

    @classmethod
    def read(cls, section: str) -> Recipe:
        """Return the recipe in a section of the text."""
        title, _, text = section.partition("\n")
        [before] = re.findall(r"\[before\]\(([^)]+)\)", text)
        [after] = re.findall(r"\[after\]\(([^)]+)\)", text)
        [diff] = re.findall(r"^```diff\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        return cls(title, FOLDER / before, (FOLDER / after).resolve(), diff.splitlines(), text)

    def side(self, sign: str) -> str:
        """Return the lines on one side of the diff, "-" or "+", as a regular expression for the whole file."""
        lines = [line[1:] for line in self.diff if line[0] in (" ", sign)]
        return "".join(r"(?:.*\n)+?" if line == "…" else re.escape(f"{line}\n") for line in lines)


RECIPES = [Recipe.read(section) for section in TEXT.split("\n## ")[1:]]
each = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.before.parent.name)


def code(path: Path) -> str:
    """Compile a file, and return it without its docstring."""
    source = path.read_text()
    compile(source, path, "exec", dont_inherit=True)
    end = ast.parse(source).body[0].end_lineno
    return "".join(source.splitlines(keepends=True)[end:]).lstrip("\n")


def calls(path: Path) -> list[str]:
    """Return the names of the operators that a file uses."""
    found = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = [func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in found]
    return [name for name in names if name.endswith("Operator")]


@each
def test_diff(recipe: Recipe) -> None:
    """Both files compile, and the diff leads from the first file to the second."""
    assert re.fullmatch(recipe.side("-"), code(recipe.before))
    assert re.fullmatch(recipe.side("+"), code(recipe.after))


@each
def test_what_comes_after(recipe: Recipe) -> None:
    """After the migration, all operators are ours, no login is stored, and the recipe says what to delete."""
    assert set(calls(recipe.after)) == {"EcrDockerOperator"}
    assert "EcrDockerOperator" not in calls(recipe.before)
    assert "docker_conn_id" not in code(recipe.after)
    assert "\n**Delete** " in recipe.text


def test_every_folder_is_a_recipe() -> None:
    """The text names every file in the folder."""
    named = {path for recipe in RECIPES for path in (recipe.before, recipe.after) if FOLDER in path.parents}
    assert sorted(named) == sorted(FOLDER.rglob("*.py"))
    assert len(RECIPES) == 5


@pytest.mark.slow
def test_before(before_dags: AirflowHome) -> None:
    """The DAGs from before a migration still import, except the plugin's, which fails only without the plugin."""
    dags = before_dags.dags()
    assert sorted(dags) == ["cron_on_every_host", "ecs_executor", "register_operator", "remote_engine"]
    if version("apache-airflow").startswith("2."):
        return  # whose "dags reserialize" does not store the errors
    [(file, why)] = before_dags.import_errors().items()
    assert file.endswith("airflow_ecr_plugin.py")
    assert why.splitlines()[-1].startswith("ImportError: cannot import name 'aws_ecr' from 'airflow.operators'")
