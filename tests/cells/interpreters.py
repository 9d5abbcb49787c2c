"""Find a Python for a cell.

A Python that this machine's release of Debian lacks comes from another one, as the stand's engines do: ``debootstrap``
installs it once, in a folder of its own. Its program gets the folder's C library instead of this machine's, so that it
runs here like any other, with this machine's files and programs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.stand.engines import release_root
from tests.stand.install import INTERPRETERS, find_program, install_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUNNING = "{}.{}".format(*sys.version_info)
RELEASES = {"3.11": "bookworm", "3.14": "forky"}
"""Python -> release of Debian that has it."""


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
        if version in RELEASES:
            return str(_from_debian(version, RELEASES[version]))
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


def _from_debian(version: str, release: str) -> Path:
    program = Path("usr", "bin", f"python{version}")

    def finish(made: Path, root: Path) -> None:
        [loader] = (made / "usr" / "lib").glob("*-linux-gnu*/ld-linux-*.so.*")
        [loader] = [root / loader.relative_to(made)]
        # Unlike LD_LIBRARY_PATH, it does not reach the programs that this one starts.
        rpath = ["--force-rpath", "--set-rpath", str(loader.parent)]
        # In this order: patchelf from 0.17 on breaks the program if both are set at once.
        for options in (rpath, ["--set-interpreter", str(loader)]):
            subprocess.run([find_program("patchelf"), *options, made / program], check=True)

    install_parts(INTERPRETERS)
    return release_root(f"{release}-python", release, (program.name,), finish) / program


def _runs(path: str, version: str) -> bool:
    # pyenv puts shims on the path even for versions that are not installed.
    script = "import sys; print('{}.{}'.format(*sys.version_info))"
    done = subprocess.run([path, "-c", script], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == version
