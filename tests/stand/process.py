"""A process of the stand's, which ends with the stand."""

from __future__ import annotations

import subprocess
from typing import IO, Any


class Process(subprocess.Popen[bytes]):
    """A process that is ended with this one, even if this one is killed."""

    def __init__(self, command: list[str], **options: Any) -> None:
        options.setdefault("stdin", subprocess.DEVNULL)
        super().__init__(["setpriv", "--pdeathsig=TERM", *command], **options)

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
