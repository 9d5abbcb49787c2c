"""A process of the stand's, which ends with the stand."""

from __future__ import annotations

import subprocess
from typing import IO, Any

from tests.stand.install import find_program


class Process(subprocess.Popen[bytes]):
    """A process that is ended with this one, even if this one is killed.

    :param signal: name of the signal that it then gets.
    """

    def __init__(self, command: list[str], *, signal: str = "TERM", **options: Any) -> None:
        options.setdefault("stdin", subprocess.DEVNULL)
        super().__init__(["setpriv", f"--pdeathsig={signal}", *command], **options)

    def stop(self, seconds: float = 20) -> None:
        """Ask the process to end, and end it if it has not within *seconds*."""
        self.terminate()
        try:
            self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()
        pipes: list[IO[bytes] | None] = [self.stdout, self.stderr]
        for pipe in pipes:
            if pipe:
                pipe.close()


class Family(Process):
    """A process and all its descendants, daemons too, which are killed together: with it, or with this process.

    They live in process and IPC namespaces of their own, whose first process is a shell that waits.
    """

    def __init__(self, command: list[str], **options: Any) -> None:
        unshare = [find_program("unshare"), "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"]
        # unshare holds back SIGTERM while its child runs.
        super().__init__([*unshare, "sh", "-c", '"$@"; exit "$?"', "sh", *command], signal="KILL", **options)

    def terminate(self) -> None:
        """Kill them all: at the end of a test, there is nothing to save."""
        self.kill()
