"""A real Redis, reachable only through a Unix socket."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from tests.stand.assembly import Assembly
from tests.stand.install import SERVERS, find_program, install_parts
from tests.stand.process import Family

if TYPE_CHECKING:
    from contextlib import ExitStack

START_SECONDS = 60

_OPTIONS = {
    "port": "0",
    # Saved on request only, and uncompressed so that it can be searched.
    "save": "",
    "rdbcompression": "no",
}


class Redis(Assembly):
    """An empty server with its own directory."""

    def _assemble(self, parts: ExitStack) -> None:
        """Install Redis if it is missing, start it and wait until it answers."""
        install_parts(SERVERS)
        # Not a test's directory: its path may be too long for a socket.
        self._directory = Path(tempfile.mkdtemp(prefix="ecr-redis-"))
        parts.callback(shutil.rmtree, self._directory)
        socket = self._directory / "socket"
        options = {**_OPTIONS, "dir": str(self._directory), "unixsocket": str(socket)}
        arguments = [argument for name, value in options.items() for argument in (f"--{name}", value)]
        with (self._directory / "log").open("wb") as log:
            process = Family([find_program("redis-server"), *arguments], stdout=log, stderr=log)
        parts.callback(process.stop)
        self._client = parts.enter_context(redis.Redis(unix_socket_path=str(socket)))
        self._wait(process)
        self.url = f"redis+socket://{socket}"
        """URL for Celery."""

    def dump(self) -> bytes:
        """Return all data."""
        self._client.save()
        return (self._directory / "dump.rdb").read_bytes()

    def _wait(self, process: Family) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                self._client.ping()
            except redis.ConnectionError:
                time.sleep(0.05)
            else:
                return
        msg = f"Redis did not start:\n{(self._directory / 'log').read_text(errors='replace')[-2000:]}"
        raise RuntimeError(msg)
