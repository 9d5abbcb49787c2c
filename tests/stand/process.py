"""A process of the stand's, which ends with the stand."""

from __future__ import annotations

import socket
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

    They live in namespaces of their own, as on a machine of their own, but with this one's files and network.

    :param hostname: name of that machine; default: this machine's.
    """

    def __init__(self, command: list[str], *, hostname: str | None = None, **options: Any) -> None:
        machine = hostname or socket.gethostname()
        unshare = [find_program("unshare"), "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
        # The shell stays, as the first process: who is not made for that may ignore signals.
        script = 'hostname "$0" && "$@"; exit "$?"'
        # unshare holds back SIGTERM while its child runs.
        super().__init__([*unshare, "sh", "-c", script, machine, *command], signal="KILL", **options)

    def terminate(self) -> None:
        """Kill them all: at the end of a test, there is nothing to save."""
        self.kill()
