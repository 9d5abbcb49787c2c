"""EcrDockerSwarmOperator: both parents' parameters, and the problems that it fixes."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.providers.docker.operators.docker_swarm import DockerSwarmOperator
from docker.types.services import ServiceMode

from ecr_docker_operator import EcrDockerOperator, EcrDockerSwarmOperator, EcrInputError
from ecr_docker_operator.compat import DAG
from ecr_docker_operator.engine.client import _by_line
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = f"{HOST}/app:1"
STAMP = b"2026-11-21T06:23:51.781865846Z "


@pytest.fixture
def swarm(engine: RecordingEngine) -> RecordingEngine:
    """Provide an engine whose services complete at once."""
    engine.answers[f"/distribution/{IMAGE}/json"] = (200, {})
    # Docker provider 4.4 looks at the containers of a service that is complete.
    status = {"State": "complete", "ContainerStatus": {"ContainerID": "container"}}
    engine.answers["/tasks"] = (200, [{"ServiceID": "service", "Status": status}])
    engine.answers["/containers/container/json"] = (200, {"Id": "container"})
    engine.answers["/services/service"] = (200, {"ID": "service"})
    return engine


def create(engine: RecordingEngine, **parameters: Any) -> tuple[EcrDockerSwarmOperator, dict[str, Any]]:
    """Run a task, and return it with the container's specification in its service."""
    given = {"task_id": "task", "image": IMAGE, "docker_url": engine.url, "enable_logging": False, **parameters}
    task = EcrDockerSwarmOperator(**given)
    task.execute({})
    [service] = [asked.body for asked in engine.asked if asked.path == "/services/create"]
    return task, service["TaskTemplate"]["ContainerSpec"]


def test_service(swarm: RecordingEngine, aws: Aws) -> None:
    """The image is checked under its full name, and the service is DockerSwarmOperator's, with our login."""
    task, container = create(swarm, image="app:1", registry_id=ACCOUNT, region_name="eu-west-1", args=["a", "b"])
    assert (task.image, container["Image"], container["Args"]) == (IMAGE, IMAGE, ["a", "b"])
    asked = {asked.path: (asked.login or {}).get("password") for asked in swarm.asked if asked.login}
    assert dict.fromkeys([f"/distribution/{IMAGE}/json", "/services/create"], aws.tokens[0].password) == asked


def test_other_images_are_dockerswarmoperators(swarm: RecordingEngine, aws: Aws) -> None:
    """For an image outside Amazon ECR, the engine gets DockerSwarmOperator's requests."""
    asked = []
    for operator in (EcrDockerSwarmOperator, DockerSwarmOperator):
        operator(task_id="task", image="busybox:1", docker_url=swarm.url, enable_logging=False).execute({})
        asked.append([(request.method, request.path, request.login) for request in swarm.asked])
        swarm.asked.clear()
    assert asked[0] == asked[1]
    assert aws.calls == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"environment": {"A": "1"}}, ["A=1"]),
        ({"private_environment": {"A": "1"}}, ["A=1"]),
        ({"env_file": "A=1\nB=2"}, ["A=1", "B=2"]),
        ({"env_file": "A=1\nB=2", "environment": {"B": "3"}}, ["A=1", "B=3"]),
        ({"environment": {"B": "3"}, "private_environment": {"B": "4"}}, ["B=4"]),
    ],
    ids=["none", "environment", "private", "file", "file-and-environment", "environment-and-private"],
)
def test_environment(given: dict[str, Any], expected: list[str], swarm: RecordingEngine, aws: Aws) -> None:
    """Variables of all three kinds reach the container, in DockerOperator's order; the template is unchanged."""
    task, container = create(swarm, **given)
    own = f"AIRFLOW_TMP_DIR={task.tmp_dir}"
    assert sorted([*expected, own]) == sorted(container["Env"])
    assert task.environment == {**given.get("environment", {}), "AIRFLOW_TMP_DIR": task.tmp_dir}
    assert aws.calls


@pytest.mark.parametrize(
    "cut",
    [lambda text: [text[at : at + 1] for at in range(len(text))], lambda text: text.splitlines(keepends=True)],
    ids=["bytes", "lines"],
)
def test_terminal(cut: Callable[[bytes], list[bytes]]) -> None:
    """A terminal's output is logged line by line, whether docker-py returns bytes or lines."""
    text = STAMP + "fünf\r\n".encode() + STAMP + b"\r\n" + STAMP + b"  unfinished"
    lines = list(_by_line(iter(cut(text))))
    assert lines == [STAMP + "fünf".encode(), STAMP, STAMP + b"  unfinished"]


def test_template_fields_are_both_parents() -> None:
    """All template fields of both parents are kept, without duplicates."""
    ours = EcrDockerSwarmOperator.template_fields
    assert set(ours) == {*DockerSwarmOperator.template_fields, *EcrDockerOperator.template_fields}
    assert len(set(ours)) == len(ours)


def test_parents() -> None:
    """Our operator comes first in the method resolution order, and none of the parents' code is copied."""
    assert EcrDockerSwarmOperator.__mro__[1:4] == (EcrDockerOperator, DockerSwarmOperator, DockerOperator)
    own = {name for name, value in vars(EcrDockerSwarmOperator).items() if inspect.isfunction(value)}
    assert own <= {"__init__", "_validate_retention", "_run_service", "_env_file_variables"}


def test_parameters_of_both_parents() -> None:
    """Parameters of both parents, DockerOperator and BaseOperator work, by name or from default_args."""
    mode = ServiceMode("replicated", 2)
    defaults = {"aws_conn_id": "mine", "service_prefix": "ours", "cpus": 2.0, "retries": 3}
    with DAG("dag", schedule=None, default_args=defaults):
        task = EcrDockerSwarmOperator(
            task_id="task",
            image=IMAGE,
            region_name="eu-west-1",
            mode=mode,
            networks=["n"],
            command="true",
            priority_weight=7,
        )
    assert (task.aws_conn_id, task.service_prefix, task.cpus, task.retries) == ("mine", "ours", 2.0, 3)
    assert (task.region_name, task.mode, task.networks, task.command) == ("eu-west-1", mode, ["n"], "true")
    assert task.priority_weight == 7


def test_expand() -> None:
    """Parameters of both parents can be mapped, and set with partial."""
    with DAG("dag", schedule=None):
        mapped = EcrDockerSwarmOperator.partial(task_id="task", aws_conn_id="mine", service_prefix="ours").expand(
            image=[IMAGE, "public.ecr.aws/x"], args=["a", "b"]
        )
    task = mapped.unmap({"image": IMAGE, "args": "a"})
    assert isinstance(task, EcrDockerSwarmOperator)
    assert (task.image, task.aws_conn_id, task.service_prefix, task.args) == (IMAGE, "mine", "ours", "a")


def test_bad_input_at_parse() -> None:
    """Invalid parameters fail when the DAG is parsed."""
    with pytest.raises(EcrInputError, match="registry_id"):
        EcrDockerSwarmOperator(task_id="task", image=IMAGE, registry_id="1")


def test_unknown_parameter() -> None:
    """An unknown parameter is refused, as usual."""
    # Airflow 2 and 3 raise different classes.
    with pytest.raises(Exception, match="nonsense"):
        EcrDockerSwarmOperator(task_id="task", image=IMAGE, nonsense=1)


def test_retention() -> None:
    """Images on a Swarm's nodes cannot be removed, so the parameter fails at parse time, also from default_args."""
    with pytest.raises(EcrInputError, match=r"^image_retention: the images of a Swarm are on its nodes"):
        EcrDockerSwarmOperator(task_id="task", image=IMAGE, image_retention=timedelta(days=1))
    with DAG("dag", schedule=None, default_args={"image_retention": timedelta(days=1), "aws_conn_id": "mine"}):
        with pytest.raises(EcrInputError, match=r"^image_retention: "):
            EcrDockerSwarmOperator(task_id="one", image=IMAGE)
        task = EcrDockerSwarmOperator(task_id="two", image=IMAGE, image_retention=None)
    assert (task.image_retention, task.aws_conn_id) == (None, "mine")
