"""Install what the tests need, then run the quickstart or the tests: the commands of the README.

Uses only the standard library, because it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.scratch import scratch
from tests.shown import run_shown

ROOT = Path(__file__).resolve().parents[1]
_PYTHON = str(ROOT / ".venv" / "bin" / "python")
INTERRUPTED = 130
"""Exit status after Ctrl-C, SIGTERM and SIGHUP."""

_SECONDS_TO_END = 60
_OLDEST, _TOO_NEW = (3, 11), (3, 14)
_DESCRIPTION = "Install what the tests need into .venv, then run the quickstart or the tests."

# The others take too long for every change (tests/README.md).
_DOCKER = [f"--engine=docker-{name}" for name in ("26.1", "26.1-containerd", "28.5", "28.5-containerd")]
_CELLS = ["--cell=2.11.0", "--cell=newest-3.13"]

RUNS = {
    "tests": [
        ["pytest", "-n", "2", "--dist", "loadfile", "--cov"],
        ["tests.engines", *_DOCKER],
        ["tests.cells", *_CELLS],
    ],
    "quickstart": [["tests.stand"]],
    "install": [],
}
"""What to run -> its Python modules with their arguments, run one after the other until one fails."""


def main() -> int:
    """Run what the command line says, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tests", description=_DESCRIPTION)
    parser.add_argument(
        "run",
        nargs="?",
        choices=RUNS,
        default="tests",
        help="quickstart: dags/quickstart.py; install: nothing, only install; default: all tests",
    )
    run = parser.parse_args().run
    with scratch():
        problem = _problem(run) or _install()
        if problem:
            sys.stderr.write(f"{problem}\n")
            return 1
        return next(filter(None, (_run(module) for module in RUNS[run])), 0)


def _problem(run: str) -> str:
    """Return why it cannot run here, and what to do; empty if nothing is known."""
    if not _OLDEST <= sys.version_info[:2] < _TOO_NEW:
        version = ".".join(map(str, sys.version_info[:2]))
        return f"Python {version}: this needs Python 3.11, 3.12 or 3.13. Run it with one of them, such as python3.13."
    if importlib.util.find_spec("pip") is None:
        return "pip is missing: install it. In Debian and Ubuntu: apt-get install python3-pip"
    # An image of the user's own runs on the user's own engine.
    own_engine = run == "quickstart" and "ECR_IMAGE" in os.environ
    if run != "install" and not own_engine and os.geteuid() != 0:
        command = " ".join(["python3 -m tests", *([run] if run != "tests" else [])])
        return f"This starts a Docker Engine in namespaces of its own, so it runs as root: sudo {command}"
    return ""


def _install() -> str:
    """Install into ``.venv``, and return why that failed; empty if it succeeded."""
    sys.stderr.write("Installing Python packages into .venv; the first time, it takes one to four minutes.\n")
    sys.stderr.flush()
    pip = [sys.executable, "-m", "pip", "--python", _PYTHON, "install", "--disable-pip-version-check", "--no-input"]
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", ".venv"],
        [*pip, "--progress-bar=off", "-r", "tests/requirements.txt", "-e", "."],
    ):
        status, last = run_shown(command, directory=ROOT)
        if status:
            sys.stderr.write("".join(f"{line}\n" for line in last))
            causes = [line for line in last if line.startswith("ERROR: ")] or last or [f"exit status {status}"]
            return (
                f"The Python packages were not installed. {causes[-1].removeprefix('ERROR: ')}\n"
                "Check the way to the package index (a proxy in HTTPS_PROXY, pip's own settings), and run this again."
            )
    return ""


def _run(module: list[str]) -> int:
    """Run a Python module, and return its exit status; nothing it started outlives it."""
    # In a session of its own, so that a signal reaches it once, and ends all of it. It ends, too, if this is killed.
    with subprocess.Popen(
        ["setpriv", "--pdeathsig=TERM", _PYTHON, "-m", *module], cwd=ROOT, start_new_session=True
    ) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            sys.stderr.write("Interrupted: stopping what runs, and removing its files.\n")
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_END)
            return INTERRUPTED
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
