"""Random faults: every task succeeds or fails with one of our errors, nothing hangs, and nothing leaks."""

from __future__ import annotations

import gc
import json
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from airflow.providers.docker.exceptions import DockerContainerFailedException

from ecr_docker_operator import EcrError
from tests.reliability.case import Scene
from tests.reliability.cases import CASES
from tests.reliability.scan import Piece, Scanner
from tests.stand import Stand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.reliability.case import Case

# No case takes that long: the longest is a task role that hangs, 9 s (botocore's three attempts of 2 s, and pauses).
HUNG_SECONDS = 120
SETTLE_SECONDS = 30
OURS = (EcrError, DockerContainerFailedException)


@dataclass
class Tally:
    """The outcome of a campaign."""

    runs: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    """How tasks ended: "success", the name of the error's class, or "hung"."""
    strangers: list[str] = field(default_factory=list)
    """Unexpected errors, with the case."""
    hits: list[str] = field(default_factory=list)
    """Places where a token was found."""
    threads: list[str] = field(default_factory=list)
    """Threads that were left over."""
    files: list[str] = field(default_factory=list)
    """Open files and sockets that were left over, of this process."""

    def count(self, case: Case, task: _Task) -> None:
        """Count how a task with a fault of *case* ended."""
        self.runs += 1
        if task.is_alive():
            end = "hung"
        elif task.end is None:
            end = "success"
        else:
            end = type(task.end).__name__
            if not isinstance(task.end, OURS):
                self.strangers.append(f"{case.name}: {task.end!r}")
        self.ends[end] = self.ends.get(end, 0) + 1

    @property
    def is_clean(self) -> bool:
        """Whether there were no hangs, leaks or unexpected errors."""
        return not (self.strangers or self.hits or "hung" in self.ends or self.threads or self.files)


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {record.getMessage()}")


class _Task(threading.Thread):
    """A task in a thread, as in a worker's own process; its result or error is kept."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(daemon=True)
        self._scene = scene
        self.end: BaseException | None = None

    def run(self) -> None:
        try:
            self._scene.run()
        except BaseException as error:  # noqa: BLE001 - every error is counted
            self.end = error


def campaign(*, runs: int, seed: int) -> Tally:
    """Run *runs* tasks, each with a random fault that begins before the task or while it runs.

    All tasks run in one separate process, where only a task can leave something open.

    :param seed: reproduces the choice of faults and moments.
    """
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory, "tally")
        command = [sys.executable, "-m", __name__, str(runs), str(seed), str(result)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            msg = f"The campaign failed:\n{done.stderr[-4000:]}"
            raise RuntimeError(msg)
        return Tally(**json.loads(result.read_text()))


def _main(runs: int, seed: int, result: Path) -> None:
    with Stand() as stand, tempfile.TemporaryDirectory() as directory:
        tally = _Campaign(stand, Path(directory), seed).run(runs)
    result.write_text(json.dumps(asdict(tally)))


class _Campaign:
    """A campaign on a stand.

    :param directory: for files of the scenes.
    """

    def __init__(self, stand: Stand, directory: Path, seed: int) -> None:
        self._stand = stand
        self._directory = directory
        self._chance = random.Random(seed)  # noqa: S311 - not used for secrets
        self._log = _Log()
        self._cases = [case for row in CASES.values() for case in row]
        self._tally = Tally()

    def run(self, runs: int) -> Tally:
        """Run *runs* tasks and return the outcome."""
        logging.getLogger().addHandler(self._log)
        logging.getLogger().setLevel(logging.DEBUG)
        threads, files = _threads(), _files(self._stand)
        for _ in range(runs):
            self._one(self._chance.choice(self._cases))
        # DockerOperator lets the garbage collector close its client; the stand's servers notice afterwards.
        self._tally.files = _more_than(files, lambda: _files(self._stand))
        self._tally.threads = _more_than(threads, _threads)
        logging.getLogger().removeHandler(self._log)
        return self._tally

    def _one(self, case: Case) -> None:
        task = self._task(case)
        self._tally.count(case, task)
        scanner = Scanner(token.password for token in self._stand.aws.tokens)
        findings = scanner.scan(_pieces(self._log, task))
        self._tally.hits += [f"{case.name}: {hit.name}: {hit.before}" for hit in findings.hits]
        self._log.lines.clear()
        self._stand.aws.reset()
        self._stand.registry.reset()
        self._stand.engine.reset()

    def _task(self, case: Case) -> _Task:
        where = self._directory / f"{self._chance.getrandbits(64):x}"
        where.mkdir()
        with Scene(self._stand, where) as scene:
            scene.parameters.update(auto_remove="force", force_pull=self._one_in_two())
            task = _Task(scene)
            if self._one_in_two():
                with case.broken(scene):
                    task.start()
                    task.join(HUNG_SECONDS)
            else:
                scene.push()
                scene.parameters.update(case.parameters)
                task.start()
                time.sleep(self._chance.uniform(0, 1))
                with case.broken(scene):
                    task.join(HUNG_SECONDS)
            return task

    def _one_in_two(self) -> bool:
        return self._chance.choice([True, False])


def _pieces(log: _Log, task: _Task) -> Iterator[Piece]:
    yield Piece("log", "log", "\n".join(log.lines).encode())
    errors = [task.end] if task.end else []
    for error in errors:
        yield Piece("error", type(error).__name__, repr(error).encode())
        errors += [before for before in (error.__cause__, error.__context__) if before and before not in errors]


def _more_than(before: list[str], now: Callable[[], list[str]]) -> list[str]:
    """Wait until there are no more things than *before*, and return those that were added if that does not happen."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while len(found := now()) > len(before):
        if time.monotonic() > deadline:
            return [*(Counter(found) - Counter(before)).elements()]
        time.sleep(0.1)
    return []


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def _files(stand: Stand) -> list[str]:
    # The stand's own client keeps one connection per requested path.
    stand.engine.client.close()
    gc.collect()
    sockets = {socket.fd: socket for socket in psutil.Process().net_connections(kind="all")}
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            text = str(entry.readlink())
            if socket := sockets.get(int(entry.name)):
                text = f"{socket.status} {socket.laddr} {socket.raddr}"
            if not Path(text).name.startswith("airflow.db"):  # Airflow's own, once a task has looked up a connection
                found.append(text)
    return found


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
