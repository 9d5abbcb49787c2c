"""Run a command that takes long, and show that it moves. Uses only the standard library."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SECONDS = 10.0
LINES = 30
_WIDTH = 100


def run_shown(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    seconds: float = SECONDS,
    finish: bool = False,
) -> tuple[int, list[str]]:
    """Run *command*, print a line about it every few seconds, and return its exit status and its last lines.

    :param environment: its whole environment; default: this process's.
    :param directory: where it runs; default: here.
    :param seconds: time between two lines, in seconds.
    :param finish: whether an interrupt waits for its end, as dpkg needs; otherwise, it ends the command.
    """
    start = time.monotonic()
    last: deque[str] = deque(maxlen=LINES)
    with subprocess.Popen(
        command,
        env=environment,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # Out of the terminal's reach: Ctrl-C is for this process.
        start_new_session=True,
    ) as process:
        reader = threading.Thread(target=last.extend, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            while True:
                try:
                    process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    doing = last[-1].strip()[:_WIDTH] if last else ""
                    sys.stderr.write(f"{time.monotonic() - start:5.0f} s  {doing}\n")
                    sys.stderr.flush()
        except BaseException:
            if not finish:
                process.terminate()
            # After an interrupt, the "with" block itself hardly waits.
            process.wait()
            raise
        reader.join()
    return process.returncode, [line.rstrip() for line in last if line.strip()]
