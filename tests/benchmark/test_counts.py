"""Figures that are the same on every machine: requests to AWS, the registry and the engine, and imports."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.benchmark.scene import HELPER, OURS, PLAIN, ROOT, STORED, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmark.scene import Peer

pytestmark = pytest.mark.stand


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Provide a scene without the delays."""
    with Scene(round_trip=0) as scene:
        yield scene


def without_ids(requests: list[str]) -> list[str]:
    """Return *requests* without container ids."""
    return [re.sub(r"[0-9a-f]{64}", "ID", request) for request in requests]


def test_image_that_is_there_costs_nothing(scene: Scene) -> None:
    """If the engine has the image, it gets DockerOperator's requests, and AWS and the registry get none."""
    scene.pull_by_hand()
    plain, ours = scene.run(PLAIN, pulls=False), scene.run(OURS, pulls=False)
    assert (ours["aws"], ours["registry"]) == ([], [])
    assert without_ids(ours["requests"]) == without_ids(plain["requests"])
    assert not any("images/create" in request for request in ours["requests"])


def test_pull_costs_one_call(scene: Scene) -> None:
    """A pull costs one token call; the registry and its layer store get the requests of the Docker CLI."""
    scene.pull_by_hand()
    by_hand = scene.asked_of_registry()
    ours = scene.run(OURS, pulls=True)
    assert ours["aws"] == ["GetAuthorizationToken"]
    assert sorted(ours["registry"]) == sorted(by_hand)
    assert any("/manifests/" in request for request in by_hand)


@pytest.mark.parametrize("peer", [STORED, HELPER], ids=lambda peer: peer.name)
def test_peers_pull_too(peer: Peer, scene: Scene) -> None:
    """The alternatives really pull, with a valid token."""
    found = scene.run(peer, pulls=True)
    assert any("/manifests/" in request for request in found["registry"])
    assert found["aws"] == (["GetAuthorizationToken"] if peer is HELPER else [])


def test_parsing_imports_nothing_of_aws(scene: Scene) -> None:
    """The operator imports neither boto3 nor the amazon provider, only our own modules and one of Airflow's."""
    scene.pull_by_hand()
    plain, ours = (set(scene.run(peer, pulls=False)["modules"]) for peer in (PLAIN, OURS))
    ours_alone = {name for name in ours if name.partition(".")[0] == "ecr_docker_operator"}
    assert ours_alone
    assert ours - plain - ours_alone <= {"airflow.sdk.bases.operatorlink"}
    assert not {"boto3", "botocore", "airflow.providers.amazon.aws"} & ours


def test_as_many_tokens_as_pulls(scene: Scene) -> None:
    """Of many mapped tasks, each one whose image is missing asks for one token, and no other task does."""
    mapped = scene.run_mapped(tasks=40, at_a_time=4, tags=5)
    assert mapped.failed == []
    assert 5 <= mapped.pulls < mapped.tasks
    assert mapped.tokens == mapped.pulls


def test_command_prints_the_table() -> None:
    """``python -m tests.benchmark`` prints a row for each measure, and all counts are right."""
    command = [sys.executable, "-m", "tests.benchmark", "--rounds=2", "--mapped=8"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(table) == 16 + 2
    assert {len(cells) for cells in table} == {5}
