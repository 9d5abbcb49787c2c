"""Faults at random: every task ends in success or in one of our sentences, nothing hangs, and nothing leaks."""

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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.providers.docker.exceptions import DockerContainerFailedException

from ecr_docker_operator import EcrError
from tests.reliability.case import Scene
from tests.reliability.cases import CASES
from tests.reliability.scan import Piece, Scanner
from tests.stand import Stand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.reliability.case import Case

# No case waits as long: the longest is a task role that hangs, with 9 s (botocore's three attempts of 2 s, and pauses).
HUNG_SECONDS = 120
SETTLE_SECONDS = 30
OURS = (EcrError, DockerContainerFailedException)


@dataclass
class Tally:
    """What came of a campaign."""

    runs: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    """How tasks ended: "success", the name of the error's class, or "hung"."""
    strangers: list[str] = field(default_factory=list)
    """What was raised that is none of ours, with the case."""
    hits: list[str] = field(default_factory=list)
    """Where a token was found."""
    threads: int = 0
    """Threads that were left over."""
    files: int = 0
    """Open files and sockets that were left over, of this process."""

    @property
    def is_clean(self) -> bool:
        """Whether it is as it has to be."""
        return not (self.strangers or self.hits or "hung" in self.ends or self.threads > 0 or self.files > 0)


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {record.getMessage()}")


class _Task(threading.Thread):
    """A task in a thread, as in a worker's process of its own; what it ends with is kept."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(daemon=True)
        self._scene = scene
        self.end: BaseException | None = None

    def run(self) -> None:
        try:
            self._scene.run()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is counted
            self.end = error


def campaign(*, runs: int, seed: int) -> Tally:
    """Run *runs* tasks, each with a fault of the cases that begins before it or while it runs.

    All run in one process of its own, where nothing but a task can leave something open.

    :param seed: makes the choice of faults and moments the same again.
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
        tally = _campaign(stand, Path(directory), runs, seed)
    result.write_text(json.dumps(asdict(tally)))


def _campaign(stand: Stand, directory: Path, runs: int, seed: int) -> Tally:
    chance = random.Random(seed)  # noqa: S311 - no secret hangs on it
    cases = [case for row in CASES.values() for case in row]
    tally, log = Tally(), _Log()
    logging.getLogger().addHandler(log)
    try:
        threads, files = _open(stand)
        for _ in range(runs):
            _one(tally, stand, directory, log, chance, chance.choice(cases))
        tally.threads, tally.files = _left_over(stand, threads, files)
    finally:
        logging.getLogger().removeHandler(log)
    return tally


def _one(tally: Tally, stand: Stand, directory: Path, log: _Log, chance: random.Random, case: Case) -> None:
    task = _run(stand, directory, case, chance)
    tally.runs += 1
    _count(tally, case, task)
    tally.hits += _hits(stand, log, case, task)
    _forget(stand)


def _run(stand: Stand, directory: Path, case: Case, chance: random.Random) -> _Task:
    where = directory / f"{chance.getrandbits(64):x}"
    where.mkdir()
    with Scene(stand, where) as scene:
        scene.parameters.update(auto_remove="force", force_pull=chance.random() < 0.5)
        task = _Task(scene)
        if chance.random() < 0.5:
            with case.broken(scene):
                _wait(task)
        else:
            scene.push()
            scene.parameters.update(case.parameters)
            task.start()
            time.sleep(chance.uniform(0, 1))
            with case.broken(scene):
                _wait(task)
        return task


def _wait(task: _Task) -> None:
    if not task.ident:
        task.start()
    task.join(HUNG_SECONDS)


def _count(tally: Tally, case: Case, task: _Task) -> None:
    if task.is_alive():
        end = "hung"
    elif task.end is None:
        end = "success"
    else:
        end = type(task.end).__name__
        if not isinstance(task.end, OURS):
            tally.strangers.append(f"{case.name}: {task.end!r}")
    tally.ends[end] = tally.ends.get(end, 0) + 1


def _hits(stand: Stand, log: _Log, case: Case, task: _Task) -> list[str]:
    scanner = Scanner(token.password for token in stand.aws.tokens)
    findings = scanner.scan(_pieces(log, task))
    log.lines.clear()
    return [f"{case.name}: {hit.name}: {hit.before}" for hit in findings.hits]


def _pieces(log: _Log, task: _Task) -> Iterator[Piece]:
    yield Piece("log", "log", "\n".join(log.lines).encode())
    error: BaseException | None = task.end
    while error:
        yield Piece("error", type(error).__name__, repr(error).encode())
        error = error.__cause__ or error.__context__


def _forget(stand: Stand) -> None:
    stand.aws.reset()
    stand.registry.reset()
    for image in stand.engine.images():
        stand.engine.forget(image)


def _left_over(stand: Stand, threads: int, files: int) -> tuple[int, int]:
    # DockerOperator leaves it to Python to close its client, and the stand's servers then notice.
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        now = _open(stand)
        left = now[0] - threads, now[1] - files
        if max(left) <= 0 or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def _open(stand: Stand) -> tuple[int, int]:
    # The stand's own client keeps a connection for each path that it asked for.
    stand.engine.client.close()
    gc.collect()
    return threading.active_count(), sum(1 for _ in Path("/proc/self/fd").iterdir())


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
