"""A mount and a network namespace in which an engine sees the stand's host names and certificates."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from tests.stand.hosts import ALL_HOSTS, API_HOSTS
from tests.stand.install import StandUnavailableError, find_program
from tests.stand.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _IFF_UP = 0x8913, 0x8914, 0x8916, 0x1

# Addresses reserved for documentation (RFC 5737). Not 127.0.0.0/8, where the engine would not require TLS.
ADDRESS = "198.51.100.1"
API_ADDRESS = "127.0.0.2"
"""Address of AWS's API inside, for clients without a configurable endpoint."""
FIRST_NODE, SECOND_NODE = "192.0.2.1", "192.0.2.2"
"""The two ends of the link between two networks."""


class Namespaces:
    """Namespaces that live as long as the ``with`` block, held by one sleeping process.

    :param root: folder with the ``usr`` that is used inside; default: this machine's.
    :param beside: namespaces of the stand to connect to; default: these are the stand's own.
    """

    def __init__(self, directory: Path, *, root: Path | None = None, beside: Namespaces | None = None) -> None:
        self._root = root
        self.authorities = directory / "authorities.pem"
        """File with the certificates that the machine inside trusts."""
        self._hosts = directory / "hosts"
        self._docker = directory / "etc-docker"
        self.certificates = self._docker / "certs.d"
        """Folder with the certificates that the engine trusts."""
        self._beside = beside

    def __enter__(self) -> Self:
        """Create both namespaces, with the stand's ``/etc/hosts`` and ``/etc/docker``."""
        self._docker.mkdir()
        if self._beside:
            # The folder cannot be shared, because an engine also stores its own key there.
            self.certificates.symlink_to(self._beside.certificates)
            self.authorities.symlink_to(self._beside.authorities)
        addresses = {ADDRESS: ALL_HOSTS, API_ADDRESS: API_HOSTS, "127.0.0.1": ["localhost"]}
        lines = [f"{address} {name}\n" for address, names in addresses.items() for name in names]
        self._hosts.write_text("".join(lines))
        mounts = {"/etc/hosts": self._hosts, "/etc/docker": self._docker}
        if self._root:
            mounts["/usr"] = self._root / "usr"
        script = " && ".join(f"mount --bind '{source}' {target}" for target, source in mounts.items())
        self._holder = Process(
            [find_program("unshare"), "--mount", "--net", "sh", "-c", f"{script} && echo ready && exec sleep infinity"],
            stdout=subprocess.PIPE,
        )
        if self._holder.stdout is None or self._holder.stdout.readline() != b"ready\n":
            self._holder.stop()
            msg = "The stand could not make its namespaces; in a container, it has to be a privileged one."
            raise StandUnavailableError(msg)
        self.inside(partial(_set_up_loopback, None if self._beside else ADDRESS))
        if self._beside:
            self._connect(self._beside)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the namespaces and all their mounts."""
        self._holder.stop()

    def command(self, *command: str, network: bool = True) -> list[str]:
        """Return the command line that runs *command* inside; without *network*, only in the mount namespace."""
        kinds = ["--mount", "--net"] if network else ["--mount"]
        return ["nsenter", *kinds, f"--target={self._holder.pid}", "--wd=/", *command]

    def worker_command(self, *command: str) -> list[str]:
        """Return the command line that runs a program of this machine inside, which needs this machine's ``/usr``."""
        if self._root is None:
            return self.command(*command)
        script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
        network = ["nsenter", "--net", f"--target={self._holder.pid}", "--wd=/"]
        return [*network, find_program("unshare"), "--mount", "sh", "-c", script, "sh", str(self._hosts), *command]

    def inside(self, action: Callable[[], T]) -> T:
        """Call *action* inside the network namespace and return its result; sockets created there stay there."""
        results: list[T] = []

        def run() -> None:
            # A namespace is set per thread, and this thread ends with the call.
            with Path(f"/proc/{self._holder.pid}/ns/net").open() as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            results.append(action())

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return results[0]

    def _connect(self, first: Namespaces) -> None:
        cable, peer = "cable", str(self._holder.pid)
        for namespaces, command in (
            (first, f"link add {cable} type veth peer name {cable} netns {peer}"),
            (first, f"address add {FIRST_NODE}/24 dev {cable}"),
            (first, f"link set {cable} up"),
            (self, f"address add {SECOND_NODE}/24 dev {cable}"),
            (self, f"link set {cable} up"),
            (self, f"route add {ADDRESS} via {FIRST_NODE}"),
        ):
            subprocess.run(namespaces.command(find_program("ip"), *command.split()), check=True)

    def trust(self, host: str, certificate: str) -> None:
        """Make the engine trust *host*, with or without a port, if its authority signed the certificate."""
        folder = self.certificates / host
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.crt").write_text(certificate)


def _set_up_loopback(address: str | None) -> None:
    name = struct.Struct("16s24x")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags = struct.unpack("16xH22x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, name.pack(b"lo")))[0]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))
        if address:
            packed = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(any_socket, _SIOCSIFADDR, struct.pack("16s16s8x", b"lo:0", packed))
