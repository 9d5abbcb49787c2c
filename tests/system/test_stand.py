"""The stand itself: it behaves like AWS, leaves nothing behind, and names missing programs."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from docker.errors import APIError
from docker.types.services import ContainerSpec, TaskTemplate

from tests.stand import Stand
from tests.stand.hosts import ACCOUNT, OTHER_REGION, REGION
from tests.stand.namespaces import ADDRESS
from tests.stand.swarm import swarm
from tests.system.conftest import ROOT, lasting_traces, traces

if TYPE_CHECKING:
    from docker.api.client import APIClient

pytestmark = pytest.mark.stand

SECONDS = 60
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


def test_it_leaves_nothing_behind() -> None:
    """No process, mount, control group, file, address or port outlives the stand, even if a container still ran."""
    with Stand() as stand:
        image = stand.push()
        pull(stand.engine.client, image, stand.aws.issue("ecr", REGION, stand.worker).password)
        container = stand.engine.client.create_container(image, "sleep 600")
        stand.engine.client.start(container)
        assert len(traces(stand.directory.name)) > 3
    assert lasting_traces(stand.directory.name) == []
    assert ADDRESS not in Path("/proc/net/fib_trie").read_text()
    host, port = stand.aws.url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) == errno.ECONNREFUSED


def test_a_swarm_leaves_nothing_behind() -> None:
    """The same holds for a second engine on another network, in a Swarm with a running service."""
    interfaces = Path("/proc/net/dev").read_text().count(":")
    with Stand() as stand, stand.second_engine() as worker, swarm(stand.engine, worker):
        name = stand.directory.name
        image = stand.push()
        login = {"username": "AWS", "password": stand.aws.issue("ecr", REGION, stand.worker).password}
        for engine in (stand.engine, worker):
            engine.client.pull(image, auth_config=login)
        stand.engine.client.create_service(TaskTemplate(ContainerSpec(image, ["sleep", "600"])))
        deadline = time.monotonic() + SECONDS
        while not running(stand.engine.client) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert running(stand.engine.client)
    assert lasting_traces(name) == []
    assert Path("/proc/net/dev").read_text().count(":") == interfaces


def running(manager: APIClient) -> list[str]:
    """Return the running tasks of the Swarm."""
    return [task["ID"] for task in manager.tasks() if task["Status"]["State"] == "running"]


def test_two_at_the_same_time() -> None:
    """Two stands do not see each other's tokens or images."""
    with Stand() as one, Stand() as two:
        image = one.push("only-in-one")
        two.push("only-in-two")
        token = one.aws.issue("ecr", REGION, one.worker)
        pull(one.engine.client, image, token.password)
        with pytest.raises(APIError, match=r"no basic auth credentials|unauthorized|401 Unauthorized"):
            pull(two.engine.client, image, token.password)


def pull(client: APIClient, image: str, password: str) -> None:
    """Pull an image with a password, and raise the error if it fails."""
    client.pull(image, auth_config={"username": "AWS", "password": password})


@pytest.mark.parametrize(
    ("repository", "region", "lifetime", "words"),
    [
        ("app:1", REGION, 3600, ""),
        ("app:1", REGION, 0, "denied: Your authorization token has expired. Reauthenticate and try again."),
        ("app:1", OTHER_REGION, 3600, "denied: Your authorization token has expired. Reauthenticate and try again."),
        (
            "missing",
            REGION,
            3600,
            f"The repository with name 'missing' does not exist in the registry with id '{ACCOUNT}'",
        ),
        ("app:missing", REGION, 3600, "manifest unknown: Requested image not found"),
    ],
    ids=["fine", "expired", "other-region", "no-repository", "no-tag"],
)
def test_it_refuses_in_ecrs_words(repository: str, region: str, lifetime: float, words: str, stand: Stand) -> None:
    """The registry accepts only a valid token of its region, and refuses others with ECR's messages."""
    stand.push("app")
    stand.aws.lifetime = lifetime
    token = stand.aws.issue("ecr", region, stand.worker)
    if not words:
        pull(stand.engine.client, f"{HOST}/{repository}", token.password)
        return
    with pytest.raises(APIError) as caught:
        pull(stand.engine.client, f"{HOST}/{repository}", token.password)
    if stand.kind.containerd_store:  # it asks with HEAD, whose answer has no message
        words = "403 Forbidden" if "expired" in words else "not found"
    assert words in str(caught.value.explanation)


def test_it_refuses_the_anonymous(stand: Stand) -> None:
    """A pull without a login fails."""
    with pytest.raises(APIError, match=r"no basic auth credentials|unauthorized"):
        stand.engine.client.pull(stand.push(), auth_config={})


def test_tests_are_found_before_it_installs_anything(tmp_path: Path) -> None:
    """On a machine without the stand's programs, all test modules can be imported."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_it_says_what_is_missing() -> None:
    """If the stand cannot run, it fails with a message that says what to do."""
    # Switch users after all imports: another user may not be able to read this repository.
    program = "import os\nfrom tests.stand import Stand\nos.seteuid(65534)\nwith Stand(): pass"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        cwd=ROOT,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    expected = "StandUnavailableError: The stand makes namespaces of its own, so it runs as root."
    assert done.stderr.splitlines()[-1].endswith(expected)
