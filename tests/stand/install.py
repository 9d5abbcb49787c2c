"""Install programs for the tests from Debian, or name what is missing."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# program -> its Debian package
PARTS = {
    "dockerd": "docker.io",
    "docker-registry": "docker-registry",
    "busybox": "busybox-static",
    "unshare": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
}
SERVERS = {
    "initdb": "postgresql",
    "pg_dump": "postgresql",
    "postgres": "postgresql",
    "redis-server": "redis-server",
}

RELEASES = {"debootstrap": "debootstrap"}
INTERPRETERS = {"patchelf": "patchelf"}
PEERS = {
    "docker": "docker.io",
    "docker-credential-ecr-login": "amazon-ecr-credential-helper",
}
BROWSER = {
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
}

_POSTGRESQL = Path("/usr/lib/postgresql")  # one folder per version, not on the path

# Installing packages must not start services on this machine (invoke-rc.d(8)), because the tests run
# their own, and must not create a PostgreSQL cluster (pg_createcluster(1)). The second folder may be missing.
_POLICY = Path("/usr/sbin/policy-rc.d")
_NO_DATABASE = Path("/etc/postgresql-common/createcluster.d/ecr-stand.conf")


class StandUnavailableError(RuntimeError):
    """The stand cannot run here; the message says what to do."""


def find_program(name: str) -> str:
    """Return the path of a program, or raise an error that names its package."""
    places = [os.environ.get("PATH", ""), "/usr/sbin", "/sbin", *map(str, _POSTGRESQL.glob("*/bin"))]
    path = shutil.which(name, path=":".join(places))
    if path is None:
        package = {**PARTS, **SERVERS, **RELEASES, **INTERPRETERS, **PEERS, **BROWSER}[name]
        msg = f"The stand needs the program {name!r}: install the package {package!r}."
        raise StandUnavailableError(msg)
    return path


def install_parts(parts: dict[str, str] = PARTS) -> None:
    """Make sure that all *parts* are installed; on Debian or Ubuntu, root installs missing ones."""
    missing = _missing(parts)
    if os.geteuid() != 0:
        hint = f" and needs {', '.join(missing)} installed" if missing else ""
        msg = f"The stand makes namespaces of its own, so it runs as root{hint}."
        raise StandUnavailableError(msg)
    if not missing:
        return
    if shutil.which("apt-get") is None:
        msg = f"The stand needs {', '.join(parts)}: install them (in Debian: {' '.join(missing)})."
        raise StandUnavailableError(msg)
    with locked(_POLICY.parent), ExitStack() as files:
        missing = _missing(parts)
        if not missing:  # another process has just installed them
            return
        sys.stderr.write(f"The stand installs {' '.join(missing)} with apt-get.\n")
        files.enter_context(_present(_POLICY, "#!/bin/sh\nexit 101\n", mode=0o755))
        if "postgresql" in missing:
            files.enter_context(_present(_NO_DATABASE, "create_main_cluster = false\n"))
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            done = subprocess.run(
                ["apt-get", "-qq", *command],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                msg = f"apt-get {' '.join(command)} failed; install {' '.join(missing)} by hand.\n{done.stderr}"
                raise StandUnavailableError(msg)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time into the ``with`` blocks for *folder*; stands may start side by side."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _missing(parts: dict[str, str]) -> list[str]:
    return sorted({package for program, package in parts.items() if not _has(program)})


@contextmanager
def _present(path: Path, text: str, *, mode: int = 0o644) -> Iterator[None]:
    # Keep existing files.
    if path.exists():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    try:
        yield
    finally:
        path.unlink()


def _has(program: str) -> bool:
    try:
        find_program(program)
    except StandUnavailableError:
        return False
    return True
