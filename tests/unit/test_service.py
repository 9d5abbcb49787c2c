"""A Swarm service's image is checked in the registry before the service is created, with the service's login."""

from __future__ import annotations

import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError, DockerException

from ecr_docker_operator import EcrDockerHook, EcrPullError, EcrTokenError
from tests.stand.aws import AwsError
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from docker.api.client import APIClient

    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = f"{HOST}/app:1"
SERVICE = {"ContainerSpec": {"Image": IMAGE}}
ASKED, CREATED = f"/distribution/{IMAGE}/json", "/services/create"


def connect(engine: RecordingEngine, **parameters: Any) -> APIClient:
    """Return a client of *engine*, by our hook."""
    engine.answers.setdefault(ASKED, (200, {"Descriptor": {}}))
    return EcrDockerHook(base_url=engine.url, **parameters).get_conn()


def sent(engine: RecordingEngine) -> list[tuple[str, str | None]]:
    """Return the paths of requests about services and images, each with its password."""
    asked = [asked for asked in engine.asked if asked.path.startswith(("/distribution", "/services"))]
    return [(asked.path, (asked.login or {}).get("password")) for asked in asked]


def test_one_token_for_one_service(engine: RecordingEngine, aws: Aws) -> None:
    """The check of the image and the service use the same login; the next service gets a new one."""
    client = connect(engine)
    assert client.create_service(SERVICE, name="first") == {"ID": "service"}
    client.create_service(task_template=SERVICE)
    first, second = (token.password for token in aws.tokens)
    assert sent(engine) == [(ASKED, first), (CREATED, first), (ASKED, second), (CREATED, second)]
    assert engine.asked[-1].body["TaskTemplate"] == SERVICE


def test_nothing_is_held_afterwards(engine: RecordingEngine, aws: Aws) -> None:
    """A pull after a service, successful or not, gets a new token."""
    client = connect(engine)
    client.create_service(SERVICE)
    client.pull(IMAGE)
    engine.answers[ASKED] = (404, {"message": "manifest unknown"})
    with pytest.raises(EcrPullError):
        client.create_service(SERVICE)
    client.pull(IMAGE)
    assert len({token.password for token in aws.tokens}) == 4
    assert engine.passwords() == [aws.tokens[1].password, aws.tokens[3].password]


def test_services_side_by_side(engine: RecordingEngine, aws: Aws) -> None:
    """Threads that share a client share no login."""
    client = connect(engine)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client.create_service, [SERVICE] * 8))
    for path in (ASKED, CREATED):
        passwords = [password for where, password in sent(engine) if where == path]
        assert sorted(token.password for token in aws.tokens) == sorted(map(str, passwords))


@pytest.mark.parametrize("status", [401, 403, 404, 429])
def test_refused(status: int, engine: RecordingEngine, aws: Aws) -> None:
    """If the registry refuses, the task fails with its reason, no service is created, and the error has no token."""
    engine.answers[ASKED] = (status, {"message": "what the registry said"})
    with pytest.raises(EcrPullError, match=rf"^{IMAGE}: not pulled from .+ what the registry said\.") as caught:
        connect(engine).create_service(SERVICE)
    [token] = aws.tokens
    assert sent(engine) == [(ASKED, token.password)]
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert token.password not in "".join(told.format())


def test_expired_on_its_way(engine: RecordingEngine, aws: Aws) -> None:
    """If the registry reports an expired token, one new token is tried at once."""

    class Once(dict[str, Any]):
        def get(self, path: str, default: Any = None) -> Any:
            if path == ASKED and len(aws.tokens) == 1:
                return 403, {"message": "denied: Your authorization token has expired. Reauthenticate and try again."}
            return super().get(path, default)

    engine.answers = Once(engine.answers)
    connect(engine).create_service(SERVICE)
    first, second = (token.password for token in aws.tokens)
    assert sent(engine) == [(ASKED, first), (ASKED, second), (CREATED, second)]


def test_registry_that_the_manager_cannot_reach(
    engine: RecordingEngine, aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    """If the manager cannot reach the registry, the service is created with a warning: the nodes may reach it."""
    engine.answers[ASKED] = (500, {"message": "dial tcp: i/o timeout"})
    connect(engine).create_service(SERVICE)
    password = aws.tokens[0].password
    assert sent(engine) == [(ASKED, password), (CREATED, password)]
    assert f"{IMAGE}: its registry could not be asked before the service is created" in caplog.text
    assert "dial tcp: i/o timeout" in caplog.text


def test_api_version_without_the_question(engine: RecordingEngine, aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    """With an API version without this request, the service is created without the check."""
    connect(engine, version="1.29").create_service(SERVICE)
    assert sent(engine) == [(CREATED, aws.tokens[0].password)]
    assert "its registry could not be asked" in caplog.text


def test_no_token(engine: RecordingEngine, aws: Aws) -> None:
    """Without a token, the error names the image, and the engine gets no request."""
    aws.fault = AwsError(400, "AccessDeniedException", "no")
    with pytest.raises(EcrTokenError, match=rf"^{IMAGE}: not pulled\."):
        connect(engine).create_service(SERVICE)
    assert sent(engine) == []


def test_service_that_cannot_be_created(engine: RecordingEngine, aws: Aws) -> None:
    """An error of the service itself is docker-py's, and has no token either."""
    engine.answers[CREATED] = (503, {"message": "This node is not a swarm manager."})
    with pytest.raises(APIError, match="This node is not a swarm manager") as caught:
        connect(engine).create_service(SERVICE)
    response: Any = caught.value.response
    assert "X-Registry-Auth" not in response.request.headers
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert aws.tokens[0].password not in "".join(told.format())


@pytest.mark.parametrize("image", ["busybox:1", "registry.example.com/app:1", f"{HOST}.example.com/app:1"])
def test_other_registries_are_left_alone(image: str, engine: RecordingEngine, aws: Aws) -> None:
    """An image outside Amazon ECR is not checked."""
    connect(engine).create_service({"ContainerSpec": {"Image": image}})
    assert sent(engine) == [(CREATED, None)]
    assert aws.calls == []


@pytest.mark.parametrize("template", [{}, {"ContainerSpec": None}, {"ContainerSpec": {}}])
def test_service_without_an_image(template: dict[str, Any], engine: RecordingEngine) -> None:
    """A service that docker-py refuses is still refused."""
    with pytest.raises((DockerException, AttributeError)):
        connect(engine).create_service(template)


def test_alias(engine: RecordingEngine, aws: Aws) -> None:
    """An alias is checked as its registry."""
    alias = {"registry_host": "localhost:5000", "registry_id": ACCOUNT, "region_name": "us-west-2"}
    engine.answers["/distribution/localhost:5000/app:1/json"] = (200, {})
    connect(engine, **alias).create_service({"ContainerSpec": {"Image": "localhost:5000/app:1"}})
    assert [password for _, password in sent(engine)] == [aws.tokens[0].password] * 2
    assert [call.region for call in aws.calls] == ["us-west-2"]


def test_public_image_without_aws(engine: RecordingEngine, aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    """If AWS gives no public token, both requests are anonymous, and AWS is called once."""
    engine.answers["/distribution/public.ecr.aws/x/app:1/json"] = (200, {})
    aws.fault = AwsError(400, "AccessDeniedException", "no")
    connect(engine).create_service({"ContainerSpec": {"Image": "public.ecr.aws/x/app:1"}})
    assert [password for _, password in sent(engine)] == [None, None]
    assert caplog.text.count("Going on without a login") == 1
