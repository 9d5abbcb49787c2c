"""The package as a whole: its public names and its imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path

import pytest

import ecr_docker_operator

ROOT = Path(__file__).parents[2]

# Modules that importing the operator may add to those of DockerOperator: only this package.
IMPORTS = """
import sys
import airflow.providers.docker.operators.docker
before = set(sys.modules)
import ecr_docker_operator
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("ecr_docker_operator")))
print(*sorted({"boto3", "botocore", "airflow.providers.amazon.aws.hooks.base_aws"} & set(sys.modules)))
"""


def test_public_names() -> None:
    """The public names are sorted and can be imported."""
    assert sorted(ecr_docker_operator.__all__) == ecr_docker_operator.__all__
    assert [name for name in ecr_docker_operator.__all__ if not hasattr(ecr_docker_operator, name)] == []


def test_version() -> None:
    """The version is that of the installed distribution."""
    assert version("ecr-docker-operator") == ecr_docker_operator.__version__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = getattr(ecr_docker_operator, "nothing")  # noqa: B009 - mypy knows that it is not there


FLOORS = (
    ("check",),
    ("operator", "swarm", "decorator", "policy"),
    ("hook", "link"),
    ("engine",),
    ("aws",),
    ("ecr",),
    ("errors", "hints", "compat"),
)
"""Rooms of the package, from the roof to the ground: a room imports its own floor and those below it."""


def test_imports_point_down() -> None:
    """Every import inside the package leads to the same or a lower floor; the failure names the wrong import."""
    package = Path(ecr_docker_operator.__file__).parent
    height = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
    up = []
    seen = set()
    for path in package.rglob("*.py"):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room not in height:
            assert room in ("__init__", "__main__", "provider_info"), f"{room} is on no floor"
            continue
        seen.add(room)
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(ecr_docker_operator.__name__):
                continue
            _, *names = (node.module or "").split(".")
            targets = names[:1] or [alias.name for alias in node.names]
            up += [f"{path.relative_to(package)} -> {target}" for target in targets if height[target] < height[room]]
    assert up == []
    assert seen == set(height)


def test_no_circles() -> None:
    """No two modules import each other, directly or indirectly."""
    package = Path(ecr_docker_operator.__file__).parent
    files = {".".join(path.relative_to(package.parent).with_suffix("").parts): path for path in package.rglob("*.py")}
    arrows = {
        name: {
            target
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
            for target in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            if target in files and not files[target].name.startswith("__")
        }
        for name, path in files.items()
        if not path.name.startswith("__")
    }
    TopologicalSorter(arrows).prepare()


def test_it_is_typed() -> None:
    """The package has the marker for type checkers."""
    assert (Path(ecr_docker_operator.__file__).parent / "py.typed").exists()


def test_parsing_a_dag_imports_nothing_more_than_dockeroperator() -> None:
    """Importing the operator loads neither boto3, the amazon provider nor any other third-party module."""
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["", ""]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        pytest.param(["mypy"], marks=pytest.mark.slow),
    ],
    ids=["ruff-check", "ruff-format", "mypy"],
)
def test_habits(command: list[str]) -> None:
    """Linter, formatter and type checker report nothing."""
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, cwd=ROOT, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
