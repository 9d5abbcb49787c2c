"""A process that ends with the stand."""

from __future__ import annotations

import socket
import subprocess
from typing import IO, Any

from tests.scratch import interrupts_wait
from tests.stand.install import find_program


class Process(subprocess.Popen[bytes]):
    """A process that ends with this one, even if this one is killed.

    :param signal: name of the signal that ends it.
    """

    def __init__(self, command: list[str], *, signal: str = "TERM", **options: Any) -> None:
        options.setdefault("stdin", subprocess.DEVNULL)
        try:
            with interrupts_wait():
                super().__init__(["setpriv", f"--pdeathsig={signal}", *command], **options)
        except KeyboardInterrupt:
            if hasattr(self, "pid"):
                self.kill()
                self.wait()
            raise

    def stop(self, seconds: float = 20) -> None:
        """Ask the process to end, and kill it after *seconds*."""
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
    """A process and all its descendants, including daemons, which are killed together.

    They run in separate namespaces, as on another machine, but with this machine's files and network.

    :param hostname: host name in the namespaces; default: this machine's.
    """

    def __init__(self, command: list[str], *, hostname: str | None = None, **options: Any) -> None:
        machine = hostname or socket.gethostname()
        unshare = [find_program("unshare"), "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
        # The shell stays as process 1: other programs may ignore signals when they are process 1.
        script = 'hostname "$0" && "$@"; exit "$?"'
        # unshare blocks SIGTERM while its child runs.
        super().__init__([*unshare, "sh", "-c", script, machine, *command], signal="KILL", **options)

    def terminate(self) -> None:
        """Kill all processes: at the end of a test, there is nothing to save."""
        self.kill()
