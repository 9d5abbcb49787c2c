"""The setup of the benchmark: a stand with simulated distance to AWS and its registries, and the peers."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.httpsession import get_cert_path

from tests.stand import Stand
from tests.stand.assembly import Assembly
from tests.stand.certificates import Authority
from tests.stand.hosts import ACCOUNT, REGION
from tests.stand.install import PEERS, find_program, install_parts
from tests.stand.namespaces import API_ADDRESS

if TYPE_CHECKING:
    from contextlib import ExitStack

ROUND_TRIP = 0.025
"""Seconds added to each round trip to AWS and to a registry."""
TASKS = 200
"""Number of tasks in the DAG file that is parsed."""
PARSED = 1000
"""Number of tasks in the DAG file that is parsed with the cluster policy."""
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ROOT = Path(__file__).parents[2]

_DAG = """
from airflow.sdk import DAG
from {module} import {name}

with DAG("parsed", schedule=None):
    for number in range({tasks}):
        {name}(task_id=f"task_{{number}}", image="{image}", command=["echo", "{{{{ ds }}}}"])
"""


@dataclass(frozen=True, eq=False)
class Peer:
    """A way to run a task with an image from Amazon ECR."""

    name: str
    operator: tuple[str, str]
    """Module and class."""
    parameters: dict[str, Any] = field(default_factory=dict)
    has_helper: bool = False
    """Whether amazon-ecr-credential-helper is in the worker's Docker configuration."""


_DOCKER = ("airflow.providers.docker.operators.docker", "DockerOperator")
PLAIN = Peer("DockerOperator", _DOCKER)
STORED = Peer("DockerOperator + stored connection", _DOCKER, {"docker_conn_id": "stored"})
HELPER = Peer("DockerOperator + amazon-ecr-credential-helper", _DOCKER, has_helper=True)
OURS = Peer("EcrDockerOperator", ("ecr_docker_operator", "EcrDockerOperator"))


@dataclass(frozen=True)
class Mapped:
    """The outcome of many mapped tasks."""

    tasks: int
    failed: list[str]
    tokens: int
    """Number of token calls."""
    pulls: int
    """Number of pulls that the engine reports."""


class Scene(Assembly):
    """A separate stand with one image in a registry; start and end it with ``with``.

    :param round_trip: seconds to add to each round trip.
    """

    def __init__(self, round_trip: float = ROUND_TRIP) -> None:
        self._round_trip = round_trip

    def _assemble(self, parts: ExitStack) -> None:
        """Start the stand, with AWS's API under its real name and over TLS, so that all peers find it."""
        install_parts(PEERS)
        self._directory = Path(tempfile.mkdtemp(prefix="ecr-benchmark-"))
        parts.callback(shutil.rmtree, self._directory)
        self.stand = parts.enter_context(Stand())
        self.image = self.stand.push()
        authority = Authority(self._directory)
        self._authority = self._directory / "authority.pem"
        # As many as a worker trusts, because reading them takes time.
        self._authority.write_text(f"{Path(get_cert_path(True)).read_text()}\n{authority.certificate}")
        at = partial(socket.create_server, (API_ADDRESS, 443))
        listening = self.stand.namespaces.inside(at)
        parts.enter_context(self.stand.aws.over_tls(authority.server_context(), listening))
        self.stand.aws.round_trip = self.stand.registry.round_trip = self._round_trip

    def run(self, peer: Peer, *, pulls: bool) -> dict[str, Any]:
        """Let *peer* run a task in a new process and return its figures; see :mod:`tests.benchmark.worker`.

        The requests to AWS and the registry are added as ``aws`` and ``registry``.

        :param pulls: whether the image must be pulled.
        """
        if pulls:
            self._renew_image()
        self.stand.aws.calls.clear()
        self.stand.registry.requests.clear()
        module, name = peer.operator
        dag_file = self._directory / f"{name}.py"
        dag_file.write_text(_DAG.format(module=module, name=name, tasks=TASKS, image=self.image))
        parameters = {"image": self.image, "auto_remove": "success", **peer.parameters}
        figures = self.work("run_task", module, name, str(dag_file), parameters, has_helper=peer.has_helper)
        figures["aws"] = [call.operation for call in self.stand.aws.calls]
        figures["registry"] = self.asked_of_registry()
        return figures

    def run_mapped(self, tasks: int, at_a_time: int, tags: int) -> Mapped:
        """Run *tasks* mapped tasks in one process, *at_a_time* at once, with images that the engine does not have.

        :param tags: number of different images.
        """
        images = [self.stand.push("mapped", str(number)) for number in range(tags)]
        self.stand.aws.calls.clear()
        client = self.stand.engine.client
        # Read the events as they happen: the engine keeps only the last 256.
        events = client.events(decode=True, filters={"type": "image", "event": ["pull", "tag"]})
        with ThreadPoolExecutor(1) as pool:
            pulls = pool.submit(lambda: sum(1 for _ in takewhile(lambda event: event["Action"] == "pull", events)))
            figures = self.work("run_mapped", images, tasks, at_a_time)
            client.tag(images[0], "the-end")
            return Mapped(figures["tasks"], figures["failed"], len(self.stand.aws.token_calls()), pulls.result())

    def parse(self, *, policy: bool) -> dict[str, Any]:
        """Let Airflow parse a file of :data:`PARSED` DockerOperators, with the cluster policy on or off."""
        module, name = PLAIN.operator
        dag_file = self._directory / "unedited.py"
        dag_file.write_text(_DAG.format(module=module, name=name, tasks=PARSED, image=self.image))
        return self.work("parse_dags", str(dag_file), policy=policy)

    def asked_of_registry(self) -> list[str]:
        """Return the requests to the registry and its layer store: method and path, without digests."""
        found = (f"{request.method} {request.path.partition('?')[0]}" for request in self.stand.registry.requests)
        return [re.sub(r"[0-9a-f]{64}", "DIGEST", request) for request in found]

    def pull_by_hand(self) -> None:
        """Pull the image with the Docker CLI, logged in beforehand."""
        self._renew_image()
        config = self._directory / "by-hand"
        config.mkdir(exist_ok=True)
        token = self.stand.aws.issue("ecr", REGION, self.stand.worker)
        (config / "config.json").write_text(json.dumps({"auths": {HOST: {"auth": token.authorization}}}))
        self.stand.registry.requests.clear()
        docker = [find_program("docker"), "--config", str(config), "--host", self.stand.engine.url]
        subprocess.run([*docker, "pull", "--quiet", self.image], check=True, stdout=subprocess.DEVNULL)

    def _renew_image(self) -> None:
        # The engine may keep the old manifest longer than the image, and then not request it.
        self.stand.engine.forget(self.image)
        self.stand.push()

    def work(self, what: str, *arguments: Any, has_helper: bool = False, policy: bool = False) -> dict[str, Any]:
        """Return the result of a function of :mod:`tests.benchmark.worker`, run in a new process beside the engine.

        :param has_helper: whether amazon-ecr-credential-helper is in the worker's Docker configuration.
        :param policy: whether the cluster policy is on.
        """
        with tempfile.TemporaryDirectory(dir=self._directory) as home:
            result, log = Path(home, "result"), Path(home, "log")
            command = [sys.executable, "-m", "tests.benchmark.worker", str(result), what, json.dumps(arguments)]
            with log.open("wb") as output:
                done = subprocess.run(
                    self.stand.namespaces.worker_command(*command),
                    env={
                        **self._environment(home, has_helper=has_helper),
                        "AIRFLOW__ECR_DOCKER__TASK_POLICY": str(policy),
                    },
                    stdout=output,
                    stderr=output,
                    check=False,
                )
            if done.returncode:
                msg = f"A worker failed ({what}):\n{log.read_text(errors='replace')[-3000:]}"
                raise RuntimeError(msg)
            found: dict[str, Any] = json.loads(result.read_text())
            return found

    def _environment(self, home: str, *, has_helper: bool) -> dict[str, str]:
        token = self.stand.aws.issue("ecr", REGION, self.stand.worker)
        environment = {
            **os.environ,
            **self.stand.environment,
            "HOME": home,
            "PYTHONPATH": str(ROOT),
            "AWS_CA_BUNDLE": str(self._authority),
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            "AIRFLOW_CONN_STORED": f"docker://AWS:{quote(token.password, safe='')}@{HOST}",
        }
        # Not all peers support a custom endpoint.
        del environment["AWS_ENDPOINT_URL"]
        # A worker has byte code, as after pip install; the warm-up round compiles the rest.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        if has_helper:
            Path(home, "config.json").write_text(json.dumps({"credHelpers": {HOST: "ecr-login"}}))
            environment |= {"DOCKER_CONFIG": home, "SSL_CERT_FILE": str(self._authority)}
        return environment
