"""Says what a deployment no longer needs: stored logins, the tasks that refresh them, and plain DockerOperators."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecr_docker_operator.check.dags import ELSEWHERE
from ecr_docker_operator.compat import is_missing_connection
from ecr_docker_operator.hook import EcrDockerHook, is_for_ecr
from ecr_docker_operator.policy import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecr_docker_operator.check.dags import Found, Task


_PROVIDER = "airflow.providers.docker"
_OURS = {
    f"{_PROVIDER}.operators.docker.DockerOperator": ("DockerOperator", "Use EcrDockerOperator, or set"),
    f"{_PROVIDER}.operators.docker_swarm.DockerSwarmOperator": (
        "DockerSwarmOperator",
        "Use EcrDockerSwarmOperator, or set",
    ),
    f"{_PROVIDER}.decorators.docker._DockerDecoratedOperator": ("@task.docker", "Use @task.ecr_docker, or set"),
}
"""The provider's operators -> how they are shown, and what is ours. Others are of libraries and of users."""


@dataclass(frozen=True)
class Leftover:
    """One thing that can go, or that is in the way of it."""

    kind: str
    """``connection``, ``refresh``, ``operator``, or ``unknown`` for a connection that could not be looked up."""
    name: str
    """Connection, DAG or file, or the operator's class."""
    text: str
    """What to do."""
    tasks: tuple[tuple[str, str], ...] = field(default=())
    """DAG and task of each task that it is about."""


def leftovers(found: Found) -> list[Leftover]:
    """Return what can go, in the order in which to do it."""
    return [*_operators(found), *_connections(found), *_refreshes(found)]


def _operators(found: Found) -> Iterator[Leftover]:
    by_class: dict[str, list[Task]] = {}
    for task in found.tasks:
        if task.lacks_login:
            by_class.setdefault(task.operator, []).append(task)
    for name, tasks in sorted(by_class.items()):
        what = "does not log in to Amazon ECR by itself."
        if len(_names(tasks)) > 1:
            what = "do not log in to Amazon ECR by themselves."
        shown, step = _OURS.get(name, (name, "Set"))
        step = f"{step} [ecr_docker] task_policy, which edits no DAG."
        if describe().startswith("on,"):
            step = "The cluster policy cannot convert this class; Airflow's log of the DAG says why."
        # Airflow makes up the name of a DAG file's module.
        shown = re.sub(r"^unusual_prefix_[0-9a-f]+_", "", shown)
        text = f"{shown}: {_count(tasks)} {what} {step}"
        yield Leftover("operator", name, text, _names(tasks))


def _connections(found: Found) -> Iterator[Leftover]:
    by_connection: dict[str, list[Task]] = {}
    for task in found.tasks:
        if task.docker_conn_id:
            by_connection.setdefault(task.docker_conn_id, []).append(task)
    for name, tasks in sorted(by_connection.items()):
        try:
            connection: Any = EcrDockerHook.get_connection(name)
        except Exception as error:  # noqa: BLE001 - Airflow's database may be out of reach
            if is_missing_connection(error):
                text = f"Docker connection {name!r} does not exist: drop docker_conn_id from {_count(tasks)}."
                yield Leftover("connection", name, text, _names(tasks))
                continue
            yield Leftover("unknown", name, f"Docker connection {name!r} could not be looked up: {error}")
            continue
        if any(is_for_ecr(connection, task.image.registry) for task in tasks):
            when = ""
            if not all(task.logs_in or task.image.state == ELSEWHERE for task in tasks):
                who = "they log in by themselves" if len(_names(tasks)) > 1 else "it logs in by itself"
                when = f", once {who}"
            text = (
                f"Docker connection {name!r} holds a login for Amazon ECR: drop docker_conn_id from {_count(tasks)}"
                f"{when}, then delete the connection."
            )
            yield Leftover("connection", name, text, _names(tasks))


def _refreshes(found: Found) -> Iterator[Leftover]:
    for (place, operator), tasks in sorted(found.refreshes.items()):
        if not tasks:
            text = f"{place}: this file does not import, and uses {operator}, which only refreshes a login: remove it."
        elif place in found.refreshing_dags:
            text = f"DAG {place!r} only refreshes a login, with {operator}: delete the DAG."
        else:
            which = ", ".join(map(repr, tasks))
            text = f"DAG {place!r}: {which} only refreshes a login, with {operator}: delete the task."
        yield Leftover("refresh", place, text, tuple((place, task) for task in tasks))


def _names(tasks: list[Task]) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys((task.dag_id, task.task_id) for task in tasks))


def _count(tasks: list[Task]) -> str:
    count = len(_names(tasks))
    if count == 1:
        return f"task {tasks[0].task_id!r} of DAG {tasks[0].dag_id!r}"
    return f"{count} tasks"
