"""The link that Airflow shows on a task: when it is stored, where it leads, and how Airflow finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ecr_docker_operator import EcrDockerOperator, EcrDockerSwarmOperator, EcrInputError, EcrPullError, ecr_docker_task
from ecr_docker_operator.compat import DAG
from ecr_docker_operator.link import EcrImageLink
from ecr_docker_operator.provider_info import get_provider_info
from tests.recording_engine import execute
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

IMAGE = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/team/app:1"
PAGE = f"https://eu-west-1.console.aws.amazon.com/ecr/repositories/private/{ACCOUNT}/team/app"
KEY = "_link_EcrImageLink"


class TaskInstance:
    """The part of Airflow's TaskInstance that a link needs; with *error*, storing fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.stored: dict[str, Any] = {}
        self._error = error

    def xcom_push(self, key: str, value: Any) -> None:
        """Store an XCom."""
        if self._error:
            raise self._error
        self.stored[key] = value


def operator(**parameters: Any) -> EcrDockerOperator:
    """Return an operator."""
    with DAG("dag", schedule=None):
        return EcrDockerOperator(**{"task_id": "task", "image": IMAGE, "mount_tmp_dir": False, **parameters})


def stored(task: Any) -> dict[str, Any]:
    """Return the XComs that are stored before a task runs."""
    instance = TaskInstance()
    task.pre_execute({"ti": instance})
    return instance.stored


def link(task: Any) -> str:
    """Return the link that Airflow 3 gets when a task has ended."""
    [only] = task.operator_extra_links
    return str(only.get_link(task, ti_key=TaskInstance()))


def service() -> Any:
    """Return a service operator."""
    with DAG("dag", schedule=None):
        return EcrDockerSwarmOperator(task_id="task", image=IMAGE)


def function() -> Any:
    """Return a function operator."""

    @ecr_docker_task(image=IMAGE)
    def nothing() -> None: ...

    with DAG("dag", schedule=None):
        made: Any = nothing()
    return made.operator


def mapped() -> Any:
    """Return an operator created by mapping."""
    with DAG("dag", schedule=None):
        many = EcrDockerOperator.partial(task_id="task").expand(image=[IMAGE])
    return many.unmap({"image": IMAGE})


@pytest.mark.parametrize("make", [operator, service, function, mapped])
def test_link(make: Callable[[], Any]) -> None:
    """The link is stored before the task runs, and Airflow 3 gets the same link afterwards."""
    assert stored(make()) == {KEY: PAGE}
    assert link(make()) == PAGE


def test_name() -> None:
    """The link has a clear name, and is stored where Airflow 3 looks for it."""
    [only] = operator().operator_extra_links
    assert (only.name, only.xcom_key) == ("Amazon ECR image", KEY)


@pytest.mark.parametrize(
    "parameters",
    [
        {"image": "report:1", "registry_id": OTHER_ACCOUNT},
        {"image": "report:1", "registry_id": OTHER_ACCOUNT, "region_name": "us-west-2"},
        {
            "image": "registry.example.com/report:1",
            "registry_host": "registry.example.com",
            "registry_id": OTHER_ACCOUNT,
            "region_name": "us-west-2",
        },
        {"image": f"{OTHER_ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/report:1"},
    ],
)
def test_rendered(parameters: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The link uses the rendered image, wherever its account and region are set."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    page = f"https://us-west-2.console.aws.amazon.com/ecr/repositories/private/{OTHER_ACCOUNT}/report"
    for ask, answer in ((stored, {KEY: page}), (link, page)):
        task = operator(**{name: f"{{{{ params.{name} }}}}" for name in parameters})
        task.render_template_fields({"params": parameters})
        assert ask(task) == answer


@pytest.mark.parametrize("image", ["busybox", "registry.example.com/app:1"])
def test_other_registries(image: str) -> None:
    """An image that is not in Amazon ECR has no link."""
    assert stored(operator(image=image)) == {}
    assert link(operator(image=image)) == ""


def test_no_console() -> None:
    """If AWS publishes no console for a partition, an image there has no link."""
    image = f"{ACCOUNT}.dkr.ecr.us-iso-east-1.c2s.ic.gov/app:1"
    assert stored(operator(image=image)) == {}
    assert link(operator(image=image)) == ""


def test_failed_task(engine: RecordingEngine, aws: Aws) -> None:
    """A failed task has a link, too."""
    engine.stream = [{"error": "manifest unknown"}]
    task = operator(docker_url=engine.url)
    with pytest.raises(EcrPullError):
        task.execute({})
    assert link(task) == PAGE
    assert aws.token_calls()


def test_nothing_is_contacted(engine: RecordingEngine, aws: Aws) -> None:
    """A link contacts neither the engine nor AWS."""
    task = operator(docker_url=engine.url)
    assert stored(task)
    assert link(task)
    assert engine.asked == []
    assert aws.calls == []


def test_bad_input_is_said_by_execute(engine: RecordingEngine) -> None:
    """Parameters that name no registry cause no link; the error is raised when the task runs, not before."""
    task = operator(image="app:1", registry_id=ACCOUNT, docker_url=engine.url)
    assert stored(task) == {}
    with pytest.raises(EcrInputError, match=r"^region_name: the region of the image"):
        task.execute({})
    assert link(task) == ""


def test_link_that_cannot_be_stored(engine: RecordingEngine, aws: Aws, logged: Callable[[str], int]) -> None:
    """A link that cannot be stored does not fail the task; the log says so."""
    task = operator(docker_url=engine.url)
    context: Any = {"ti": TaskInstance(ConnectionError("no database"))}
    task.pre_execute(context)
    assert logged("its link is not stored: ConnectionError('no database')") == 1
    execute(task)
    assert aws.token_calls()


def test_airflow_2_may_use_the_link() -> None:
    """The link class is registered; otherwise Airflow 2 drops it from a serialized DAG."""
    assert get_provider_info()["extra-links"] == [f"{EcrImageLink.__module__}.{EcrImageLink.__name__}"]
