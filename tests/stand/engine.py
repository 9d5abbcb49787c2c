"""A real Docker Engine, private to the stand."""

from __future__ import annotations

import fnmatch
import json
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from docker.api.client import APIClient
from docker.errors import APIError

from tests.stand.certificates import Authority
from tests.stand.install import StandUnavailableError, find_program
from tests.stand.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from tests.stand.engines import EngineKind
    from tests.stand.namespaces import Namespaces

START_SECONDS = 60
REMOVE_SECONDS = 120

# Hand over a listening socket as systemd does: as file descriptor 3, for this process id (sd_listen_fds(3)).
_HAND_OVER = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@" 3<&0 </dev/null'


def control_groups(pattern: str) -> list[Path]:
    """Return the machine's control groups whose names match *pattern*, one in each hierarchy."""
    # Unlike glob, walk passes over groups that are removed in the meantime.
    folders = os.walk("/sys/fs/cgroup")
    return [Path(folder, name) for folder, names, _ in folders for name in fnmatch.filter(names, pattern)]


class Engine:
    """An engine with its own socket, data and network, in the stand's namespaces.

    It also listens on a port of 127.0.0.1, outside of the namespaces, where it requires a client certificate
    of its authority (Docker documentation, "Protect the Docker daemon socket").

    :param kind: which engine.
    :param disk: size of the engine's data disk, such as ``16m``; default: this machine's disk.
    """

    def __init__(self, directory: Path, namespaces: Namespaces, kind: EngineKind, *, disk: str | None = None) -> None:
        self.kind = kind
        self._directory = directory / "engine"
        self._disk = disk
        self._cgroup = directory.name
        self._namespaces = namespaces
        self.url = f"unix://{self._directory}/docker.sock"
        self.authority = Authority(self._directory)

    def __enter__(self) -> Self:
        """Start the engine and wait until it answers."""
        self._directory.mkdir()
        if self._disk:
            (self._directory / "data").mkdir()
            mount = ["mount", "-t", "tmpfs", "-o", f"size={self._disk}", "tmpfs", f"{self._directory}/data"]
            subprocess.run(self._namespaces.command(*mount), check=True)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the engine and its containers."""
        self.reset()
        self.client.close()
        self._process.stop()
        self._clean_up()

    def _clean_up(self) -> None:
        # The engine leaves empty control groups behind, one in each hierarchy.
        for group in control_groups(self._cgroup):
            group.rmdir()

    def start(self) -> None:
        """Start the engine, for the first time or after :meth:`kill`, and wait until it answers."""
        with (self._directory / "log").open("ab") as log:
            self._process = self._start(log)
        self.client = self._wait()

    def _start(self, log: IO[bytes]) -> Process:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.remote_url = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
            dockerd = ["/usr/sbin/dockerd" if self.kind.release else find_program("dockerd"), *self._options()]
            return Process(
                self._namespaces.command("sh", "-c", _HAND_OVER, *dockerd),
                env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", **self._authorities()},
                stdin=listening,
                stdout=log,
                stderr=log,
            )

    def versions(self) -> str:
        """Return the names and versions of the engine's components."""
        parts = self.client.version()["Components"]
        return ", ".join(f"{part['Name']} {part['Version'].splitlines()[0]}" for part in parts)

    @property
    def running(self) -> bool:
        """Whether the engine runs; false after :meth:`kill`."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the engine at once, like a crash."""
        self.client.close()
        self._process.kill()
        self._process.wait()
        self._clear_crash()

    def _clear_crash(self) -> None:
        # The next engine must not mistake the dead helper process for a running one.
        (self._directory / "exec" / "containerd" / "containerd.pid").unlink()

    @property
    def _files(self) -> str:
        # The folder with the files of images.
        if self.kind.containerd_store:
            return f"{self._directory}/data/containerd/daemon/io.containerd.snapshotter.v1.native/snapshots"
        return f"{self._directory}/data/vfs/dir"

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Leave the engine hardly any space for the files of further images, until the ``with`` block ends."""
        # Keep the existing files visible: containerd's store builds upon them.
        script = (
            'mkdir -p "$1" "$1.full" && mount -t tmpfs -o size=$(($(du -sk "$1" | cut -f1) + 256))k tmpfs "$1.full" '
            # A container that is being removed may take its files away in between.
            '&& { cp -a "$1/." "$1.full" || :; } && mount --bind "$1.full" "$1"'
        )
        self._run("sh", "-c", script, "sh", self._files)
        try:
            yield
        finally:
            # Keep the new files: the engine will look for them.
            script = 'umount --lazy "$1" && cp -a "$1.full/." "$1" && umount "$1.full"'
            self._run("sh", "-c", script, "sh", self._files)

    @contextmanager
    def read_only_disk(self) -> Iterator[None]:
        """Make the files of the engine's images read-only until the ``with`` block ends."""
        self._run("mount", "--bind", self._files, self._files)
        self._run("mount", "-o", "remount,bind,ro", self._files)
        try:
            yield
        finally:
            self._run("umount", "--lazy", self._files)

    def _run(self, *command: str) -> None:
        subprocess.run(self._namespaces.command(*command), check=True)

    def command(self, *command: str) -> list[str]:
        """Return the command line that runs *command* with the engine's view of the files."""
        return self._namespaces.command(*command, network=False)

    def has(self, image: str) -> bool:
        """Return whether *image* is on the engine."""
        return bool(self.client.images(name=image))

    def images(self) -> list[str]:
        """Return the tags of the images on the engine."""
        # containerd's store also lists digests.
        return [name for image in self.client.images() for name in image["RepoTags"] or [] if "@" not in name]

    def forget(self, image: str) -> None:
        """Remove *image* and its containers from the engine, if it exists."""
        self._remove_containers({"ancestor": image})
        if self.has(image):
            self.client.remove_image(image, force=True)

    def reset(self) -> None:
        """Remove all containers and images."""
        self._remove_containers({})
        for image in self.client.images(quiet=True):
            self.client.remove_image(image, force=True)

    def _remove_containers(self, filters: dict[str, str]) -> None:
        deadline = time.monotonic() + REMOVE_SECONDS
        while found := self.client.containers(all=True, quiet=True, filters=filters):
            assert time.monotonic() < deadline, found
            for container in found:
                try:
                    self.client.remove_container(container["Id"], force=True)
                except APIError as error:
                    # Swarm may remove it at the same time.
                    if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                        raise
                    time.sleep(0.1)

    def _authorities(self) -> dict[str, str]:
        # With containerd's store, some requests ignore certs.d.
        return {"SSL_CERT_FILE": str(self._namespaces.authorities)} if self.kind.containerd_store else {}

    def _options(self) -> list[str]:
        authority = self._directory / "authority.pem"
        authority.write_text(self.authority.certificate)
        certificate = self.authority.issue_file("127.0.0.1")
        configuration = self._directory / "daemon.json"
        # Slow for large images, but they work on any file system, even on an overlay.
        driver = "native" if self.kind.containerd_store else "vfs"
        features = {"containerd-snapshotter": self.kind.containerd_store}
        configuration.write_text(json.dumps({"storage-driver": driver, "features": features}))
        return [
            f"--data-root={self._directory}/data",
            f"--exec-root={self._directory}/exec",
            f"--pidfile={self._directory}/pid",
            f"--host={self.url}",
            "--host=fd://",
            "--tlsverify",
            f"--tlscacert={authority}",
            f"--tlscert={certificate}",
            f"--tlskey={certificate}",
            f"--cgroup-parent=/{self._cgroup}",
            "--iptables=false",
            "--ip6tables=false",
            f"--config-file={configuration}",
            # The default is five attempts for a broken layer, up to 20 s apart.
            "--max-download-attempts=1",
        ]

    def _wait(self) -> APIClient:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            # Do not use docker-py's client yet: each failure would leave a socket open.
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(self.url.removeprefix("unix://")) == 0:
                    return APIClient(base_url=self.url, version="auto")
            time.sleep(0.05)
        self._process.stop()
        log = (self._directory / "log").read_text(errors="replace")
        msg = f"The stand's engine did not start:\n{log[-2000:].rstrip()}"
        raise StandUnavailableError(msg)
