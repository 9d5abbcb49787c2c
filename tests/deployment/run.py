"""The state of a DAG run in the metadata database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.deployment.postgresql import PostgreSql


@dataclass(frozen=True)
class Run:
    """A DAG run, running or ended."""

    state: str
    states: dict[tuple[str, int], str | None]
    """Task id and map index (-1: not mapped) -> state of the task instance."""
    tries: dict[tuple[str, int], int]
    """Task id and map index -> number of the task instance's last try."""
    hosts: dict[tuple[str, int], str]
    """Task id and map index -> host name of the last try, empty before it starts."""
    results: dict[tuple[str, int], Any]
    """Task id and map index -> return value of the task, as stored in XCom."""

    @classmethod
    def find(cls, database: PostgreSql, dag_id: str, run_id: str) -> Run:
        """Return the current state of the run."""
        [(state,)] = database.query("SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s", dag_id, run_id)
        tasks = database.query(
            "SELECT task_id, map_index, state, try_number, hostname FROM task_instance "
            "WHERE dag_id = %s AND run_id = %s",
            dag_id,
            run_id,
        )
        results = database.query(
            "SELECT task_id, map_index, value FROM xcom WHERE dag_id = %s AND run_id = %s AND key = 'return_value'",
            dag_id,
            run_id,
        )
        return cls(
            state=state,
            states={(task, index): state for task, index, state, _, _ in tasks},
            tries={(task, index): number for task, index, _, number, _ in tasks},
            hosts={(task, index): host for task, index, _, _, host in tasks},
            # Airflow 2 stores the JSON as bytes, Airflow 3 as JSON.
            results={
                (task, index): json.loads(bytes(value)) if isinstance(value, memoryview) else value
                for task, index, value in results
            },
        )

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self.state in ("success", "failed")

    @property
    def succeeded(self) -> bool:
        """Whether the run was a success."""
        return self.state == "success"
