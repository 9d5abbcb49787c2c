"""Fixtures of the tests that run Airflow itself."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.airflow_home import AirflowHome
from tests.conftest import prepare
from tests.stand import Stand
from tests.stand.engine import control_groups
from tests.stand.engines import chosen_engine
from tests.stand.swarm import swarm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stand.engine import Engine

ROOT = Path(__file__).parents[2]
SECONDS = 60


def traces(name: str) -> list[str]:
    """Return the machine's processes, mounts, control groups and files that contain *name*."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # the process has ended
            found.append(entry.read_text().replace("\0", " "))
    found += Path("/proc/mounts").read_text().splitlines()
    found += map(str, control_groups(f"*{name}*"))
    found += map(str, Path(tempfile.gettempdir()).glob("*"))
    return [trace for trace in found if name in trace]


def lasting_traces(name: str, expected: int = 0) -> list[str]:
    """Return those of *name* that are left when there are no more than *expected*, or after a minute."""
    deadline = time.monotonic() + SECONDS
    while len(found := traces(name)) > expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


@pytest.fixture(scope="session")
def example_dags(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    """Provide Airflow with the DAGs of ``dags/``."""
    return AirflowHome(tmp_path_factory.mktemp("airflow"), ROOT / "dags")


@pytest.fixture(scope="session")
def test_dags(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    """Provide Airflow with the DAGs of ``tests/system/dags/``."""
    return AirflowHome(tmp_path_factory.mktemp("airflow"), Path(__file__).parent / "dags")


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Stand, Engine]]:
    """Start a stand whose engine manages a Swarm, and the engine of a worker node in that Swarm."""
    if not chosen_engine().swarm:
        pytest.skip("Podman has no Swarm.")
    with Stand() as stand, stand.second_engine() as worker, swarm(stand.engine, worker):
        yield stand, worker


@pytest.fixture
def swarm_stand(nodes: tuple[Stand, Engine], monkeypatch: pytest.MonkeyPatch) -> Stand:
    """Provide that stand with an empty record and no service; the environment points to it."""
    stand, worker = nodes
    for service in stand.engine.client.services():
        stand.engine.client.remove_service(service["ID"])
    for image in worker.images():
        worker.forget(image)
    return prepare(stand, monkeypatch)
