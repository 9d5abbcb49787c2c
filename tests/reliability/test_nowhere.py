"""A whole Airflow runs tasks that succeed and fail, and leaves no token anywhere."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.deployment import Deployment
from tests.reliability.places import Processes, engine, files, tables
from tests.reliability.scan import Piece, Scanner
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT
from tests.stand.registry import EXPIRED, PUBLIC, Answer
from tests.system.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.stand import Stand

pytestmark = pytest.mark.stand

SECONDS = 400
STATES = {
    ("pulled", -1): "success",
    ("mapped", 0): "success",
    ("mapped", 1): "success",
    ("missing", -1): "failed",
    ("refused_by_policy", -1): "failed",
    ("failing_container", -1): "failed",
    ("failing_layer", -1): "failed",
    ("expired", -1): "failed",
    ("token_refused", -1): "failed",
    ("own_code", -1): "success",
    ("planted", -1): "success",
    ("planted_in_files", -1): "success",
}
# Places where the tokens that the two tasks leak must be found.
PLACES = {
    "Airflow's home",
    "worker's home",
    "worker's temp",
    "worker's DOCKER_CONFIG",
    "database dump",
    "table serialized_dag",
    "table rendered_task_instance_fields",
    "table xcom",
    "docker inspect, container",
    "docker logs",
    "process, cmdline",
    "process, environ",
}


def prepare(stand: Stand) -> dict[str, str]:
    """Push the images, prepare the failures, and return the environment of the tasks."""
    stand.push("app")
    stand.push("broken")
    stand.push("expired")
    stand.push("theirs", account=OTHER_ACCOUNT)
    stand.push("team/public", account=PUBLIC, region="us-east-1", host="public.ecr.aws")
    denied = json.dumps({"errors": [{"code": "DENIED", "message": EXPIRED}]}).encode()
    stand.registry.faults = {"/broken/blobs/": Answer(403), "/expired/": Answer(403, denied)}
    nobody = stand.aws.add_user(ACCOUNT, "nobody")
    nobody.may_get_token = False
    connection = {"conn_type": "aws", "login": nobody.access_key, "password": nobody.secret_key}
    return {**stand.environment, "AIRFLOW_CONN_REFUSED": json.dumps(connection)}


def look(airflow: Deployment, stand: Stand, processes: Processes) -> Iterator[Piece]:
    """Yield everything that a deployment leaves behind, and its processes."""
    yield from files("Airflow's home", airflow.directory)
    yield from files("worker's home", airflow.directory.parent / "home")
    yield from files("worker's temp", airflow.directory.parent / "temp")
    yield from files("worker's DOCKER_CONFIG", airflow.directory.parent / "docker")
    yield Piece("database dump", "dump", airflow.dump().encode())
    yield from tables(airflow.database)
    yield from engine(stand.engine.client)
    yield from processes.pieces()


def test_no_token_anywhere(
    installed: tuple[str, Path],
    stand: Stand,
    tmp_path_factory: pytest.TempPathFactory,
    record_property: Callable[[str, object], None],
) -> None:
    """At log level DEBUG, logs, files, tables, containers and processes contain no token but the planted ones."""
    # A short name: Airflow 2 makes a socket in it, whose path has at most 107 bytes.
    tmp_path = tmp_path_factory.mktemp("nowhere")
    version, python = installed
    environment = prepare(stand)
    planted = secrets.token_urlsafe(300)
    folders = {"HOME": "home", "TMPDIR": "temp", "DOCKER_CONFIG": "docker", "AIRFLOW_HOME": "airflow"}
    for folder in folders.values():
        (tmp_path / folder).mkdir()
    environment |= {name: str(tmp_path / folder) for name, folder in folders.items()}
    environment |= {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG", "PLANTED": planted}
    dags = ROOT / "tests" / "reliability" / "dags"
    with (
        Processes() as processes,
        Deployment(tmp_path / "airflow", dags, environment=environment, python=str(python)) as airflow,
    ):
        run = airflow.wait("nowhere", airflow.trigger("nowhere"), SECONDS)
        assert run.states == STATES, airflow.task_logs()
        pieces = list(look(airflow, stand, processes))
    found = Scanner(token.password for token in stand.aws.tokens).scan(pieces)
    # One for each pull. Two for a retried pull (also if the registry refuses what AWS allows) and for "own_code",
    # none for the refused task.
    assert len(stand.aws.tokens) == 14
    assert found.hits == []
    looked = f"{len(pieces)} pieces, {sum(found.bytes.values()) >> 20} MiB, for {len(stand.aws.tokens)} tokens"
    record_property(f"left by Airflow {version}", f"{looked}, {len(found.hits)} hits")
    shown = Scanner([planted]).scan(pieces)
    assert {hit.place for hit in shown.hits} >= PLACES
