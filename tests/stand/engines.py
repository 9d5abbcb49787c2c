"""The supported engines, and how to install them here.

Engines other than this machine's come from other releases of Debian. ``debootstrap`` installs each release
once, in a separate folder, and the engine runs with the ``/usr`` of that folder. Docker and Podman have folders of
their own, so that a folder made before Podman was supported stays of use.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.isolation import online
from tests.stand.install import RELEASES, StandUnavailableError, find_program, install_parts
from tests.stand.packages import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VARIABLE = "STAND_ENGINE"
"""Environment variable with the name of the engine that a stand starts; pytest's ``--engine`` sets it."""

_PACKAGES = ("iptables", "iproute2", "ca-certificates")
_SCRIPTS = Path("/usr/share/debootstrap/scripts")


@dataclass(frozen=True)
class EngineKind:
    """One engine."""

    name: str
    release: str | None = None
    """Release of Debian whose engine this is; ``None``: this machine's own."""
    containerd_store: bool = False
    """Whether it keeps images in containerd's store (Docker documentation, "containerd image store")."""
    podman: bool = False
    """Whether it is Podman, whose API is Docker's, except for the properties below."""

    @property
    def knows_pull_times(self) -> bool:
        """Whether it records by itself when an image was pulled; Docker's older store does not."""
        return self.containerd_store or self.podman

    @property
    def asks_registries(self) -> bool:
        """Whether it describes an image of a registry (Docker Engine API, "Get image information")."""
        return not self.podman

    @property
    def listens_with_tls(self) -> bool:
        """Whether it listens on a port, too, where it requires a client certificate."""
        return not self.podman

    @property
    def swarm(self) -> bool:
        """Whether it can be part of a Swarm."""
        return not self.podman

    def root(self) -> Path | None:
        """Return the folder with the release, created if missing; ``None`` means this machine."""
        if self.release is None:
            return None
        if self.podman:
            return release_root(f"{self.release}-podman", self.release, ("podman", "runc", *_PACKAGES))
        return release_root(self.release, self.release, ("docker.io", *_PACKAGES))


ENGINES = {
    kind.name: kind
    for kind in (
        EngineKind("machine"),
        EngineKind("docker-20.10", "bookworm"),
        EngineKind("docker-26.1", "trixie"),
        EngineKind("docker-26.1-containerd", "trixie", containerd_store=True),
        EngineKind("docker-28.5", "forky"),
        EngineKind("docker-28.5-containerd", "forky", containerd_store=True),
        EngineKind("podman-5.8", "forky", podman=True),
    )
}


def chosen_engine() -> EngineKind:
    """Return the engine that :data:`VARIABLE` names; default: this machine's."""
    name = os.environ.get(VARIABLE, "machine")
    if name not in ENGINES:
        msg = f"{VARIABLE}: there is no engine {name!r}; there are {', '.join(ENGINES)}."
        raise StandUnavailableError(msg)
    return ENGINES[name]


def release_root(
    name: str, release: str, packages: Sequence[str], finish: Callable[[Path, Path], None] | None = None
) -> Path:
    """Return the folder *name* with a release of Debian and *packages*, created if missing.

    :param finish: called once, with the folder in which the release is made and the folder that it will be.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ecr-docker-operator"
    root = cache / name
    if not root.exists():
        install_parts(RELEASES)
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache):
            if not root.exists():  # another process may have just made it
                _make_root(release, root, packages, finish)
    return root


def _make_root(release: str, root: Path, packages: Sequence[str], finish: Callable[[Path, Path], None] | None) -> None:
    partial = root.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    mirror = _mirror()
    sys.stderr.write(f"The stand makes a folder with Debian {release!r}, in {root}.\n")
    # Install a release that this machine's debootstrap does not know like "sid".
    script = _SCRIPTS / release if (_SCRIPTS / release).exists() else _SCRIPTS / "sid"
    command = [find_program("debootstrap"), "--variant=minbase", f"--include={','.join(packages)}"]
    done = subprocess.run(
        [*command, release, str(partial), mirror, str(script)],
        env=online(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        [*_, reason] = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["?"]
        msg = f"The stand could not make Debian {release!r} from {mirror}: {reason}"
        raise StandUnavailableError(msg)
    if finish is not None:
        finish(partial, root)
    # Rename in one step, so that an unfinished folder is never used.
    partial.rename(root)


def _mirror() -> str:
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    mirrors = [uri for origin, _, uri in (line.partition(" ") for line in listed.splitlines()) if origin == "Debian"]
    if not mirrors:
        msg = "The stand needs a mirror of Debian for this engine, and apt has none here: run 'apt-get update'."
        raise StandUnavailableError(msg)
    return mirrors[0]
