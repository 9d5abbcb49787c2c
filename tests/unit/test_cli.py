"""The command line's arguments and its use in Airflow; the system tests cover the check itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from inspect import signature
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.docker.operators.docker import DockerOperator

from ecr_docker_operator import EcrDockerOperator
from ecr_docker_operator.check.cli import ARGUMENTS, get_commands, main
from ecr_docker_operator.provider_info import get_provider_info
from tests.stand.hosts import ACCOUNT, REGION

if TYPE_CHECKING:
    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
IMAGE = f"{HOST}/app:1"
DIGEST = f"sha256:{'0' * 64}"
LIGHT = "import sys; import ecr_docker_operator.check.cli; print({'airflow', 'docker', 'boto3'} & set(sys.modules))"


def prepare(engine: RecordingEngine) -> None:
    """Make *engine* know the image's registry."""
    engine.answers["/version"] = (200, {"ApiVersion": "1.41", "Version": "27.0.1", "Os": "linux", "Arch": "arm64"})
    engine.answers[f"/distribution/{IMAGE}/json"] = (
        200,
        {
            "Descriptor": {"digest": DIGEST, "mediaType": "application/vnd.oci.image.manifest.v1+json"},
            "Platforms": [{"os": "linux", "architecture": "arm", "variant": "v7"}],
        },
    )


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a separate process, because it writes to the file descriptors directly."""
    command = [sys.executable, "-m", "ecr_docker_operator", "check", *arguments]
    return subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["check"],
        ["check", IMAGE, "another"],
        ["check", IMAGE, "--dags"],
        ["check", "--dags", "dags", "--aws-conn-id", "team"],
        ["check", IMAGE, "--nonsense"],
        ["check", IMAGE, "--tls-verify", "perhaps"],
        ["check", IMAGE, "--docker-url"],
    ],
)
def test_arguments_that_cannot_be_right(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Invalid arguments end with status 2 and the usage on standard error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, errors = capfd.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert errors.startswith("usage: python -m ecr_docker_operator")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([f"https://{HOST}/app:1"], "starts with a scheme"),
        ([f"{HOST}/App:1"], "lower-case letters"),
        ([f"{HOST}/app:1", "--registry-id", "12345"], "expected an AWS account"),
        ([f"{HOST}/app:1", "--region-name", "mars"], "no AWS partition"),
        (["app:1", "--docker-url", "nonsense"], "port is required"),
        (["app:1", "--docker-url", "tcp://localhost:99999"], "Port out of range"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_impossible_arguments(arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Arguments that cannot be right anywhere end with status 2, after the step that says why."""
    with pytest.raises(SystemExit) as ended:
        main(["check", *arguments])
    assert ended.value.code == 2
    assert words in capfd.readouterr().out.splitlines()[-1]


def test_arguments_are_the_operators() -> None:
    """All arguments but the last three are parameters of the operator with the same name."""
    parameters = {**signature(DockerOperator).parameters, **signature(EcrDockerOperator).parameters}
    names = [flag.removeprefix("--").replace("-", "_") for flag in ARGUMENTS]
    assert [name for name in names if name not in parameters] == ["dags", "json", "verbose"]


def test_loading_it_costs_nothing() -> None:
    """Airflow loads the module for each of its commands, so it imports none of Airflow, docker-py and boto3."""
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_airflow_finds_the_commands() -> None:
    """The function that the provider info names returns Airflow's command objects with all arguments."""
    assert get_provider_info()["cli"] == [f"{get_commands.__module__}.{get_commands.__name__}"]
    [group] = get_commands()
    [command] = group.subcommands
    assert (group.name, command.name) == ("ecr-docker", "check")
    assert [argument.flags for argument in command.args] == [(flag,) for flag in ARGUMENTS]


@pytest.mark.slow
def test_one_document(engine: RecordingEngine, aws: Aws) -> None:
    """With ``--json``, standard output is exactly one document, whatever this version of Airflow prints."""
    prepare(engine)
    done = check(IMAGE, "--docker-url", engine.url, "--json")
    document: dict[str, Any] = json.loads(done.stdout)
    steps = {step["name"]: step for step in document["steps"]}
    assert document["ok"] is True, done.stdout
    assert document["policy"] == "off"
    assert done.returncode == 0
    assert steps["engine"]["text"] == f"{engine.url}: version 27.0.1, linux/arm64"
    assert steps["digest"]["digest"] == DIGEST
    assert steps["architecture"]["platforms"] == ["linux/arm"]
    [asked] = [asked for asked in engine.asked if asked.path.startswith("/distribution")]
    assert (asked.login or {})["password"] == aws.tokens[0].password
    assert aws.tokens[0].password not in done.stdout + done.stderr
    assert engine.pulls() == []


def test_nobody_forges_a_line(engine: RecordingEngine, aws: Aws, capfd: pytest.CaptureFixture[str]) -> None:
    """What the engine says of itself is shown escaped; what it leaves out is no error of Python's."""
    del aws
    prepare(engine)
    engine.answers["/version"] = (
        200,
        {"ApiVersion": "1.41", "Version": "20\x1b[31m\n✓ token  fake", "Os": "linux", "Arch": "arm"},
    )
    with pytest.raises(SystemExit):
        main(["check", IMAGE, "--docker-url", engine.url])
    assert "✓ engine        " in (shown := capfd.readouterr().out)
    assert "version 20\\x1b[31m\\n✓ token  fake, linux/arm\n" in shown
    engine.answers["/version"] = (200, {"ApiVersion": "1.41", "Os": "linux"})
    with pytest.raises(SystemExit):
        main(["check", IMAGE, "--docker-url", engine.url])
    assert "something else than a Docker engine answered. KeyError: 'Version'" in capfd.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirected", "status", "out"),
    [
        ("", 0, "architecture"),
        (">&-", 0, ""),
        ("2>&-", 0, "architecture"),
        ("<&- >&- 2>&-", 0, ""),
        ("> /dev/full", 3, ""),
        ("| true", 3, ""),
        ("| head -n 1", 3, "image"),
        ("--json | true", 3, ""),
    ],
)
def test_where_the_result_goes(redirected: str, status: int, out: str, engine: RecordingEngine, aws: Aws) -> None:
    """The status is the result if output is closed, and 3 if a full disk or a closed pipe loses the output."""
    prepare(engine)
    command = f"set -o pipefail; '{sys.executable}' -m ecr_docker_operator check {IMAGE} --docker-url {engine.url}"
    done = subprocess.run(["bash", "-c", f"{command} {redirected}"], capture_output=True, text=True, check=False)
    full = "The result could not be written: No space left on device.\n"
    assert (done.returncode, done.stderr) == (status, full if "full" in redirected else "")
    assert out in done.stdout
    assert bool(done.stdout) is bool(out)
    assert aws.calls or status == 3


@pytest.mark.slow
def test_interrupt(engine: RecordingEngine, aws: Aws) -> None:
    """An interrupt ends the check quietly."""
    prepare(engine)
    # Processes that run in the background ignore interrupts, and so do their children.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "ecr_docker_operator", "check", IMAGE]
    process = subprocess.Popen([*command, "--docker-url", engine.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    aws.at_call = lambda: process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, err) == (130, b"")
    assert b"engine" in out


@pytest.mark.slow
def test_cross(engine: RecordingEngine, aws: Aws) -> None:
    """The first cross is the last line, and the exit status is 1; no version of Airflow adds output."""
    prepare(engine)
    engine.answers[f"/distribution/{IMAGE}/json"] = (404, {"message": "manifest unknown: Requested image not found"})
    done = check(IMAGE, "--docker-url", engine.url)
    *_, line = done.stdout.splitlines()
    assert line.startswith(f"✗ digest        {IMAGE}: not pulled from Amazon ECR registry {ACCOUNT} in {REGION} for ")
    assert line.endswith(
        "). manifest unknown: Requested image not found. Check the "
        "repository's name, the tag or digest, and that the identity may pull it."
    )
    assert [step.split()[1] for step in done.stdout.splitlines()] == [
        "image",
        "engine",
        "identity",
        "token",
        "registry",
        "digest",
    ]
    assert done.returncode == 1
    assert done.stderr == ""
    assert len(aws.tokens) == 1
