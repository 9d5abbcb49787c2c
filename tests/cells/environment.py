"""Create the environment of a cell and run tests in it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.cells.interpreters import find_interpreter
from tests.runs import ROOT, Result, run_pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.cells.versions import Cell

_SHOWN = {
    "Airflow": "apache-airflow",
    "docker provider": "apache-airflow-providers-docker",
    "amazon provider": "apache-airflow-providers-amazon",
    "docker-py": "docker",
    "boto3": "boto3",
}
_VERSIONS = f"""
import json, platform
from importlib.metadata import version
print(json.dumps({{"Python": platform.python_version()}} | {{k: version(v) for k, v in {_SHOWN!r}.items()}}))
"""
COLUMNS = ("Python", *_SHOWN)


class CellError(RuntimeError):
    """The environment of a cell cannot be created."""


class Environment:
    """A virtual environment in *directory* with this project and the versions of a cell."""

    def __init__(self, cell: Cell, directory: Path) -> None:
        self._directory = directory
        self.python = directory / "venv" / "bin" / "python"
        """Its interpreter."""
        interpreter = find_interpreter(cell.python, cell.allowed)
        _uv("venv", "--no-python-downloads", "--python", interpreter, str(directory / "venv"))
        project = ["--editable", str(ROOT), "--group", f"{ROOT / 'pyproject.toml'}:dev"]
        # Every test that starts a process imports Airflow again; without byte code, that is several times slower.
        _uv("pip", "install", "--compile-bytecode", "--python", str(self.python), *project, *cell.requirements)

    def versions(self) -> dict[str, str]:
        """Return the installed versions by column of the table."""
        done = _run([str(self.python), "-c", _VERSIONS])
        found: dict[str, str] = json.loads(done.stdout)
        return found

    def test(self, name: str, paths: Sequence[str]) -> Result:
        """Run the tests at *paths*."""
        report = self._directory / f"{name}.xml"
        # Treat warnings as errors only in the development versions: old versions warn about their own code.
        return run_pytest(str(self.python), report, ["-W", "default", *paths])


def _uv(*arguments: str) -> None:
    done = _run([sys.executable, "-m", "uv", "--quiet", *arguments], check=False)
    if done.returncode:
        msg = f"uv {' '.join(arguments)} failed:\n{done.stderr}"
        raise CellError(msg)


def _run(command: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=check)
