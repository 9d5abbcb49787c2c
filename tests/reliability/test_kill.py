"""A task that is killed or times out leaves nothing behind, and succeeds when it runs again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

import psutil
import pytest

from tests.deployment import Deployment
from tests.stand.hold import Hold
from tests.stand.images import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from tests.stand import Stand

pytestmark = pytest.mark.stand

SECONDS = 180
# A process that was asleep at so many looks in a row, and used no time in between, waits.
LOOKS_ASLEEP = 10
# Prefixes of the runner's own lines.
LINES = ("READY", "KILLED", "ERROR", "LOOKS", "AGAIN")

# Runs a task as Airflow's task runner does, except that the test triggers the timeout.
_RUNNER = """
import json, signal, sys
from dataclasses import asdict
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout
from ecr_docker_operator import EcrDockerOperator
from tests.reliability.soak import Look

def task(image, command="cat /image"):
    return EcrDockerOperator(task_id="task", image=image, command=command, auto_remove="force")

def run_until_signal(task):
    def on_term(*_):
        task.on_kill()
        print("KILLED", flush=True)
    signal.signal(signal.SIGTERM, on_term)
    try:
        with timeout(3600):
            task.execute({})
    except AirflowTaskTimeout:
        task.on_kill()
    except Exception as error:
        print("ERROR", error, flush=True)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

task(sys.argv[1]).execute({})  # loads what is loaded once for a process
print("READY", flush=True)
sys.stdin.readline()
before = Look.now()
run_until_signal(task(sys.argv[2], ["sh", "-c", "trap 'exit 1' TERM; sleep 30 & wait"]))
after = Look.now()
print("LOOKS", json.dumps([asdict(before), asdict(after)]), flush=True)
sys.stdin.readline()
print("AGAIN", task(sys.argv[2]).execute({}), flush=True)
"""


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait until *condition* holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.05)


@contextmanager
def stuck_in_token_call(stand: Stand, _: str) -> Iterator[Callable[[], None]]:
    """Block every call to AWS."""
    with Hold() as hold:
        stand.aws.at_call = hold
        yield hold.wait_for_somebody
        stand.aws.at_call = None


@contextmanager
def stuck_in_pull(stand: Stand, _: str) -> Iterator[Callable[[], None]]:
    """Block the download of a layer."""
    with Hold() as hold:
        stand.registry.at_next_layer(hold)
        yield hold.wait_for_somebody


@contextmanager
def stuck_in_run(stand: Stand, image: str) -> Iterator[Callable[[], None]]:
    """Do nothing: the container runs long enough."""
    containers = stand.engine.client.containers

    def started() -> bool:
        return bool(containers(filters={"ancestor": image}))  # type: ignore[no-untyped-call]

    yield lambda: wait_until(started, "the container")


Phase: TypeAlias = "Callable[[Stand, str], AbstractContextManager[Callable[[], None]]]"
PHASES: tuple[Phase, ...] = (stuck_in_token_call, stuck_in_pull, stuck_in_run)


class Runner:
    """A process that runs a task until it receives a signal."""

    def __init__(self, stand: Stand, directory: Path) -> None:
        self._stand = stand
        # containerd's store keeps the layers of a removed image for a while, and would not fetch the same again.
        self.text = f"in time {uuid.uuid4()}"
        other, self.image = stand.push("warm-up"), stand.push("late", image=build(self.text))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RUNNER, other, self.image],
            env={**os.environ, "TMPDIR": str(directory)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.send = self._process.send_signal

    def __enter__(self) -> Self:
        """Wait until the process has loaded its modules."""
        self.read("READY")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def time_out(self) -> None:
        """Trigger the timeout, once the process only waits.

        Until then, it may collect garbage. An error that is raised there, even by a signal, is lost (Python
        documentation, "object.__del__" and "weakref.ref").
        """
        process = psutil.Process(self._process.pid)
        seen: list[tuple[str, object]] = []

        def waits() -> bool:
            used = process.cpu_times()
            seen.append((process.status(), used))
            return seen[-LOOKS_ASLEEP:] == [(psutil.STATUS_SLEEPING, used)] * LOOKS_ASLEEP

        wait_until(waits, "the process to do nothing")
        self._process.send_signal(signal.SIGALRM)

    def go(self) -> None:
        """Make the process run the task, for the first time or again."""
        print(file=self._process.stdin, flush=True)

    def read(self, name: str) -> str:
        """Return the rest of the next line of the runner that starts with *name*, skipping Airflow's log."""
        assert self._process.stdout is not None
        seen = []
        for line in self._process.stdout:
            if line.startswith(name):
                return line.removeprefix(name).strip()
            seen.append(line)
            if line.startswith(LINES):
                break
        raise AssertionError("".join(seen))

    def check_that_nothing_stays(self) -> None:
        """Wait for the end of the task, and compare the resources of the process with those before."""
        before, after = json.loads(self.read("LOOKS"))
        assert after == {**before, "memory": after["memory"]}
        assert self._stand.engine.client.containers(all=True) == []

    def check_that_it_runs_again(self) -> None:
        """Run the task again."""
        self.go()
        assert self.read("AGAIN") == self.text
        assert self._stand.engine.client.containers(all=True) == []


@pytest.mark.parametrize("stuck", PHASES)
def test_execution_timeout(stuck: Phase, stand: Stand, tmp_path: Path) -> None:
    """A timeout in the token call, the pull or the run leaves no container, thread, file or socket behind."""
    with Runner(stand, tmp_path) as runner:
        with stuck(stand, runner.image) as wait_for_it:
            runner.go()
            wait_for_it()
            runner.time_out()
            runner.check_that_nothing_stays()
            assert stand.engine.has(runner.image) == (stuck is stuck_in_run)
        runner.check_that_it_runs_again()


@pytest.mark.parametrize("stuck", PHASES[:2])
def test_no_container_after_on_kill(stuck: Phase, stand: Stand, tmp_path: Path) -> None:
    """A task that is killed during its token call or pull starts no container afterwards."""
    with Runner(stand, tmp_path) as runner:
        with stuck(stand, runner.image) as wait_for_it:
            runner.go()
            wait_for_it()
            runner.send(signal.SIGTERM)
            runner.read("KILLED")
        expected = "The task was killed before its container started."
        assert runner.read("ERROR") == expected
        runner.check_that_nothing_stays()
        runner.check_that_it_runs_again()


def test_killed(stand: Stand, tmp_path: Path) -> None:
    """After Airflow kills tasks in the token call, pull and run, their next tries succeed and nothing is left over."""
    dags = Path(__file__).parent / "dags"
    # The images share no layers, because the engine pulls a layer only once.
    images = {stuck: stand.push(stuck.__name__.replace("_", "-")) for stuck in PHASES}
    with Deployment(tmp_path, dags, environment=stand.environment) as airflow, ExitStack() as stuck_tasks:
        runs = []
        # Block the token call last, because all other tasks need it.
        for stuck in reversed(PHASES):
            wait_for_it = stuck_tasks.enter_context(stuck(stand, images[stuck]))
            runs.append(airflow.trigger("killed", {"image": images[stuck]}))
            wait_for_it()
        airflow.command("tasks", "clear", "--yes", "killed")
        wait_until(lambda: not stand.engine.client.containers(all=True), "the container to be removed")
        wait_until(lambda: airflow.task_logs().count("Task killed!") == len(PHASES), "the processes to end")
        assert [stuck for stuck in PHASES if stand.engine.has(images[stuck])] == [stuck_in_run]
        stuck_tasks.close()
        for run_id in runs:
            run = airflow.wait("killed", run_id, SECONDS)
            assert run.succeeded, airflow.task_logs()
            assert run.tries == {("container", -1): 2}
    assert stand.engine.client.containers(all=True) == []
