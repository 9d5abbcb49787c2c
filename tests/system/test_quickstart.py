"""The README's first command, as a new user runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.stand.__main__ import HELLO
from tests.stand.hosts import ACCOUNT, REGION
from tests.stand.images import build
from tests.system.conftest import ROOT, lasting_traces

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stand import Stand

pytestmark = pytest.mark.stand


def quickstart(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the quickstart with additional environment variables *environment*."""
    return subprocess.run(
        [sys.executable, "-m", "tests.stand"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        check=False,
    )


def test_on_its_own_stand(short: Path) -> None:
    """It reads no settings of the machine, prints the container's output and what happened, and leaves no file."""
    (short / "airflow").mkdir()
    (short / "airflow" / "airflow.cfg").write_text("[core]\nexecutor = Nonsense\n")
    done = quickstart(
        {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://nowhere.invalid/airflow",
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://key:secret@",
            "AWS_PROFILE": "nosuch",
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:1"),
            "no_proxy": "example.com",
            "HOME": str(short),
            "TMPDIR": str(short),
        }
    )
    assert done.returncode == 0, done.stdout
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/hello:1"
    assert done.stdout.splitlines() == [
        "Starting a real engine, a real registry, and a stand-in for AWS's API.",
        f"Running dags/quickstart.py through Airflow, with the image {image}.",
        "",
        HELLO,
        "",
        f"image:        {image}",
        f"registry:     Amazon ECR registry {ACCOUNT} in {REGION}",
        "tokens asked: 1",
        "pulled:       yes",
    ]
    assert [str(path.relative_to(short)) for path in short.rglob("*")] == ["airflow", "airflow/airflow.cfg"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(number: signal.Signals, short: Path) -> None:
    """After an interrupt while the DAG runs, no file and no process is left, and no traceback is printed."""
    process = subprocess.Popen(
        ["env", "--default-signal", sys.executable, "-m", "tests.stand"],
        env={**os.environ, "TMPDIR": str(short), "HOME": str(short)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    with process, process.stdout:
        while "Running dags/quickstart.py" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(number)
        assert process.stdout.read() == ""
    assert process.returncode == -signal.SIGINT
    assert lasting_traces(short.name, 1) == [str(short)]
    assert list(short.rglob("*")) == []


def test_with_ones_own_image(stand: Stand) -> None:
    """With ECR_IMAGE, it runs that image with the account and the engine of the environment."""
    image = stand.push("own", image=build("my own\nsecond line"))
    done = quickstart({"ECR_IMAGE": image})
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[1:4] == ["", "my own", "second line"]
    assert len(stand.aws.token_calls()) == 1
    again = quickstart({"ECR_IMAGE": image})
    assert again.stdout.splitlines()[-2:] == ["tokens asked: 0", "pulled:       no, the engine had it"]
    assert len(stand.aws.token_calls()) == 1


def test_failure(stand: Stand) -> None:
    """If the DAG fails, the quickstart prints its log, and the exit status is not 0."""
    image = stand.push("own").replace(":1", ":missing")
    done = quickstart({"ECR_IMAGE": image})
    assert done.returncode == 1
    assert "Requested image not found (ImageNotFound). Check the tag or digest; " in done.stdout
    said, sentence = done.stdout.splitlines()[-2:]
    assert said == "The DAG failed; its log is above."
    assert sentence.startswith(f"{image}: not pulled from ")


def test_failure_of_another_kind(stand: Stand) -> None:
    """An error that is not the package's is the last line, too."""
    done = quickstart({"ECR_IMAGE": "localhost:1/app:1", "DOCKER_HOST": stand.engine.url})
    assert done.returncode == 1
    said, sentence = done.stdout.splitlines()[-2:]
    assert said == "The DAG failed; its log is above."
    assert re.match(r"APIError: 500 Server Error .*connection refused", sentence)


def test_bad_image() -> None:
    """An invalid image fails with the package's error message."""
    image = f"https://{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/app"
    done = quickstart({"ECR_IMAGE": image})
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith(f"image: '{image}' starts with a scheme;")
