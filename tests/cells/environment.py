"""Create the environment of a cell and run tests in it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.cells.interpreters import find_interpreter
from tests.isolation import online
from tests.runs import ROOT, Result, run_pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.cells.versions import Cell

SHOWN = {
    "Python": "python",
    "Airflow": "apache-airflow",
    "docker provider": "apache-airflow-providers-docker",
    "amazon provider": "apache-airflow-providers-amazon",
    "docker-py": "docker",
    "boto3": "boto3",
}
"""Column of the table -> package."""
_OURS = "ecr-docker-operator"
_PYTHON = "import platform; print(platform.python_version())"


class CellError(RuntimeError):
    """The environment of a cell cannot be created."""


class Environment:
    """A virtual environment in *directory*: an Airflow as users have it, then this project, then what the tests need.

    :raises CellError: if a step fails.
    """

    def __init__(self, cell: Cell, directory: Path) -> None:
        self._directory = directory
        self.python = directory / "venv" / "bin" / "python"
        """Its interpreter."""
        interpreter = find_interpreter(cell.python, cell.also)
        _run("uv", "venv", "--quiet", "--no-python-downloads", "--python", interpreter, str(directory / "venv"))
        # Every test that starts a process imports Airflow again; without byte code, that is several times slower.
        self._install("--compile-bytecode", *cell.limits, *cell.requirements)
        self.before = self._packages()
        """Version of each package before this project was installed."""
        pinned = directory / "pinned.txt"
        pinned.write_text("".join(f"{name}=={version}\n" for name, version in self.before.items()))
        self.installation = Result()
        """What installing this project into that Airflow changed, without and with its versions as constraints."""
        pip = ["pip", "--python", str(self.python), "install", "--quiet", str(ROOT)]
        for command in (pip, [*pip, "--constraint", str(pinned)]):
            _run(*command)
            self.installation = self._look(self.installation)
        project = ["--editable", str(ROOT)]
        for group in cell.groups:
            project += ["--group", f"{ROOT / 'pyproject.toml'}:{group}"]
        self._install("--compile-bytecode", "--constraint", str(pinned), *project)

    def versions(self) -> dict[str, str]:
        """Return the installed versions by column of the table."""
        found = {**self._packages(), "python": _run_program(self.python, "-c", _PYTHON).strip()}
        return {column: found[package] for column, package in SHOWN.items()}

    def test(self, name: str, arguments: Sequence[str]) -> Result:
        """Run pytest with *arguments*."""
        report = self._directory / f"{name}.xml"
        # Treat warnings as errors only in the development versions: old versions warn about their own code.
        return run_pytest(str(self.python), report, ["-W", "default", *arguments])

    def _look(self, earlier: Result) -> Result:
        after = self._packages()
        changed = sorted({name for name, _ in self.before.items() ^ after.items()} - {_OURS})
        if changed or _OURS not in after:
            lines = [f"{name}: {self.before.get(name)} -> {after.get(name)}" for name in changed]
            return Result(earlier.passed, earlier.failed + 1, output="\n".join([earlier.output, *lines]))
        return Result(earlier.passed + 1, earlier.failed, output=earlier.output)

    def _packages(self) -> dict[str, str]:
        listed = _run("uv", "pip", "list", "--quiet", "--format", "json", "--python", str(self.python))
        return {package["name"]: package["version"] for package in json.loads(listed)}

    def _install(self, *arguments: str) -> None:
        _run("uv", "pip", "install", "--quiet", "--python", str(self.python), *arguments)


def _run(*command: str) -> str:
    return _run_program(sys.executable, "-m", *command)


def _run_program(*command: str | Path) -> str:
    done = subprocess.run(command, env=online(), capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{' '.join(map(str, command[2:]))} failed:\n{done.stderr}"
        raise CellError(msg)
    return done.stdout
