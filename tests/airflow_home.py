"""A separate Airflow home and database to run DAG files in."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.scratch import interrupts_wait

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SECONDS = 300


@dataclass(frozen=True)
class Run:
    """The outcome of a DAG run."""

    succeeded: bool
    log: str
    states: dict[tuple[str, int], str]
    """Task id and map index (-1: not mapped) -> state of the task instance."""
    results: dict[tuple[str, int], Any]
    """Task id and map index -> return value of the task, as stored in XCom."""

    def count(self, words: str) -> int:
        """Return how many lines of the log contain *words*; a line that Airflow 2 repeats at once counts once."""
        lines = [line.partition("] ")[2] for line in self.log.splitlines()]
        return sum(words in line and line != before for before, line in pairwise(["", *lines]))


class AirflowHome:
    """A new Airflow home in *directory* with the DAGs of the folder *dags*."""

    def __init__(self, directory: Path, dags: Path) -> None:
        self._database = directory / "airflow.db"
        self.environment = {
            "AIRFLOW_HOME": str(directory),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._database}",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            "NO_COLOR": "1",
            "PYTHONWARNINGS": "ignore",
        }
        done = self._airflow("db", "migrate")
        if done.returncode:
            msg = f"airflow db migrate failed:\n{done.stdout}"
            raise RuntimeError(msg)

    def run(self, dag_id: str, environment: Mapping[str, str]) -> Run:
        """Run a DAG once in this home, with additional environment variables, and wait for its end."""
        with closing(sqlite3.connect(self._database)) as database:
            for table in ("xcom", "task_instance", "dag_run"):
                database.execute(f"DELETE FROM {table}")  # noqa: S608 - the names stand above
            database.commit()
        done = self._airflow("dags", "test", dag_id, environment=environment)
        with closing(sqlite3.connect(self._database)) as database:
            states = database.execute("SELECT task_id, map_index, state FROM task_instance").fetchall()
            results = database.execute(
                "SELECT task_id, map_index, value FROM xcom WHERE key = 'return_value'"
            ).fetchall()
        return Run(
            succeeded=bool(states) and all(state == "success" for _, _, state in states),
            # Airflow 3.0 colours it, also in a file.
            log=re.sub(r"\x1b\[[0-9;]*m", "", done.stdout),
            states={(task, index): state for task, index, state in states},
            # SQLite returns a number for a JSON value that is a number.
            results={
                (task, index): value if isinstance(value, int | float) else json.loads(value)
                for task, index, value in results
            },
        )

    def add_connection(self, conn_id: str, connection: Mapping[str, Any]) -> None:
        """Store a connection in the database."""
        done = self._airflow("connections", "add", conn_id, "--conn-json", json.dumps(connection))
        if done.returncode:
            msg = f"airflow connections add failed:\n{done.stdout}"
            raise RuntimeError(msg)

    def dags(self) -> dict[str, dict[str, Any]]:
        """Return all DAGs as Airflow shows them: id -> serialized DAG from the database."""
        self.serialize()
        with closing(sqlite3.connect(self._database)) as database:
            found = database.execute("SELECT dag_id, data FROM serialized_dag").fetchall()
        return {dag_id: json.loads(data)["dag"] for dag_id, data in found}

    def dump(self) -> list[str]:
        """Return the whole content of the database, as SQL."""
        with closing(sqlite3.connect(self._database)) as database:
            return list(database.iterdump())

    def import_errors(self) -> dict[str, str]:
        """Return the files that Airflow could not import in :meth:`serialize`: name -> error."""
        with closing(sqlite3.connect(self._database)) as database:
            return dict(database.execute("SELECT filename, stacktrace FROM import_error").fetchall())

    def serialize(self) -> str:
        """Serialize all DAGs into the database and return the result."""
        done = self._airflow("dags", "reserialize")
        if done.returncode:
            msg = f"airflow dags reserialize failed:\n{done.stdout}"
            raise RuntimeError(msg)
        with closing(sqlite3.connect(self._database)) as database:
            return str(database.execute("SELECT data FROM serialized_dag").fetchall())

    def _airflow(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "airflow", *arguments]
        process = None
        try:
            with interrupts_wait():
                process = subprocess.Popen(
                    command,
                    env={**os.environ, **self.environment, **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    # So that an interrupt ends the processes of its tasks, too, which write files.
                    start_new_session=True,
                )
            output, _ = process.communicate(timeout=SECONDS)
        except BaseException:
            if process:
                with process:
                    os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(command, process.returncode, output)
