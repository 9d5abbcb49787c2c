"""Install programs for the tests from Debian, or name what is missing."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.stand.packages import install, locked

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
_SPLIT = {"docker": "docker-cli"}
"""program -> its package in releases of Debian where the one above only recommends it."""
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
    with locked():
        for packages in (parts, {**parts, **{name: _SPLIT[name] for name in parts if name in _SPLIT}}):
            missing = _missing(packages)
            if not missing:  # another process may have just installed them
                return
            sys.stderr.write(f"The stand installs {' '.join(missing)} with apt-get.\n")
            if problem := install(missing):
                msg = f"{problem}\nInstall {' '.join(missing)} by hand, or mend apt, and run this again."
                raise StandUnavailableError(msg)


def _missing(parts: dict[str, str]) -> list[str]:
    return sorted({package for program, package in parts.items() if not _has(program)})


def _has(program: str) -> bool:
    try:
        find_program(program)
    except StandUnavailableError:
        return False
    return True
