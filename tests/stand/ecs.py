"""Amazon ECS: RunTask runs the container's command as a process of this machine with a task role.

The process gets its AWS identity only from a credentials endpoint, as with a real task role. Wording
and codes are AWS's own (Amazon ECS API Reference; "Task IAM role" in the Amazon ECS Developer Guide).
"""

from __future__ import annotations

import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, ClassVar

from tests.stand.assembly import Assembly
from tests.stand.aws import AwsError
from tests.stand.process import Family
from tests.stand.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from tests.stand.aws import Aws, Identity

PRINCIPAL = "ecs-tasks.amazonaws.com"
"""The service that assumes the roles of tasks."""

_SIX_HOURS = 6 * 3600
_PATH = "/v2/credentials/"


@dataclass(frozen=True)
class TaskDefinition:
    """A task definition with one container."""

    container: str
    environment: Mapping[str, str]
    task_role_arn: str | None = None


@dataclass
class Task:
    """A task that was started."""

    arn: str
    definition: TaskDefinition
    identity: Identity | None
    """The session of the task role."""
    secret: str
    """The secret that the process sends to the credentials endpoint."""
    started_at: float
    process: Family
    stopped_reason: str = "Essential container in task exited"


class Ecs(Assembly):
    """The API of ``ecs`` with one cluster, as a part of *aws*.

    :param owner: the only identity that may call it.
    :param directory: for the output of the tasks.
    """

    def __init__(self, aws: Aws, cluster: str, owner: Identity, directory: Path) -> None:
        self._aws, self._cluster, self._owner, self._directory = aws, cluster, owner, directory
        self.definitions: dict[str, TaskDefinition] = {}
        """Family -> task definition."""
        self.tasks: dict[str, Task] = {}
        """Task id -> task."""
        self.role_may_get_token = True
        """Whether the policy of the task roles allows ecr:GetAuthorizationToken."""

    def _assemble(self, parts: ExitStack) -> None:
        """Answer calls, and serve credentials on a free port of 127.0.0.1."""
        # Processes end with the thread that started them, and a request's thread ends too early.
        self._starter = parts.enter_context(ThreadPoolExecutor(1))
        parts.callback(self._stop_tasks)
        server = Server(type("Handler", (_CredentialsHandler,), {"ecs": self}))
        parts.callback(server.stop)
        self.credentials_url = f"http://127.0.0.1:{server.server_port}{_PATH}"
        self._aws.services["ecs"] = self
        parts.callback(self._aws.services.pop, "ecs")

    def answer(self, operation: str, parameters: Any, caller: Identity, region: str) -> Any:
        """Return the answer of RunTask, DescribeTasks or StopTask."""
        if caller is not self._owner:
            message = (
                f"User: {caller.arn} is not authorized to perform: ecs:{operation} on resource: "
                f"arn:aws:ecs:{region}:{self._owner.account}:cluster/{self._cluster} "
                f"because no identity-based policy allows the ecs:{operation} action"
            )
            raise AwsError(400, "AccessDeniedException", message)
        if parameters["cluster"] != self._cluster:
            raise AwsError(400, "ClusterNotFoundException", "Cluster not found.")
        if operation == "RunTask":
            return {"tasks": [self._describe(self._run(parameters, region))], "failures": []}
        if operation == "DescribeTasks":
            found = {arn: self._find(arn) for arn in parameters["tasks"]}
            return {
                "tasks": [self._describe(task) for task in found.values() if task],
                "failures": [{"arn": arn, "reason": "MISSING"} for arn, task in found.items() if not task],
            }
        if operation == "StopTask":
            task = self._find(parameters["task"])
            if task is None:
                raise AwsError(400, "InvalidParameterException", "The referenced task was not found.")
            task.stopped_reason = parameters.get("reason", "Task stopped by user")
            task.process.stop()
            return {"task": self._describe(task)}
        raise AwsError(400, "UnknownOperationException", operation)

    def credentials(self, task_id: str, secret: str | None) -> dict[str, str] | None:
        """Return the credentials of a running task's role; ``None`` if the task has none or the secret is wrong."""
        task = self.tasks.get(task_id)
        if task is None or task.identity is None or task.secret != secret or task.process.poll() is not None:
            return None
        expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _SIX_HOURS))
        return {
            "RoleArn": task.definition.task_role_arn or "",
            "AccessKeyId": task.identity.access_key,
            "SecretAccessKey": task.identity.secret_key,
            "Token": task.identity.session_token or "",
            "Expiration": expiration,
        }

    def _run(self, parameters: Any, region: str) -> Task:
        definition = self.definitions.get(parameters["taskDefinition"])
        if definition is None:
            raise AwsError(400, "ClientException", "TaskDefinition not found.")
        [override] = parameters["overrides"]["containerOverrides"]
        if override["name"] != definition.container:
            message = f"Override for container named {override['name']} is not a container in the TaskDefinition."
            raise AwsError(400, "InvalidParameterException", message)
        task_id, secret = secrets.token_hex(16), secrets.token_urlsafe(30)
        environment = {**definition.environment, **{pair["name"]: pair["value"] for pair in override["environment"]}}
        identity = None
        if definition.task_role_arn:
            identity = self._aws.assume_role(definition.task_role_arn, task_id, PRINCIPAL)
            identity.may_get_token = self.role_may_get_token
            environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = self.credentials_url + task_id
            environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = secret
        arn = f"arn:aws:ecs:{region}:{self._owner.account}:task/{self._cluster}/{task_id}"
        process = self._starter.submit(self._start, task_id, override["command"], environment).result()
        task = self.tasks[task_id] = Task(arn, definition, identity, secret, time.time(), process)
        return task

    def _start(self, task_id: str, command: list[str], environment: dict[str, str]) -> Family:
        self._directory.mkdir(exist_ok=True)
        with (self._directory / f"{task_id}.log").open("wb") as log:
            return Family(command, hostname=task_id, env=environment, cwd="/", stdout=log, stderr=log)

    def _stop_tasks(self) -> None:
        for task in self.tasks.values():
            task.process.stop()

    def _find(self, arn: str) -> Task | None:
        return self.tasks.get(arn.rpartition("/")[2])

    def _describe(self, task: Task) -> dict[str, Any]:
        status = "RUNNING" if task.process.poll() is None else "STOPPED"
        container: dict[str, Any] = {
            "containerArn": f"{task.arn}/0",
            "name": task.definition.container,
            "lastStatus": status,
        }
        described: dict[str, Any] = {
            "taskArn": task.arn,
            "lastStatus": status,
            "desiredStatus": status,
            "startedAt": task.started_at,
        }
        if task.process.returncode is not None:
            container["exitCode"] = task.process.returncode % 256
            described["stoppedReason"] = task.stopped_reason
        return {**described, "containers": [container]}


class _CredentialsHandler(BaseHTTPRequestHandler):
    ecs: ClassVar[Ecs]

    def do_GET(self) -> None:
        found = self.ecs.credentials(self.path.removeprefix(_PATH), self.headers["Authorization"])
        missing = {
            "code": "InvalidIdInRequest",
            "message": "CredentialsV2Request: Credentials not found",
            "HTTPErrorCode": 400,
        }
        answer = json.dumps(found or missing).encode()
        self.send_response(200 if found else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
