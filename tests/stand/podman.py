"""Podman's service, which answers Docker's API, in place of a Docker Engine."""

from __future__ import annotations

import contextlib
import json
import os
from typing import IO, Self

from tests.stand.engine import Engine, control_groups
from tests.stand.process import Process

# Without a setting, Podman uses crun, systemd's control groups and its journal, and shared memory for its locks
# (containers.conf(5)).
_CONTAINERS = """
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "{events_logger}"
lock_type = "file"
runtime = "runc"
[network]
firewall_driver = "none"
"""
# As for Docker, the registry of this machine is not asked for certificates (Docker documentation, "Test an insecure
# registry").
_REGISTRIES = """
unqualified-search-registries = ["docker.io"]
[[registry]]
location = "localhost:5000"
insecure = true
"""


class Podman(Engine):
    """Podman as an engine of the stand; it listens on its socket only."""

    events_logger = "file"
    """Where it keeps events, from the next start on (containers.conf(5)); "none" keeps none."""

    def __enter__(self) -> Self:
        """Start Podman with a ``/run`` of its own, where it keeps its locks, events and networks."""
        self._run("mount", "-t", "tmpfs", "tmpfs", "/run")
        return super().__enter__()

    def _start(self, log: IO[bytes]) -> Process:
        home = self._directory / "home"
        policy = home / ".config" / "containers" / "policy.json"
        policy.parent.mkdir(parents=True, exist_ok=True)
        policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        files = {
            "CONTAINERS_CONF": _CONTAINERS.format(events_logger=self.events_logger),
            "CONTAINERS_REGISTRIES_CONF": _REGISTRIES,
            "CONTAINERS_STORAGE_CONF": "[storage]\n"
            'driver = "vfs"\n'
            f'graphroot = "{self._directory}/data"\n'
            f'runroot = "{self._directory}/exec"\n',
        }
        for name, text in files.items():
            (home / name).write_text(text)
        return Process(
            self._namespaces.command("/usr/bin/podman", "system", "service", "--time=0", self.url),
            env={
                "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
                "HOME": str(home),
                **{name: str(home / name) for name in files},
            },
            stdout=log,
            stderr=log,
        )

    def images(self) -> list[str]:
        """Return the tags of the images; Podman lists those without a host as Docker Hub's."""
        return [name.removeprefix("docker.io/library/") for name in super().images()]

    @property
    def _files(self) -> str:
        # To remove a layer, Podman moves it to the folder beside it.
        return f"{self._directory}/data/vfs"

    def forget_events(self) -> None:
        """Remove all events, as Podman does with the oldest ones."""
        self._run("rm", "/run/libpod/events/events.log")

    def _clean_up(self) -> None:
        # All stands share these control groups, so another one may still use them.
        for group in [*control_groups("conmon"), *control_groups("libpod_parent")]:
            with contextlib.suppress(OSError):
                group.rmdir()

    def _clear_crash(self) -> None:
        """Nothing is left to clear."""
