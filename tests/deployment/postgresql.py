"""A real PostgreSQL with a separate cluster, reachable only through a Unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg2 import OperationalError, connect  # type: ignore[attr-defined]

from tests.stand.assembly import Assembly
from tests.stand.install import find_program
from tests.stand.process import Family

if TYPE_CHECKING:
    from contextlib import ExitStack

START_SECONDS = 60

# PostgreSQL refuses to run as root.
USER = "nobody"
_AS_USER = ["setpriv", f"--reuid={USER}", "--clear-groups"]
_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    # No data has to survive a crash, and /dev/shm must not be used.
    "fsync": "off",
    "dynamic_shared_memory_type": "mmap",
}


class PostgreSql(Assembly):
    """A server with one empty database ``airflow``, in a directory that the server's user can reach."""

    def _assemble(self, parts: ExitStack) -> None:
        """Create the cluster, start the server and wait until it answers."""
        self._directory = Path(tempfile.mkdtemp(prefix="ecr-postgresql-"))
        parts.callback(shutil.rmtree, self._directory)
        shutil.chown(self._directory, USER)
        data = str(self._directory / "data")
        self._run("initdb", f"--pgdata={data}", "--auth=trust", "--no-sync", "--username=airflow", "--encoding=UTF8")
        options = [f"--{name}={value}" for name, value in _OPTIONS.items()]
        command = [find_program("postgres"), "-D", data, "-k", str(self._directory), *options]
        with (self._directory / "log").open("wb") as log:
            self._process = Family([*_AS_USER, *command], stdout=log, stderr=log, cwd=self._directory)
        parts.callback(self._process.stop)
        self._wait()
        self.url = f"postgresql+psycopg2://airflow@/airflow?host={self._directory}"

    def query(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of *query*."""
        with closing(self._connect("airflow")) as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def dump(self) -> str:
        """Return the whole database as text; text in binary columns is readable, too."""
        return self._run("pg_dump", f"--host={self._directory}", "--username=airflow", "airflow")

    def _run(self, program: str, *arguments: str) -> str:
        return subprocess.run(
            [*_AS_USER, find_program(program), *arguments],
            env={**os.environ, "LC_ALL": "C.UTF-8", "PGOPTIONS": "--bytea_output=escape"},
            cwd=self._directory,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    def _connect(self, database: str) -> Any:
        return connect(host=str(self._directory), user="airflow", dbname=database)  # type: ignore[no-untyped-call]

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                connection = self._connect("postgres")
            except OperationalError:
                time.sleep(0.05)
                continue
            with closing(connection):
                connection.autocommit = True
                connection.cursor().execute("CREATE DATABASE airflow")
            return
        log = (self._directory / "log").read_text(errors="replace")
        msg = f"PostgreSQL did not start:\n{log[-2000:]}"
        raise RuntimeError(msg)
