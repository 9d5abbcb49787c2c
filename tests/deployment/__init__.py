"""A deployment: a whole Airflow, with a real scheduler, API server and PostgreSQL.

Its processes end with the ``with`` block, even if this process is killed. Several deployments can run at once.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from tests.deployment.api import answers, trigger
from tests.deployment.postgresql import PostgreSql
from tests.deployment.run import Run
from tests.deployment.settings import free_port, settings
from tests.stand.assembly import Assembly
from tests.stand.install import SERVERS, install_parts
from tests.stand.process import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack
    from pathlib import Path
# Time limits, generous for a busy machine.
START_SECONDS = 240
COMMAND_SECONDS = 240

USER = "admin"
"""The administrator."""

# No process of the deployment inherits an AWS identity, an engine or a configuration.
_FOREIGN = ("AIRFLOW", "AWS_", "DOCKER_", "ECR_")


class Deployment(Assembly):
    """A complete Airflow; start and stop it with ``with Deployment(…) as airflow``.

    :param directory: for its home, its logs and the output of its processes; created if it is missing.
    :param dags: folder of its DAG files.
    :param executor: name of its executor. Workers, if it needs them, are started with :meth:`start`.
    :param environment: additional environment variables of its processes.
    :param python: the Python interpreter with the Airflow to run, 2.11 or 3.
    :param password: of :data:`USER`; default: no login; with Airflow 3, everyone is an administrator.
    """

    def __init__(
        self,
        directory: Path,
        dags: Path,
        executor: str = "LocalExecutor",
        environment: Mapping[str, str] | None = None,
        *,
        python: str = sys.executable,
        password: str | None = None,
    ) -> None:
        self.directory = directory
        self.logs = directory / "logs"
        """Folder of the task logs."""
        self.processes: dict[str, Family] = {}
        """Name -> process; its output is in ``NAME.log``."""
        self._python = python
        self._password = password
        self._settings = {
            "AIRFLOW_HOME": str(directory),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTOR": executor,
            **(environment or {}),
        }

    def _assemble(self, parts: ExitStack) -> None:
        """Install missing programs, start the database and all processes, and wait until they work."""
        install_parts(SERVERS)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.database = parts.enter_context(PostgreSql())
        parts.callback(self._stop)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        """URL of the API server or, of Airflow 2, the webserver."""
        self._settings = {**settings(self.url, self.database.url, self.logs), **self._settings}
        self.command("db", "migrate")
        old = self._is_airflow_2()
        if self._password:
            self._add_user(self._password)
        self.start("scheduler", "scheduler", "--skip-serve-logs")
        if not old:
            self.start("dag-processor", "dag-processor")
        server, host = ("webserver", "--hostname") if old else ("api-server", "--host")
        self.start(server, server, host, "127.0.0.1", "--port", str(port))
        health = f"{self.url}/health" if old else f"{self.url}/api/v2/monitor/health"
        self.wait_until(lambda: answers(health), START_SECONDS, f"the {server} to answer")

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the metadata database."""
        return self.database.url

    def dump(self) -> str:
        """Return the whole metadata database as text."""
        return self.database.dump()

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment variables of a process of the deployment, with *more*."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return {**own, **self._settings, **(more or {})}

    def start(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Family:
        """Start ``airflow`` with *arguments* as an additional process, as on a machine called *name*.

        :param environment: environment variables in addition to the deployment's.
        """
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = self._run(*arguments, hostname=name, environment=environment, stdout=log, stderr=log)
        return self.processes[name]

    def kill(self, name: str) -> None:
        """Kill a process and all its descendants, like a power failure."""
        self.processes.pop(name).stop()

    def command(self, *arguments: str) -> str:
        """Run ``airflow`` with *arguments* and return its output."""
        process = self._run(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            output, errors = (pipe.decode() for pipe in process.communicate(timeout=COMMAND_SECONDS))
        finally:
            process.stop()
        if process.returncode:
            msg = f"airflow {' '.join(arguments)} failed:\n{output}\n{errors}"
            raise RuntimeError(msg)
        return output

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Wait for a DAG to appear, trigger it, and return the run id."""
        query = "SELECT 1 FROM serialized_dag WHERE dag_id = %s"
        self.wait_until(lambda: bool(self.database.query(query, dag_id)), START_SECONDS, f"the DAG {dag_id}")
        run_id = f"test-{secrets.token_hex(8)}"
        if self._is_airflow_2() or self._password:
            self.command("dags", "trigger", dag_id, "--run-id", run_id, "--conf", json.dumps(conf or {}))
        else:
            trigger(self.url, dag_id, run_id, conf or {})
        return run_id

    def look(self, dag_id: str, run_id: str) -> Run:
        """Return the current state of a DAG run."""
        return Run.find(self.database, dag_id, run_id)

    def wait(self, dag_id: str, run_id: str, seconds: float) -> Run:
        """Wait for the end of a DAG run and return it.

        :raises RuntimeError: after *seconds*; the message shows the state of the run and all logs.
        """
        try:
            self.wait_until(lambda: self.look(dag_id, run_id).ended, seconds, f"{dag_id} to end")
        except RuntimeError as error:
            error.add_note(f"{self.look(dag_id, run_id)}\n{self.task_logs()}")
            raise
        return self.look(dag_id, run_id)

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until *condition* holds.

        :raises RuntimeError: after *seconds*, or if a process has ended.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                why = f"{', '.join(ended)} ended" if ended else f"{seconds} seconds are over"
                msg = f"Still waiting for {what}, but {why}.\n{self.output()}"
                raise RuntimeError(msg)
            time.sleep(0.3)

    def output(self) -> str:
        """Return the last lines of the output of all processes."""
        logs = sorted(self.directory.glob("*.log"))
        return "\n".join(f"=== {log.name}\n{log.read_text(errors='replace')[-4000:]}" for log in logs)

    def task_logs(self) -> str:
        """Return all task logs, concatenated."""
        logs = sorted(self.logs.rglob("attempt=*.log"))
        return "\n".join(f"=== {log.relative_to(self.logs)}\n{log.read_text(errors='replace')}" for log in logs)

    def _add_user(self, password: str) -> None:
        if self._is_airflow_2():
            name = ["--firstname", "A", "--lastname", "B", "--email", "admin@example.com"]
            self.command("users", "create", "--username", USER, "--password", password, "--role", "Admin", *name)
            return
        passwords = self.directory / "passwords.json"
        passwords.write_text(json.dumps({USER: password}))
        self._settings |= {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        }

    def _is_airflow_2(self) -> bool:
        script = "from importlib.metadata import version; print(version('apache-airflow'))"
        return subprocess.check_output([self._python, "-c", script]).startswith(b"2.")

    def _run(self, *arguments: str, environment: Mapping[str, str] | None = None, **options: Any) -> Family:
        command = [self._python, "-m", "airflow", *arguments]
        return Family(command, env=self.environment(environment), cwd=self.directory, **options)

    def _stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)
