"""Create the environment of a cell and run tests in it."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cells.interpreters import find_interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cells.versions import Cell

ROOT = Path(__file__).parents[2]
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


@dataclass(frozen=True)
class Result:
    """The result of one pytest run."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    output: str = field(default="", repr=False)

    def __str__(self) -> str:
        counts = {"passed": self.passed, "failed": self.failed, "skipped": self.skipped}
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count or outcome == "passed")


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
        command = [str(self.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        # Treat warnings as errors only in the development versions: old versions warn about their own code.
        command += ["-W", "default", *paths]
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if not report.exists():
            return Result(failed=1, output=done.stdout)
        suite = ET.parse(report).getroot()[0]  # noqa: S314 - pytest wrote it
        cases, failures, errors, skipped = (
            int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")
        )
        failed = failures + errors or int(done.returncode != 0)
        return Result(max(cases - failed - skipped, 0), failed, skipped, done.stdout)


def _uv(*arguments: str) -> None:
    done = _run([sys.executable, "-m", "uv", "--quiet", *arguments], check=False)
    if done.returncode:
        msg = f"uv {' '.join(arguments)} failed:\n{done.stderr}"
        raise CellError(msg)


def _run(command: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=check)
