"""The deployment itself: a whole Airflow runs a DAG, and no process outlives the test."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deployment import Deployment
from tests.system.conftest import ROOT

if TYPE_CHECKING:
    from tests.stand import Stand

pytestmark = pytest.mark.stand

SECONDS = 400

# A process that starts a deployment, reports it, and is then killed.
STARTS = """
import sys, time
from pathlib import Path
from tests.deployment import Deployment

with Deployment(Path(sys.argv[1]), Path("dags").resolve()) as airflow:
    print("started", flush=True)
    time.sleep(600)
"""


def test_local_executor(stand: Stand, tmp_path: Path) -> None:
    """Scheduler, DAG processor, API server and PostgreSQL run the quickstart, once with permission and once without."""
    image = stand.push("hello")
    with Deployment(tmp_path, ROOT / "dags", environment={**stand.environment, "ECR_IMAGE": image}) as airflow:
        run = airflow.wait("quickstart", airflow.trigger("quickstart"), SECONDS)
        assert run.succeeded, airflow.task_logs()
        assert run.states == {("container", -1): "success"}
        assert run.tries == {("container", -1): 1}
        [call] = stand.aws.token_calls()
        assert call.arn == stand.worker.arn
        assert "asking for an authorization token" in airflow.task_logs()
        for place in (airflow.dump(), airflow.task_logs(), airflow.output()):
            assert stand.aws.tokens[0].password not in place
            assert stand.aws.tokens[0].authorization not in place

        stand.engine.forget(image)
        stand.worker.may_get_token = False
        run = airflow.wait("quickstart", airflow.trigger("quickstart"), SECONDS)
        assert run.states == {("container", -1): "failed"}
        assert "is not authorized to perform: ecr:GetAuthorizationToken" in airflow.task_logs()


def test_nothing_outlives_its_test() -> None:
    """When the test's own process is killed, all processes of Airflow and PostgreSQL end."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        place.chmod(0o755)  # PostgreSQL does not run as root
        (place / "airflow").mkdir()
        process = subprocess.Popen(
            [sys.executable, "-c", STARTS, str(place / "airflow")],
            env={**os.environ, "TMPDIR": directory},
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        with process, process.stdout:
            assert process.stdout.readline() == b"started\n"
            names = " ".join(working_in(place))
            assert all(name in names for name in ("scheduler", "dag-processor", "api_server", "postgres")), names
            process.kill()
        deadline = time.monotonic() + SECONDS
        while working_in(place):
            assert time.monotonic() < deadline, working_in(place)
            time.sleep(0.1)


def working_in(directory: Path) -> list[str]:
    """Return the command lines of the processes that work in *directory*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(directory):
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found
