"""Load: many pulls through a whole Airflow with short-lived tokens, and many token calls at the same moment."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ecr_docker_operator.aws.identity import DEFAULT_CONFIG
from tests.deployment import Deployment
from tests.stand import Stand
from tests.stand.aws import Aws, Quota
from tests.stand.hosts import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE, BURST = 20, 20
AT_A_TIME = 16
SECONDS = 1800
DAGS = Path(__file__).parent / "dags"


@dataclass(frozen=True)
class Load:
    """The outcome of many tasks that each pull a missing image."""

    tasks: int
    succeeded: int
    """On their first try."""
    pulled: int
    """Images that are on the engine at the end."""
    tokens: int
    throttled: int
    """Tries that were throttled."""
    slowest: float
    """Seconds between the first and the last try of the slowest token call."""
    seconds: float
    """From the trigger to the end of the run."""
    log: str = field(repr=False, default="")


@dataclass(frozen=True)
class Rush:
    """The outcome of many simultaneous token calls."""

    callers: int
    succeeded: int
    throttled: int
    """Tries that were throttled."""
    slowest: float
    """Seconds that the slowest caller waited."""


def load(directory: Path, tasks: int, lifetime: float = 2) -> Load:
    """Run many mapped tasks, 16 at a time, in a whole Airflow in *directory* and a separate stand.

    :param lifetime: seconds until a token expires. The quota is 20 token calls per second.
    """
    with ExitStack() as parts:
        with _first_served():
            stand = parts.enter_context(Stand())
        for number in range(tasks):
            stand.push("load", str(number))
        stand.aws.lifetime = lifetime
        stand.aws.quota = Quota(RATE, BURST)
        environment = {**stand.environment, "TASKS": str(tasks), "AIRFLOW__CORE__PARALLELISM": str(AT_A_TIME)}
        airflow = parts.enter_context(Deployment(directory, DAGS, environment=environment))
        began = time.monotonic()
        run = airflow.wait("load", airflow.trigger("load"), SECONDS)
        return Load(
            tasks,
            sum(state == "success" and run.tries[task] == 1 for task, state in run.states.items()),
            len(stand.engine.images()),
            len(stand.aws.tokens),
            sum(attempt.throttled for attempt in stand.aws.attempts),
            max(stand.aws.waits(), default=0),
            time.monotonic() - began,
            airflow.task_logs(),
        )


@contextmanager
def _first_served() -> Iterator[None]:
    # In reality, AWS runs on other machines. Here, the stand's threads would have to wait for
    # 16 Airflows that start on the same few cores, longer than a token lives.
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, -10)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def rush(callers: int, botocore_config: dict[str, Any] | None = None) -> Rush:
    """Make many token calls that reach AWS at the same moment, with a quota of 20 calls per second.

    :param botocore_config: replaces the package's default, like the operator's parameter.
    """
    config = Config(**DEFAULT_CONFIG).merge(Config(**botocore_config or {}))

    def call(client: Any) -> float | None:
        began = time.monotonic()
        try:
            client.get_authorization_token()
        except (ClientError, BotoCoreError):
            return None
        return time.monotonic() - began

    with Aws() as aws, ThreadPoolExecutor(callers) as pool:
        worker = aws.add_user(ACCOUNT, "worker")
        session = boto3.session.Session(worker.access_key, worker.secret_key, region_name=REGION)
        # Create the clients beforehand, so that callers do not wait for each other; each has its own, as tasks do.
        clients = [session.client("ecr", endpoint_url=aws.url, config=config) for _ in range(callers)]
        all_here = Barrier(callers, lambda: setattr(aws, "quota", Quota(RATE, BURST)))
        aws.at_call = lambda: aws.quota or all_here.wait()
        waits = [wait for wait in pool.map(call, clients) if wait is not None]
        throttled = sum(attempt.throttled for attempt in aws.attempts)
    return Rush(callers, len(waits), throttled, max(waits))
