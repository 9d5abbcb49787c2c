"""DockerOperator's log of a pull, from Amazon ECR and from elsewhere."""

from __future__ import annotations

import gc
import json
from typing import TYPE_CHECKING, Any

import pytest

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrError, EcrInputError
from ecr_docker_operator.compat import DAG
from ecr_docker_operator.engine.progress import log_progress
from tests.recording_engine import execute
from tests.stand.aws import AwsError
from tests.stand.hosts import ACCOUNT
from tests.unit.recorded_pulls import COLD, PODMAN_AGAIN, items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE, IMAGE_BY_DIGEST = f"{HOST}/app:1", f"{HOST}/app@sha256:1"
STREAM = [item for _, item in items(COLD)]
EXPIRED = "denied: Your authorization token has expired. Reauthenticate and try again."


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Provide a function that returns the log, of structlog (Airflow 3) or logging (Airflow 2)."""
    caplog.set_level("INFO")
    return lambda: capsys.readouterr().out + caplog.text


def run(engine: RecordingEngine, image: str = IMAGE, **parameters: Any) -> None:
    """Let a task pull; the engine then refuses to run the container."""
    task = EcrDockerOperator(task_id="task", image=image, docker_url=engine.url, **parameters)
    execute(task)


def test_pull_from_ecr(engine: RecordingEngine, aws: Aws, told: Callable[[], str]) -> None:
    """DockerOperator logs our lines, and none per layer."""
    engine.stream = STREAM
    run(engine)
    log = told()
    assert "6 layers, " in log
    assert "pulled in " in log
    assert "Pull complete" not in log
    assert len(aws.tokens) == 1


@pytest.mark.parametrize(
    ("names", "named"),
    [
        ([IMAGE_BY_DIGEST], True),
        ([IMAGE_BY_DIGEST, f"{HOST}/app@sha256:2"], False),
        ([f"{HOST}/other@sha256:1"], False),
    ],
    ids=["one", "two", "other-repository"],
)
def test_digest_of_podman(
    names: list[str], named: bool, engine: RecordingEngine, aws: Aws, told: Callable[[], str]
) -> None:
    """Podman's stream does not name the digest, so the engine is asked; a digest that is not certain is omitted."""
    engine.stream = [item for _, item in items(PODMAN_AGAIN)]
    engine.answers[f"/images/{IMAGE}/json"] = (200, {"RepoDigests": names})
    run(engine)
    assert ("nothing fetched, sha256:" in told()) is named
    assert len(aws.tokens) == 1


@pytest.mark.parametrize("refused", [False, True], ids=["well", "refused"])
def test_garbage_is_collected_again(refused: bool, engine: RecordingEngine, aws: Aws) -> None:
    """Garbage collection is off during the token call and the start of the pull, and always turned on again."""
    collecting = []
    aws.at_call = lambda: collecting.append(gc.isenabled())
    engine.stream = STREAM
    if refused:
        aws.fault = AwsError(403, "AccessDeniedException", "no")
        with pytest.raises(EcrError, match="no authorization token"):
            EcrDockerOperator(task_id="task", image=IMAGE, docker_url=engine.url).execute({})
    else:
        run(engine)
    assert collecting == [False]
    assert gc.isenabled()


def test_garbage_that_is_not_collected_stays_so(engine: RecordingEngine, aws: Aws) -> None:
    """If garbage collection was off before the pull, it stays off."""
    engine.stream = STREAM
    gc.disable()
    try:
        run(engine)
        collects = gc.isenabled()
    finally:
        gc.enable()
    assert len(aws.tokens) == 1
    assert not collects


def test_pull_from_elsewhere(engine: RecordingEngine, told: Callable[[], str]) -> None:
    """For an image outside Amazon ECR, DockerOperator's log is unchanged."""
    engine.stream = STREAM
    run(engine, "registry.example.com/app:1")
    log = told()
    assert "7a4ff933e8af: Pull complete" in log
    assert "6 layers" not in log


@pytest.mark.parametrize("image", [IMAGE, "registry.example.com/app:1"], ids=["ecr", "other"])
def test_ones_own_code(image: str, engine: RecordingEngine, aws: Aws) -> None:
    """In your own code, a hook's client returns the engine's items."""
    engine.stream = STREAM
    client = EcrDockerHook(base_url=engine.url).get_conn()
    assert list(client.pull(image, stream=True, decode=True)) == STREAM
    assert len(aws.tokens) == (image == IMAGE)


def test_operators_client_in_other_forms(engine: RecordingEngine, aws: Aws) -> None:
    """A task's client returns log lines only in the form that DockerOperator uses."""
    engine.stream = STREAM
    client = EcrDockerOperator(task_id="task", image=IMAGE, docker_url=engine.url).hook.get_conn()
    assert [json.loads(line) for line in client.pull(IMAGE).splitlines()] == STREAM
    assert b"".join(client.pull(IMAGE, stream=True)).count(b"Pull complete") == 6
    assert len(aws.tokens) == 2


def test_second_try_is_the_same_pull(engine: RecordingEngine, aws: Aws, logged: Callable[[str], int]) -> None:
    """A pull that is retried with a new token has one start and one end."""
    engine.stream = STREAM
    engine.once = (200, json.dumps({"errorDetail": {"message": EXPIRED}}))
    run(engine)
    # In the first and in the last line.
    assert logged("3.03 MB") == 2
    assert len(aws.tokens) == 2


@pytest.mark.parametrize("where", ["aws", "status", "stream", "connection"])
def test_group_of_a_pull_that_fails(
    where: str, engine: RecordingEngine, aws: Aws, logged: Callable[[str], int], caplog: pytest.LogCaptureFixture
) -> None:
    """The log group ends if the pull fails, at any point."""
    caplog.set_level("INFO")
    if where == "aws":
        aws.fault = AwsError(400, "AccessDeniedException", "no")
    elif where == "status":
        engine.pull_status, engine.pull_answer = 404, "no such image"
    elif where == "stream":
        engine.stream = [*STREAM[:9], {"errorDetail": {"message": "boom"}}]
    else:
        engine.raw["/images/create"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"
    task = EcrDockerOperator(task_id="task", image=IMAGE, docker_url=engine.url)
    with pytest.raises(EcrError):
        task.execute({})
    assert logged("::endgroup::") == 1


def test_group_of_a_pull_that_goes_well(engine: RecordingEngine, aws: Aws, logged: Callable[[str], int]) -> None:
    """After a successful pull, the group ends once: by DockerOperator."""
    run(engine)
    assert logged("::endgroup::") == len(aws.tokens) == 1


def test_group_of_a_task_whose_time_is_over(logged: Callable[[str], int], caplog: pytest.LogCaptureFixture) -> None:
    """Airflow's timeout is no ``Exception``; the group still ends, and the timeout is passed on."""
    caplog.set_level("INFO")

    def interrupted() -> Iterator[Any]:
        yield from STREAM[:9]
        raise KeyboardInterrupt

    pull = log_progress(interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(pull)
    assert logged("::endgroup::") == 1


def test_pull_that_nobody_reads_on(told: Callable[[], str]) -> None:
    """If the caller stops reading the stream, the group does not end."""
    pull = log_progress(lambda: iter([*STREAM, {"status": "a warning"}]))
    next(pull)
    pull.close()
    assert "::endgroup::" not in told()


def test_full_name(engine: RecordingEngine, aws: Aws, told: Callable[[], str]) -> None:
    """With ``force_pull``, DockerOperator logs the image first, already with its full name."""
    with DAG("dag", schedule=None):
        task = EcrDockerOperator(
            task_id="task",
            image="app:1",
            registry_id=ACCOUNT,
            region_name="eu-west-1",
            force_pull=True,
            docker_url=engine.url,
        )
    task.pre_execute({})
    assert engine.asked == []
    assert aws.calls == []
    execute(task)
    assert f"::group::Pulling docker image {IMAGE}" in told()


def test_what_is_wrong_is_said_by_execute() -> None:
    """Airflow 3 collapses the log before execute, so errors in parameters are raised in execute."""
    with DAG("dag", schedule=None):
        task = EcrDockerOperator(task_id="task", image="{{ '' }}", registry_id=ACCOUNT, region_name="eu-west-1")
    task.image = ""
    task.pre_execute({})
    with pytest.raises(EcrInputError):
        task.execute({})


def test_image_of_another_type_is_said_by_execute() -> None:
    """The same holds for an image that does not render to a string."""
    with DAG("dag", schedule=None):
        task = EcrDockerOperator(task_id="task", image="{{ 1 }}")
    vars(task)["image"] = 1
    task.pre_execute({})
    with pytest.raises(EcrInputError, match=r"^image: expected a name such as .*, got 1\.$"):
        task.execute({})
