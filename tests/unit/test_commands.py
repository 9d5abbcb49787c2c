"""The README's two commands, from a clone on a machine where nothing is installed yet."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.__main__ import INTERRUPTED
from tests.shown import run_shown
from tests.unit.test_documents import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

pytestmark = pytest.mark.slow

# A project that pip installs from itself, without a package index.
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """
import zipfile

def build_editable(directory, *_):
    info = "clone-1.dist-info"
    with zipfile.ZipFile(f"{directory}/clone-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: clone\\nVersion: 1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return "clone-1-py3-none-any.whl"
"""
SAYS_ITS_NAME = "import os, sys\nprint(__spec__.name, *sys.argv[1:])\nsys.exit(int(os.environ.get(__spec__.name, 0)))\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Provide a clone in which all that is run only prints its name and arguments."""
    (tmp_path / "tests" / "stand").mkdir(parents=True)
    for name in ("__init__", "__main__", "scratch", "shown"):
        shutil.copy(ROOT / "tests" / f"{name}.py", tmp_path / "tests")
    (tmp_path / "tests" / "requirements.txt").touch()
    for name in ("pytest", "tests/stand/__main__", "tests/engines", "tests/cells"):
        (tmp_path / f"{name}.py").write_text(SAYS_ITS_NAME)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "backend.py").write_text(BACKEND)
    return tmp_path


# Starts a process with a file of its own, and waits.
WAITS = """
import subprocess, sys, tempfile, time
from tests.scratch import scratch
with scratch():
    tempfile.mkdtemp()
    subprocess.Popen([sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"])
    time.sleep(600)
"""
AS_ANOTHER_USER = ("unshare", "--user")


def run(
    clone: Path, *arguments: str, under: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``python3 -m tests`` in *clone* with *arguments* and additional environment variables."""
    return subprocess.run(
        [*under, sys.executable, "-m", "tests", *arguments],
        cwd=clone,
        env={**os.environ, "PIP_NO_INDEX": "1", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def test_quickstart(clone: Path) -> None:
    """It says that it installs, installs, runs the quickstart, and ends with its exit status."""
    done = run(clone, "quickstart", environment={"tests.stand.__main__": "7"})
    assert (done.returncode, done.stdout) == (7, "tests.stand.__main__\n"), done.stderr
    assert done.stderr.startswith("Installing Python packages into .venv;")
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--python", clone / ".venv/bin/python", "list"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "clone" in listed.stdout


def test_everything(clone: Path) -> None:
    """Without an argument, it runs the tests, then the engines, then the cells, until something fails."""
    done = run(clone)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["pytest", "tests.engines", "tests.cells"]
    assert done.returncode == 0
    done = run(clone, environment={"tests.engines": "1"})
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["pytest", "tests.engines"]
    assert done.returncode == 1


@pytest.mark.parametrize("arguments", [("quickstart",), ()], ids=["quickstart", "tests"])
def test_not_root(clone: Path, arguments: tuple[str, ...]) -> None:
    """Other users than root are refused before anything is installed; the message is the command with sudo."""
    done = run(clone, *arguments, under=AS_ANOTHER_USER)
    assert done.returncode == 1
    command = " ".join(["sudo python3 -m tests", *arguments])
    assert done.stderr == f"This starts a Docker Engine in namespaces of its own, so it runs as root: {command}\n"
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(["quickstart"], {"ECR_IMAGE": "app"}), (["install"], {})],
    ids=["own-engine", "install"],
)
def test_what_needs_no_root(clone: Path, arguments: list[str], environment: dict[str, str]) -> None:
    """To install, and to run an image on one's own engine, needs no root."""
    done = run(clone, *arguments, under=AS_ANOTHER_USER, environment=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(number: signal.Signals, clone: Path, short: Path) -> None:
    """After an interrupt, all processes end, no temporary file is left, and one line says so."""
    (clone / "tests" / "stand" / "__main__.py").write_text(WAITS)
    process = subprocess.Popen(
        ["env", "--default-signal", sys.executable, "-m", "tests", "quickstart"],
        cwd=clone,
        env={**os.environ, "PIP_NO_INDEX": "1", "TMPDIR": str(short)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    child = Path("/proc", process.stdout.readline().strip(), "cmdline")
    assert child.read_bytes()
    [folder] = short.iterdir()
    assert list(folder.iterdir())
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    lines = [line for line in said.splitlines() if not re.match(r" *\d+ s  ", line)]  # those of a slow pip
    assert lines[1:] == ["Interrupted: stopping what runs, and removing its files."]
    assert process.returncode == INTERRUPTED
    assert list(short.iterdir()) == []
    # Empty while whoever adopted it has not asked for its exit status.
    assert not child.exists() or child.read_bytes() == b""


def test_no_package(clone: Path) -> None:
    """If pip fails, the last lines are its reason and what to do."""
    (clone / "tests" / "requirements.txt").write_text("no-such-package==1\n")
    done = run(clone, "install")
    assert done.returncode == 1
    *_, reason, step = done.stderr.splitlines()
    assert reason == "The Python packages were not installed. No matching distribution found for no-such-package==1"
    assert step.startswith("Check the way to the package index")


def test_no_pip(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without pip, the message says how to install it."""
    bare = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    done = subprocess.run(
        [bare / "bin/python", "-m", "tests", "install"], cwd=clone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "pip is missing: install it. In Debian and Ubuntu: apt-get install python3-pip\n"


def test_it_shows_that_it_moves(capfd: pytest.CaptureFixture[str]) -> None:
    """While a command runs, a line every few seconds says how long, and what it printed last."""
    program = "import time; print('Collecting boto3', flush=True); time.sleep(3); print('end'); exit(3)"
    assert run_shown([sys.executable, "-c", program], seconds=0.4) == (3, ["Collecting boto3", "end"])
    shown = {line.split("s  ")[1] for line in capfd.readouterr().err.splitlines()}
    # Python may take longer than that to start and to end.
    assert "Collecting boto3" in shown <= {"", "Collecting boto3", "end"}
