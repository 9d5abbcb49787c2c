"""A Swarm of two engines: the worker node pulls with the token that the manager got."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.docker.operators.docker_swarm import DockerSwarmOperator
from docker.types.services import ContainerSpec, TaskTemplate

from ecr_docker_operator import EcrDockerHook, EcrDockerSwarmOperator, EcrPullError, EcrTokenError
from ecr_docker_operator.compat import AirflowException
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, REGION
from tests.stand.namespaces import ADDRESS, SECOND_NODE
from tests.system.test_pull import SLEEP

if TYPE_CHECKING:
    from tests.stand import Stand
    from tests.stand.engine import Engine

pytestmark = pytest.mark.stand

SECONDS = 120
ON_WORKER = ["node.role==worker"]


@pytest.fixture
def stand(swarm_stand: Stand) -> Stand:
    """Provide a stand whose engine manages a Swarm."""
    return swarm_stand


@pytest.fixture
def worker(nodes: tuple[Stand, Engine]) -> Engine:
    """Provide the worker node's engine."""
    return nodes[1]


def run(image: str, operator: type[DockerSwarmOperator] = EcrDockerSwarmOperator, **parameters: Any) -> None:
    """Run a task on the worker node."""
    given = {"task_id": "task", "image": image, "placement": ON_WORKER, "enable_logging": False, **parameters}
    operator(**given).execute({})


def test_the_node_pulls_with_the_managers_token(stand: Stand, worker: Engine) -> None:
    """One token: the manager checks the image with it, and the worker node pulls with it."""
    image = stand.push("on-worker")
    run(image)
    assert worker.has(image)
    assert not stand.engine.has(image)
    [call] = stand.aws.calls
    assert (call.operation, call.region, call.arn) == ("GetAuthorizationToken", REGION, stand.worker.arn)
    [token] = stand.aws.tokens
    asked = [request for request in stand.registry.requests if "/manifests/" in request.path]
    # containerd's store sends its login only when the registry requests it.
    assert {(request.client, request.login) for request in asked if request.status != 401} == {
        (ADDRESS, f"AWS:{token.password}"),
        (SECOND_NODE, f"AWS:{token.password}"),
    }


def test_swarm_itself_hides_why(stand: Stand) -> None:
    """DockerSwarmOperator has no login, and does not report that."""
    with pytest.raises(AirflowException, match=r"^Service did not complete: {'ID': '\w+'.*}$"):
        run(stand.push("without-login"), DockerSwarmOperator)
    [task] = stand.engine.client.tasks()
    assert task["Status"]["Err"].startswith("No such image: ")


def test_no_token(stand: Stand) -> None:
    """Without a token, no service is created, and the error names the identity that lacks the permission."""
    stand.worker.may_get_token = False
    image = stand.push("no-token")
    sentence = rf"^{image}: not pulled\. .*{stand.worker.arn} is not authorized to perform: ecr:GetAuthorizationToken"
    with pytest.raises(EcrTokenError, match=sentence):
        run(image)
    assert stand.engine.client.services() == []


@pytest.mark.parametrize(
    ("repository", "reason"),
    [
        ("app:missing", r"Requested image not found \(ImageNotFound\)\. Check the tag or digest; "),
        ("missing:1", r"The repository with name 'missing' does not exist in the registry"),
    ],
    ids=["tag", "repository"],
)
def test_no_such_image(repository: str, reason: str, stand: Stand) -> None:
    """A missing image fails before a service is created."""
    host, _, _ = stand.push().partition("/")
    sentence = rf"^{host}/{repository}: not pulled from Amazon ECR registry {ACCOUNT} in {REGION} for .+\. {reason}"
    with pytest.raises(EcrPullError, match=sentence):
        run(f"{host}/{repository}")
    assert stand.engine.client.services() == []


def test_repository_policy_of_another_account(stand: Stand, worker: Engine) -> None:
    """An image of an account that does not admit the worker fails with the reason; once admitted, it runs."""
    image = stand.push("shared", account=OTHER_ACCOUNT)
    with pytest.raises(EcrPullError, match=f"{stand.worker.arn} is not authorized to perform: ecr:BatchGetImage"):
        run(image)
    assert stand.engine.client.services() == []
    stand.registry.policies[OTHER_ACCOUNT, REGION, "shared"].add(ACCOUNT)
    run(image)
    assert worker.has(image)


def test_dead_token(stand: Stand) -> None:
    """If a token expires on its way, one new token is tried; if that expires, too, the error says so."""
    stand.aws.lifetime = 0
    with pytest.raises(EcrPullError, match=r"The registry refused the token, .* A new token did not help"):
        run(stand.push("dead-token"))
    assert stand.engine.client.services() == []
    assert len(stand.aws.tokens) == 2


@pytest.mark.parametrize("tty", [False, True])
def test_logs(tty: bool, stand: Stand, worker: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """The task's log has every line that the service prints, with and without a terminal."""
    image = stand.push("logs")
    printed = ["first line", "ünd the second", "  third"]
    script = "".join(f"echo '{line}'; " for line in printed) + "until [ -e /done ]; do sleep 1; done"
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(run, image, command=["sh", "-c", script], tty=tty, enable_logging=True)
        log, deadline = "", time.monotonic() + SECONDS
        while printed[-1] not in log and not ended.done() and time.monotonic() < deadline:
            log += capsys.readouterr().out
            time.sleep(0.1)
        for container in worker.client.containers(filters={"ancestor": image}):
            worker.client.exec_start(worker.client.exec_create(container, ["sh", "-c", "echo > /done"]))
        ended.result()
    messages = [line.partition("] ")[2].partition("[")[0].rstrip() for line in log.splitlines()]
    assert [message for message in messages if message in printed] == printed


def test_dockerswarmoperator_dies_of_a_terminal(stand: Stand) -> None:
    """DockerSwarmOperator cannot read a terminal's log; if this changes, our workaround can be removed."""
    image = stand.push("terminal")
    token = stand.aws.issue("ecr", REGION, stand.worker)
    parameters: dict[str, Any] = {"image": image, "placement": ON_WORKER, "tty": True}
    task = DockerSwarmOperator(task_id="task", command=["sh", "-c", f"echo out; {SLEEP}"], **parameters)
    logins = task.cli._auth_configs  # noqa: SLF001
    logins.add_auth(image.partition("/")[0], {"username": "AWS", "password": token.password})
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'groups'"):
        task.execute({})


def test_environment(stand: Stand) -> None:
    """Variables of all three kinds reach the container; Airflow shows only the public ones."""
    task = EcrDockerSwarmOperator(
        task_id="task",
        image=stand.push("environment"),
        placement=ON_WORKER,
        enable_logging=False,
        env_file="A=file\nB=file\nC=file",
        environment={"B": "environment", "C": "environment"},
        private_environment={"C": "private"},
    )
    task.execute({})
    [service] = stand.engine.client.services()
    variables = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"]
    assert sorted(variables) == ["A=file", f"AIRFLOW_TMP_DIR={task.tmp_dir}", "B=environment", "C=private"]
    assert task.environment == {"AIRFLOW_TMP_DIR": task.tmp_dir, "B": "environment", "C": "environment"}


def test_service_in_ones_own_code(stand: Stand) -> None:
    """In your own code, the client of an EcrDockerHook creates services in the same way."""
    client = EcrDockerHook(base_url=stand.engine.url).get_conn()
    with pytest.raises(EcrPullError, match="ImageNotFound"):
        client.create_service(TaskTemplate(ContainerSpec(f"{stand.push('own')}-not")))
    assert client.services() == []
    assert len(stand.aws.token_calls()) == 1
