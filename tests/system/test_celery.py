"""Two Celery workers, each with a separate engine and AWS identity; one of them is killed."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.deployment import Deployment
from tests.deployment.redis import Redis
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION
from tests.stand.images import build
from tests.system.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stand import Stand
    from tests.stand.aws import Identity
    from tests.stand.engine import Engine

pytestmark = pytest.mark.stand

LIFETIME = 25.0
SECONDS = 600
TASKS = 40
CONCURRENCY = 4

# Settings that detect a lost worker, in seconds; shorter than in production.
SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "16",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(CONCURRENCY),
    "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
    # Redeliver a message that no worker has acknowledged.
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "40",
    # Fail a task whose worker sends no heartbeat.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
}


class Worker:
    """A worker with its AWS user, its engine, and the environment of its process."""

    def __init__(self, name: str, stand: Stand, engine: Engine, home: Path) -> None:
        self.name, self.engine = name, engine
        self.user = stand.aws.add_user(ACCOUNT, name)
        role = stand.aws.add_role(OTHER_ACCOUNT, f"puller-{name}", trusted=self.user)
        connection = {"conn_type": "aws", "extra": {"role_arn": role}}
        home.mkdir()
        self.environment = {
            **stand.environment,
            "HOME": str(home),
            "DOCKER_CONFIG": str(home / ".docker"),
            "DOCKER_HOST": engine.url,
            "AWS_ACCESS_KEY_ID": self.user.access_key,
            "AWS_SECRET_ACCESS_KEY": self.user.secret_key,
            "AIRFLOW_CONN_OTHER_ACCOUNT": json.dumps(connection),
        }

    def owns(self, identity: Identity) -> bool:
        """Return whether *identity* is this worker's user, or the role that only this worker may assume."""
        return identity is self.user or f":assumed-role/puller-{self.name}/" in identity.arn

    def start(self, airflow: Deployment) -> None:
        """Start the worker's process."""
        airflow.start(self.name, "celery", "worker", "--skip-serve-logs", environment=self.environment)


def test_forty_tasks_on_two_workers(running_stand: Stand, tmp_path: Path) -> None:
    """All tasks succeed though a worker is killed half way; each worker gets its own token for each pull."""
    stand = running_stand
    stand.aws.reset()
    stand.registry.reset()
    stand.push("etl", image=build("etl"))
    stand.push("etl", region=OTHER_REGION, image=build("other etl"))
    stand.push("shared", account=OTHER_ACCOUNT, image=build("shared"))
    stand.push("report", account=OTHER_ACCOUNT, region=OTHER_REGION, image=build("report"))
    stand.registry.policies[OTHER_ACCOUNT, REGION, "shared"].add(ACCOUNT)
    stand.aws.lifetime = LIFETIME

    with ExitStack() as parts:
        second_engine = parts.enter_context(stand.second_engine())
        redis = parts.enter_context(Redis())
        settings = {**SETTINGS, "AIRFLOW__CELERY__BROKER_URL": redis.url}
        airflow = parts.enter_context(Deployment(tmp_path / "airflow", ROOT / "dags", "CeleryExecutor", settings))
        first = Worker("worker-1", stand, stand.engine, tmp_path / "worker-1")
        second = Worker("worker-2", stand, second_engine, tmp_path / "worker-2")
        first.start(airflow)
        second.start(airflow)

        run_id = airflow.trigger("celery_workers")

        def at_second() -> set[tuple[str, int]]:
            run = airflow.look("celery_workers", run_id)
            return {key for key, host in run.hosts.items() if host == second.name and run.states[key] == "running"}

        def half_way() -> bool:
            run = airflow.look("celery_workers", run_id)
            at_work = at_second() and second.engine.client.containers()
            return run.ended or (list(run.states.values()).count("success") >= TASKS // 2 and bool(at_work))

        airflow.wait_until(half_way, SECONDS, "half of the work")
        assert not airflow.look("celery_workers", run_id).ended, airflow.task_logs()
        airflow.kill(second.name)
        lost = at_second()
        run = airflow.wait("celery_workers", run_id, SECONDS)

        assert run.states == {("container", index): "success" for index in range(TASKS)}, airflow.task_logs()
        texts = ("etl", "other etl", "shared", "report")
        assert run.results == {("container", index): texts[index % 4] for index in range(TASKS)}
        assert set(run.hosts.values()) == {first.name, second.name}
        assert lost
        assert all(run.hosts[key] == first.name and run.tries[key] > 1 for key in lost)
        assert_each_its_own(stand, first, second)
        files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        assert_kept_nowhere(stand, [airflow.dump().encode(), redis.dump(), *files])


def assert_each_its_own(stand: Stand, first: Worker, second: Worker) -> None:
    """Check that every pull used a separate token, issued to the worker that owns the engine."""
    # The engine requests the digest of the tag once per pull.
    pulls = [
        request
        for request in stand.registry.requests
        if (request.method, request.path[-12:]) == ("HEAD", "/manifests/1")
    ]
    used = [request.token for request in pulls]
    assert None not in used
    assert len(used) == len(set(used)) >= TASKS
    # When the second worker is killed, it may hold a token for each of its tasks.
    unused = [token for token in stand.aws.tokens if token not in used]
    assert all(second.owns(token.identity) for token in unused)
    assert len(unused) <= CONCURRENCY
    assert stand.aws.tokens[-1].expires_at - stand.aws.tokens[0].expires_at > LIFETIME

    workers: dict[str, set[str]] = {}
    for request in pulls:
        assert request.token is not None
        owners = [worker.name for worker in (first, second) if worker.owns(request.token.identity)]
        workers.setdefault(request.client, set()).update(owners)
    assert sorted(workers.values(), key=sorted) == [{first.name}, {second.name}]

    own = [token for token in stand.aws.tokens if first.owns(token.identity)]
    places = {(token.identity.account, token.region) for token in own}
    assert places == {(ACCOUNT, REGION), (ACCOUNT, OTHER_REGION), (OTHER_ACCOUNT, OTHER_REGION)}
    assumed = [call for call in stand.aws.calls if call.operation == "AssumeRole" and call.arn == first.user.arn]
    assert len(assumed) == sum(token.identity.account == OTHER_ACCOUNT for token in own)


def assert_kept_nowhere(stand: Stand, places: list[bytes]) -> None:
    """Check that no token is in the databases, the task logs, or any other file of Airflow or the workers."""
    everything = b"\n".join(places)
    assert b"asking for an authorization token" in everything
    assert b"celery_taskmeta" in everything
    for token in stand.aws.tokens:
        assert token.password.encode() not in everything
        assert token.authorization.encode() not in everything
