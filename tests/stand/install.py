"""Install the stand's parts from Debian, or say what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

# program -> the Debian package that has it
PARTS = {
    "dockerd": "docker.io",
    "docker-registry": "docker-registry",
    "busybox": "busybox-static",
    "unshare": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
}


class StandUnavailableError(RuntimeError):
    """The stand cannot run here; the message says what to do."""


def find_program(name: str) -> str:
    """Return the path of a program of the stand's."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        msg = f"The stand needs the program {name!r}: install the package {PARTS[name]!r}."
        raise StandUnavailableError(msg)
    return path


def install_parts() -> None:
    """Make sure that every part is there; as root on Debian or Ubuntu, by installing it."""
    missing = sorted({package for program, package in PARTS.items() if not _has(program)})
    if os.geteuid() != 0:
        hint = f" and needs {', '.join(missing)} installed" if missing else ""
        msg = f"The stand makes namespaces of its own, so it runs as root{hint}."
        raise StandUnavailableError(msg)
    if not missing:
        return
    if shutil.which("apt-get") is None:
        msg = f"The stand needs {', '.join(PARTS)}: install them (in Debian: {' '.join(missing)})."
        raise StandUnavailableError(msg)
    sys.stderr.write(f"The stand installs {' '.join(missing)} with apt-get.\n")
    # No service is to start on this machine: the stand runs its own engine and registry.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            msg = f"apt-get {' '.join(command)} failed; install {' '.join(missing)} by hand.\n{done.stderr}"
            raise StandUnavailableError(msg)


def _has(program: str) -> bool:
    try:
        find_program(program)
    except StandUnavailableError:
        return False
    return True
