"""The tests read none of the machine's own settings, and their temporary files are in one folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.test_documents import ROOT

MACHINE = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://nowhere.invalid/airflow",
    "AIRFLOW_CONN_AWS_DEFAULT": "aws://key:secret@",
    "AIRFLOW_HOME": "/nowhere",
    "AWS_PROFILE": "nosuch",
    "DOCKER_HOST": "tcp://nowhere.invalid:1",
    "ECR_IMAGE": "app",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "http_proxy": "http://127.0.0.1:1",
    "NO_PROXY": "example.com",
}
PROGRAM = """
import json, os, sys, tempfile
from tests.isolation import isolated, online
with isolated(own_image=len(sys.argv) > 1):
    with tempfile.NamedTemporaryFile() as file:
        print(json.dumps([dict(os.environ), online(), file.name]))
print(os.environ.get("TMPDIR"), tempfile.gettempdir())
"""

WAITS = """
import os, time

def test_it(tmp_path):
    (tmp_path / "ready").touch()
    time.sleep(float(os.environ["WAIT"]))
"""
SECONDS = 300


def environments(short: Path, *arguments: str) -> tuple[dict[str, str], dict[str, str], Path]:
    """Return the isolated environment, that of programs that download, and the path of a temporary file."""
    ours = {name for name in os.environ if name.startswith("STAND_") or name.lower() == "no_proxy"}
    outer = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**outer, **MACHINE, "TMPDIR": str(short)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    first, restored = done.stdout.splitlines()
    inside, online, file = json.loads(first)
    assert restored == f"{short} {short}"
    assert list(short.iterdir()) == []
    return inside, online, Path(file)


def test_settings(short: Path) -> None:
    """Nothing of the machine's Airflow, AWS, Docker and proxies is seen, but programs that download use the proxies."""
    inside, online, _ = environments(short)
    assert {name: value for name, value in inside.items() if MACHINE.get(name) == value} == {}
    assert inside["NO_PROXY"] == inside["no_proxy"] == "127.0.0.1,localhost"
    proxies = {"HTTPS_PROXY", "http_proxy", "NO_PROXY"}
    assert {name for name, value in online.items() if MACHINE.get(name) == value} == proxies
    assert "no_proxy" not in online


def test_settings_for_ones_own_image(short: Path) -> None:
    """For an image of one's own, only Airflow's configuration is replaced, and not its connections."""
    inside, online, _ = environments(short, "own")
    assert {name for name, value in MACHINE.items() if inside.get(name) != value} == {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW_HOME",
        "NO_PROXY",
    }
    assert inside["NO_PROXY"] == "example.com,127.0.0.1,localhost"
    assert online == inside


def test_temporary_files(short: Path) -> None:
    """Temporary files are in one folder with a short name, which other users may use, too."""
    *_, file = environments(short)
    assert len(str(file.parent)) == len(f"{short}/ecr-12345678")
    here = Path(os.environ["TMPDIR"])
    assert here.stat().st_mode & 0o7777 == 0o1777
    assert short.parent == here


@pytest.mark.slow
@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("processes", ["0", "2"])
def test_tests_leave_nothing_behind(number: signal.Signals | None, processes: str, short: Path, tmp_path: Path) -> None:
    """A run of the tests leaves no temporary file and no folder in the home directory, also when it is interrupted."""
    (tmp_path / "test_waits.py").write_text(WAITS)
    options = ["-q", "-p", "no:cacheprovider", "-p", "tests.conftest", "--rootdir", str(ROOT), "-n", processes]
    run = subprocess.Popen(
        ["env", "--default-signal", sys.executable, "-m", "pytest", *options, str(tmp_path)],
        env={**os.environ, "TMPDIR": str(short), "HOME": str(short), "WAIT": "600" if number else "0"},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        # Not this process's group, which an interrupt of the outer tests reaches.
        start_new_session=True,
    )
    with run:
        if number:
            wait_for_ready(1, short)
            run.send_signal(number)
        ended(run)
    assert run.returncode == (pytest.ExitCode.INTERRUPTED if number else pytest.ExitCode.OK)
    assert [path for path in short.rglob("*") if path.name != "__pycache__"] == []


RUNS_TESTS = """
import sys
from pathlib import Path
from tests.runs import jobs, run_pytest
with jobs(2) as (pool, directory):
    options = ["-p", "tests.conftest", "--rootdir", ".", sys.argv[1]]
    list(pool.map(lambda name: run_pytest(sys.executable, directory / name, options), ["a", "b", "c"]))
"""


def ended(run: subprocess.Popen[bytes]) -> None:
    """Wait for the end of *run*, and kill it if it does not end."""
    try:
        run.wait(SECONDS)
    except subprocess.TimeoutExpired:
        run.kill()
        raise


@pytest.mark.slow
def test_interrupted_runs(short: Path, tmp_path: Path) -> None:
    """An interrupt of ``python -m tests.cells`` also ends the runs of pytest that it started, and their files."""
    (tmp_path / "test_waits.py").write_text(WAITS)
    run = subprocess.Popen(
        [sys.executable, "-c", RUNS_TESTS, str(tmp_path)],
        env={**os.environ, "TMPDIR": str(short), "WAIT": "600"},
        cwd=ROOT,
        start_new_session=True,
    )
    with run:
        wait_for_ready(2, short)
        run.terminate()
        ended(run)
    assert list(short.iterdir()) == []


def wait_for_ready(tests: int, folder: Path) -> None:
    """Wait until as many of :data:`WAITS` run in *folder*."""
    deadline = time.monotonic() + SECONDS
    # Unlike rglob, walk passes over folders that are removed in the meantime.
    while sum("ready" in files for _, _, files in os.walk(folder)) < tests:
        assert time.monotonic() < deadline
        time.sleep(0.1)
