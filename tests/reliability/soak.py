"""Many pulls in one process: what grows?"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator

if TYPE_CHECKING:
    from tests.stand import Stand

WARM_UP = 30
"""Pulls before the first look: until then, modules are loaded and the limit of masked tokens is reached."""
MORE_MEMORY = 20
"""MiB that a process may grow by. 1,000 pulls took 8; when every token was masked, 20 pulls took 135."""
# One round out of this many runs the whole operator; in the others, the hook's client pulls.
RUN_EVERY = 10


@dataclass(frozen=True)
class Look:
    """The resources that a process holds."""

    memory: float
    """Resident set, MiB."""
    descriptors: int
    """Open files and sockets."""
    threads: int
    temporary_files: int

    @classmethod
    def now(cls) -> Self:
        """Collect garbage and return the resources of this process."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            memory=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
            threads=threading.active_count(),
            temporary_files=len(list(Path(tempfile.gettempdir()).iterdir())),
        )


@dataclass(frozen=True)
class Figures:
    """The outcome of a soak test."""

    pulls: int
    seconds: float
    before: Look
    """After the warm-up."""
    after: Look

    @property
    def is_bounded(self) -> bool:
        """Whether nothing grew but memory, and memory by less than :data:`MORE_MEMORY`."""
        before, after = self.before, self.after
        return (
            after.memory - before.memory < MORE_MEMORY
            and after.descriptors <= before.descriptors
            and after.threads <= before.threads
            and after.temporary_files <= before.temporary_files
        )


def soak(stand: Stand, pulls: int) -> Figures:
    """Pull *pulls* times in one separate process, after a warm-up.

    Each pull uses a new token and a real engine that does not have the image. Every tenth image also runs.
    """
    image = stand.push("soaked")
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [sys.executable, "-m", __name__, image, str(pulls), f"{directory}/figures"],
            env={**os.environ, **stand.environment, "TMPDIR": directory},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            msg = f"The soak failed:\n{done.stdout[-2000:]}"
            raise RuntimeError(msg)
        found = json.loads(Path(directory, "figures").read_text())
    return Figures(found["pulls"], found["seconds"], Look(**found["before"]), Look(**found["after"]))


def _main(image: str, pulls: int, result: Path) -> None:
    start = time.monotonic()
    for number in range(WARM_UP):
        _pull(image, number)
    before = Look.now()
    for number in range(pulls):
        _pull(image, number)
    figures = Figures(pulls, time.monotonic() - start, before, Look.now())
    result.write_text(json.dumps(asdict(figures)))


def _pull(image: str, number: int) -> None:
    if number % RUN_EVERY == 0:
        EcrDockerOperator(task_id="task", image=image, force_pull=True, auto_remove="force").execute({})
    client = EcrDockerHook(base_url=os.environ["DOCKER_HOST"]).get_conn()
    if number % RUN_EVERY:
        for _ in client.pull(image, stream=True, decode=True):
            pass
    client.remove_image(image)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
