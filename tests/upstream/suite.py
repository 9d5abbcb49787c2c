"""Fetch the provider's own tests, and run them with or without our classes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tests.isolation import online

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROVIDER = "apache-airflow-providers-docker"
DECORATORS = "tests/unit/docker/decorators"
# The only other test that needs an engine: it connects to the socket at its default path.
SOCKET = "tests/unit/docker/hooks/test_docker.py::test_connect_to_valid_host"

_INSIDE = Path(__file__).with_name("inside")
CONTROL = "control.py"
_FOREIGN = ("AIRFLOW", "AWS_", "DOCKER_", "PYTEST", "PYTHONPATH")
# Places where the provider's tests name an image; an empty name stays empty.
_IMAGE = re.compile(r'(\bTEST_IMAGE = |\bimage=|"image": )"(?=[^"])')
_DECORATOR = "@task.docker("


@dataclass(frozen=True)
class Record:
    """The outcome of each test of a run."""

    outcomes: dict[str, str]
    reasons: dict[str, str]
    counts: dict[str, int]

    def having(self, outcome: str) -> set[str]:
        """Return the ids of the tests that ``passed``, ``failed`` or were ``skipped``."""
        return {test for test, found in self.outcomes.items() if found == outcome}


class Suite:
    """The provider's tests, unpacked in a directory with a separate Airflow."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.images = 0
        """How many image names were rewritten."""
        self.decorators = 0
        """How many decorators were rewritten."""

    @classmethod
    def fetch(cls, directory: Path) -> Suite:
        """Return the tests of the installed provider version, from its source distribution."""
        wanted = f"{PROVIDER}=={version(PROVIDER)}"
        # The source distribution is needed because wheels do not contain the tests.
        command = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", PROVIDER, wanted]
        _run([sys.executable, *command, "--dest", str(directory)], online())
        (archive,) = directory.glob("*.tar.gz")
        # Not tarfile: its filters are missing in Debian 12's Python.
        _run(["tar", "-xzf", str(archive), "-C", str(directory)], os.environ)
        suite = cls(directory / archive.name.removesuffix(".tar.gz"))
        # Use neither the provider's pytest settings nor ours.
        (suite.directory / "pytest.ini").write_text("[pytest]\n")
        # Inside our tree, pytest would load our own conftest.py.
        shutil.copy(_INSIDE / CONTROL, suite.directory)
        _run([sys.executable, "-m", "airflow", "db", "migrate"], suite.environment({}))
        return suite

    def at(self, host: str) -> Suite:
        """Return a copy of the suite with its images in the registry *host* and with our decorator."""
        suite = Suite(self.directory.with_name(f"{self.directory.name}-at-{host}"))
        shutil.copytree(self.directory, suite.directory)
        for path in suite.directory.glob("tests/unit/**/test_*.py"):
            text, images = _IMAGE.subn(rf'\1"{host}/', path.read_text())
            suite.decorators += text.count(_DECORATOR)
            path.write_text(text.replace(_DECORATOR, "@task.ecr_docker("))
            suite.images += images
        return suite

    def run(
        self,
        *arguments: str,
        swapped: bool = False,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Record:
        """Run each test in the way that the provider intends, and return the outcomes.

        :param arguments: paths and options for pytest.
        :param swapped: whether our classes replace the provider's.
        :param environment: variables to add to the suite's own.
        :param prefix: command in front of pytest's.
        """
        record = self.directory / "record.json"
        record.unlink(missing_ok=True)
        plugins = ["recording", "swapping"] if swapped else ["recording"]
        options = [option for plugin in plugins for option in ("-p", plugin)]
        command = [*prefix, sys.executable, "-m", "pytest", "-c", "pytest.ini", "-p", "no:cacheprovider", *options]
        done = subprocess.run(
            [*command, "--record", str(record), *arguments],
            cwd=self.directory,
            env=self.environment(environment or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert record.exists(), f"The provider's tests did not run:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
        return Record(**json.loads(record.read_text()))

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the suite's processes, without variables that point to other services."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        home = self.directory.parent / "airflow"
        return {
            **kept,
            "PYTHONPATH": str(_INSIDE),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
            **more,
        }


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
