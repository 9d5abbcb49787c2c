"""The work of a worker in a separate process: import an operator, parse a DAG file, run one task.

Only the standard library is imported before the clock starts.
"""

from __future__ import annotations

import gc
import importlib
import json
import resource
import runpy
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

SUPERVISOR = "airflow.sdk.execution_time.supervisor"
"""The modules that a task's process inherits as a fork of its supervisor."""


class Requests:
    """The HTTP requests of this process, as ``http.client`` reports them (Python documentation, "Audit events")."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, str]] = []
        """When, in seconds, and what: method, path and query."""
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "http.client.send":
            return
        line = arguments[1].split(b"\r\n", 1)[0] if isinstance(arguments[1], bytes) else b""
        if line.endswith(b" HTTP/1.1"):
            self.sent.append((time.perf_counter(), line.removesuffix(b" HTTP/1.1").decode()))

    def until_pull(self) -> float | None:
        """Return the seconds from the last request before a pull to the pull request; ``None`` without a pull."""
        engine = [(at, what) for at, what in self.sent if what != "POST /"]  # the request to AWS
        for (before, _), (at, what) in pairwise(engine):
            if "/images/create" in what:
                return at - before
        return None


def run_task(module: str, name: str, dag_file: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Import the operator *name*, parse *dag_file*, run a task, and return the cost of each step.

    CPU is in seconds, of this process, since its start; wall time in seconds, of the run alone; memory in KiB; modules
    are those that are loaded when the file has been parsed.
    """
    from airflow.sdk import DAG

    figures: dict[str, Any] = {"airflow_cpu": time.process_time()}
    operator = getattr(importlib.import_module(module), name)
    figures["import_cpu"] = time.process_time()
    runpy.run_path(dag_file)
    figures |= {"parse_cpu": time.process_time(), "modules": list(sys.modules)}
    with DAG("benchmark", schedule=None):
        task = operator(task_id="task", **parameters)
    importlib.import_module(SUPERVISOR)
    requests, began = Requests(), time.perf_counter()
    task.execute({})
    figures["wall"] = time.perf_counter() - began
    figures["cpu"] = time.process_time()
    figures["requests"] = [what.split("?")[0] for _, what in requests.sent]
    figures["until_pull"] = requests.until_pull()
    figures["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return figures


def run_mapped(images: list[str], tasks: int, at_a_time: int) -> dict[str, Any]:
    """Run *tasks* mapped tasks, each with one of *images*, and return their number and the failures."""
    from concurrent.futures import ThreadPoolExecutor

    from airflow.sdk import DAG

    from ecr_docker_operator import EcrDockerOperator

    # In blocks, so that some tasks miss an image at the same moment, and others find it.
    wanted = [images[number * len(images) // tasks] for number in range(tasks)]
    parameters = {"auto_remove": "force", "network_mode": "none"}
    with DAG("mapped", schedule=None):
        mapped = EcrDockerOperator.partial(task_id="task", **parameters).expand(image=wanted)

    def run(image: str) -> str | None:
        try:
            mapped.unmap({"image": image}).execute({})
        except Exception as error:  # noqa: BLE001 - every error is reported
            return repr(error)
        return None

    with ThreadPoolExecutor(at_a_time) as pool:
        failed = [error for error in pool.map(run, wanted) if error]
    return {"tasks": len(wanted), "failed": failed}


def parse_dags(dag_file: str) -> dict[str, Any]:
    """Return the CPU time that Airflow's parse of *dag_file* takes, cluster policies applied."""
    from airflow.dag_processing.dagbag import DagBag

    began = time.process_time()
    found = DagBag(dag_file)
    figures = {"parse_cpu": time.process_time() - began}
    assert found.dags
    assert not found.import_errors
    return figures


def time_policy(tasks: int) -> dict[str, Any]:
    """Return what the cluster policy costs where nothing is a DockerOperator, in seconds.

    ``policy_import`` is for the modules of this package that ``import airflow`` imports; ``policy_task`` is for one of
    *tasks*.
    """
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG

    imported = [name for name in sys.modules if name.startswith("ecr_docker_operator")]
    for name in imported:
        del sys.modules[name]
    began = time.perf_counter()
    for name in imported:
        importlib.import_module(name)
    figures = {"policy_import": time.perf_counter() - began}
    policy = sys.modules["ecr_docker_operator.policy"]
    with DAG("others", schedule=None):
        others = [EmptyOperator(task_id=f"task_{number}") for number in range(tasks)]
    began = time.perf_counter()
    for task in others:
        policy.task_policy(task)
    return figures | {"policy_task": (time.perf_counter() - began) / tasks}


def time_bare_call(region: str) -> dict[str, Any]:
    """Return the time of one token call with an existing boto3 client."""
    import boto3

    client = boto3.session.Session().client("ecr", region_name=region)
    began = time.perf_counter()
    client.get_authorization_token()
    return {"call": time.perf_counter() - began}


class _Answered:
    """In place of an identity and its client: the answer is at hand."""

    def __init__(self, meta: Any, answer: dict[str, Any]) -> None:
        self.meta, self._answer = meta, answer

    def client(self, _: object) -> _Answered:
        return self

    def get_authorization_token(self) -> dict[str, Any]:
        return self._answer


def time_login(host: str) -> dict[str, Any]:
    """Return the times of the parts of one login of ours, in an Airflow that has parsed a DAG file."""
    from ecr_docker_operator import hook  # noqa: F401
    from ecr_docker_operator.aws.identity import AwsIdentity
    from ecr_docker_operator.aws.token import fetch_credentials
    from ecr_docker_operator.ecr.registry import EcrRegistry

    registry = EcrRegistry.parse(host)
    assert registry is not None
    importlib.import_module(SUPERVISOR)
    gc.disable()  # as during a pull
    began = time.perf_counter()
    importlib.import_module("airflow.providers.amazon.aws.hooks.base_aws")
    figures = {"import": time.perf_counter() - began}
    began = time.perf_counter()
    client = AwsIdentity().client(registry)
    figures["client"] = time.perf_counter() - began
    began = time.perf_counter()
    answer = client.get_authorization_token()
    figures["call"] = time.perf_counter() - began
    answered: Any = _Answered(client.meta, answer)
    began = time.perf_counter()
    fetch_credentials(registry, answered)
    return figures | {"mask": time.perf_counter() - began}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(globals()[sys.argv[2]](*json.loads(sys.argv[3]))))
