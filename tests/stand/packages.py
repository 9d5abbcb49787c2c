"""Install packages of Debian whose services neither start on this machine nor at its next boot."""

from __future__ import annotations

import fcntl
import os
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.isolation import online
from tests.shown import run_shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Whether a package may start its service (invoke-rc.d(8)), and whether PostgreSQL's creates a cluster
# (pg_createcluster(1)). The second folder may be missing.
_POLICY = Path("/usr/sbin/policy-rc.d")
_NO_SERVICE = "#!/bin/sh\n# By the tests of ecr-docker-operator, while they install packages.\nexit 101\n"
_NO_DATABASE = Path("/etc/postgresql-common/createcluster.d/ecr-stand.conf")


def install(packages: list[str]) -> str:
    """Install *packages* as root with apt-get, and return why that failed, after its last lines; empty if it succeeded.

    One process at a time may call it: inside :func:`locked`.
    """
    before = _installed()
    with ExitStack() as files:
        files.enter_context(_present(_POLICY, _NO_SERVICE, mode=0o755))
        if "postgresql" in packages:
            files.enter_context(_present(_NO_DATABASE, "create_main_cluster = false\n"))
        # Also after a failure or an interrupt: some of them may be there.
        files.callback(lambda: _disable(_installed() - before))
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            status, last = run_shown(
                ["apt-get", "-qq", *command],
                environment={**online(), "DEBIAN_FRONTEND": "noninteractive"},
                finish=True,
            )
            if status:
                causes = [line for line in last if line.startswith("E: ")] or [f"exit status {status}"]
                reason = f"apt-get {command[0]} failed. {causes[-1].removeprefix('E: ')}"
                return "\n".join([*last, reason])
    return ""


@contextmanager
def locked(folder: Path = _POLICY.parent) -> Iterator[None]:
    """Let one process at a time into the ``with`` blocks for *folder*; stands may start side by side."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _present(path: Path, text: str, *, mode: int = 0o644) -> Iterator[None]:
    # Keep a file of the machine's own, but not one that a killed process of ours left.
    if path.exists() and path.read_text(errors="replace") != text:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    try:
        yield
    finally:
        path.unlink()


def _installed() -> set[str]:
    lines = _output("dpkg-query", "--show", "--showformat", "${db:Status-Abbrev} ${Package}\n").splitlines()
    return {name for status, name in map(str.split, lines) if status == "ii"}


def _disable(packages: Iterable[str]) -> None:
    """Keep the services of *packages* from starting at the next boot, except those of systemd itself."""
    wanted = [name for name in packages if "systemd" not in name]
    files = [Path(line) for line in _output("dpkg-query", "--listfiles", *wanted).splitlines()] if wanted else []
    for file in files:
        if str(file.parent).endswith("lib/systemd/system"):
            # It insists on being called by a package.
            environment = {**os.environ, "DPKG_MAINTSCRIPT_PACKAGE": "ecr-docker-operator"}
            subprocess.run(["deb-systemd-helper", "disable", file.name], env=environment, check=False)
        elif file.parent == Path("/etc/init.d"):
            subprocess.run(["update-rc.d", file.name, "disable"], check=False)


def _output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
