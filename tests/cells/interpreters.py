"""Find a Python for a cell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUNNING = "{}.{}".format(*sys.version_info)


class NoInterpreterError(RuntimeError):
    """A cell cannot run here; the message names the Python that it needs."""


def find_interpreter(wanted: str, allowed: Sequence[str]) -> str:
    """Return the path of Python *wanted*, else of the running Python or another one that is *allowed*.

    :raises NoInterpreterError: if no such Python is installed.
    """
    others = sorted(allowed, key=lambda version: version != RUNNING)
    for version in (wanted, *others):
        for path in _candidates(version):
            if _runs(path, version):
                return path
    msg = f"There is no Python {wanted} here, and none of {', '.join(allowed)} in its place: install one."
    raise NoInterpreterError(msg)


def _candidates(version: str) -> Iterator[str]:
    if version == RUNNING:
        yield sys.executable
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield on_path
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True))


def _runs(path: str, version: str) -> bool:
    # pyenv puts shims on the path even for versions that are not installed.
    script = "import sys; print('{}.{}'.format(*sys.version_info))"
    done = subprocess.run([path, "-c", script], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == version
