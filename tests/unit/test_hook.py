"""EcrDockerHook on its own, and its handling of Docker connections."""

from __future__ import annotations

import base64
import inspect
import json
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.docker.hooks.docker import DockerHook
from docker.auth import encode_header

from ecr_docker_operator import EcrDockerHook, EcrEngineError, EcrInputError, EcrKilledError
from ecr_docker_operator.compat import AirflowException
from ecr_docker_operator.engine.connection import EngineUrls
from tests.airflow_names import Connection
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = f"{HOST}/app:1"
WARNING = "holds a login for Amazon ECR. It is not used"


def connect(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> str:
    """Store a Docker connection with an old password, and return its id."""
    connection = Connection(conn_id="x", conn_type="docker", login="AWS", password="yesterday", **fields)
    monkeypatch.setenv("AIRFLOW_CONN_REGISTRY", connection.get_uri())
    return "registry"


def logins(engine: RecordingEngine) -> list[str]:
    """Return the registries of the login requests to the engine."""
    return [asked.body["serveraddress"] for asked in engine.asked if asked.path == "/auth"]


def test_pull_in_ones_own_code(engine: RecordingEngine, aws: Aws) -> None:
    """In your own code, the hook's client pulls with a new token; no connection is needed."""
    client = EcrDockerHook(base_url=engine.url).get_conn()
    client.pull(f"{HOST}/app:1")
    client.pull(f"{HOST}/app:1")
    assert [token.password for token in aws.tokens] == engine.passwords()
    assert len(set(engine.passwords())) == 2
    assert logins(engine) == []


def test_reloaded_configuration(
    engine: RecordingEngine, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reloading the worker's logins adds new ones, but Amazon ECR's hosts keep our tokens, also for a service."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    client = EcrDockerHook(base_url=engine.url).get_conn()
    auth = base64.b64encode(b"AWS:other").decode()
    config = {"auths": {"registry.example.com": {"auth": auth}, HOST: {"auth": auth}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    client.reload_config()
    client.reload_config(str(tmp_path / "config.json"))
    client.pull("registry.example.com/app:1")
    client.pull(f"{HOST}/app:1")
    engine.answers[f"/distribution/{HOST}/app:1/json"] = (200, {})
    client.create_service({"ContainerSpec": {"Image": f"{HOST}/app:1"}})
    assert engine.passwords() == ["other", aws.tokens[0].password]
    assert len(aws.tokens) == 2


@pytest.mark.parametrize(
    "host",
    [HOST, f"https://{HOST}", f"{HOST}/", f"https://{HOST}/v2", f"{HOST}:443", "public.ecr.aws"],
)
def test_left_over_connection(
    host: str, engine: RecordingEngine, aws: Aws, monkeypatch: pytest.MonkeyPatch, logged: Callable[[str], int]
) -> None:
    """A connection for Amazon ECR is not used to log in; one warning says that it can be deleted."""
    hook = EcrDockerHook(connect(monkeypatch, host=host), base_url=engine.url)
    hook.get_conn().pull(f"{HOST}/app:1")
    hook.get_conn().pull(f"{HOST}/app:1")
    assert logins(engine) == []
    assert [token.password for token in aws.tokens] == engine.passwords()
    assert logged(WARNING) == 1


def test_connection_for_another_registry(
    engine: RecordingEngine, aws: Aws, monkeypatch: pytest.MonkeyPatch, logged: Callable[[str], int]
) -> None:
    """A connection for another registry is used to log in there, as with DockerHook."""
    client = EcrDockerHook(connect(monkeypatch, host="registry.example.com", port=5000), base_url=engine.url).get_conn()
    client.pull("registry.example.com:5000/app:1")
    client.pull(f"{HOST}/app:1")
    assert logins(engine) == ["registry.example.com:5000"]
    assert engine.passwords() == ["yesterday", aws.tokens[0].password]
    assert logged(WARNING) == 0


def test_look_alike_connection(engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection for a host that only looks like Amazon ECR's belongs to another registry."""
    EcrDockerHook(connect(monkeypatch, host=f"{HOST}.example.com"), base_url=engine.url).get_conn()
    assert logins(engine) == [f"{HOST}.example.com"]


def test_alias(engine: RecordingEngine, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alias gets tokens of its registry; a connection for the alias is ignored."""
    conn_id = connect(monkeypatch, host="registry.example.com", port=5000)
    host = "registry.example.com:5000"
    hook = EcrDockerHook(conn_id, base_url=engine.url, registry_host=host, registry_id=ACCOUNT, region_name="us-west-2")
    hook.get_conn().pull(f"{host}/app:1")
    assert logins(engine) == []
    assert [token.password for token in aws.tokens] == engine.passwords()
    assert [call.region for call in aws.calls] == ["us-west-2"]


@pytest.mark.parametrize(
    "alias",
    [
        {"registry_host": "localhost:5000"},
        {"registry_id": ACCOUNT},
        {"registry_host": "localhost:5000", "registry_id": ACCOUNT},
        {"registry_host": "localhost:5000", "registry_id": "1", "region_name": "eu-west-1"},
        {"registry_host": "localhost:5000", "registry_id": ACCOUNT, "region_name": "nowhere"},
        {"registry_host": "localhost:5000/team", "registry_id": ACCOUNT, "region_name": "us-west-2"},
        {"registry_host": "https://localhost:5000", "registry_id": ACCOUNT, "region_name": "us-west-2"},
        {"registry_host": HOST, "registry_id": ACCOUNT, "region_name": "us-west-2"},
        {"region_name": "eu-west-1"},
    ],
)
def test_alias_of_nothing(alias: dict[str, Any]) -> None:
    """An alias needs a valid account and a valid region."""
    with pytest.raises(EcrInputError):
        EcrDockerHook(base_url="tcp://127.0.0.1:1", **alias)


def test_parameters_are_dockerhooks() -> None:
    """DockerHook's parameters work by position and by name."""
    ours = EcrDockerHook(None, "tcp://127.0.0.1:1", "1.41", False, 7)
    names = list(inspect.signature(DockerHook.__init__).parameters)[1:]
    values: dict[str, Any] = dict(zip(names, [None, "tcp://127.0.0.1:1", "1.41", False, 7], strict=True))
    by_name, theirs = EcrDockerHook(**values), DockerHook(**values)
    assert vars(ours) == vars(by_name)
    assert vars(theirs).items() <= vars(ours).items()


def test_no_engine_url() -> None:
    """Like DockerHook, it requires the engine's URL."""
    with pytest.raises(AirflowException, match="URL to the Docker server not provided"):
        EcrDockerHook()


def test_converted_hook(engine: RecordingEngine) -> None:
    """A converted hook reaches the same engine in the same way as before."""
    hook = DockerHook(None, engine.url, "1.41", timeout=7)
    identity = EcrDockerHook(base_url=engine.url).identity
    ours = EcrDockerHook.from_docker_hook(hook, identity=identity, engine_urls=EngineUrls([engine.url]))
    assert isinstance(ours, EcrDockerHook)
    assert ours.get_conn().timeout == 7
    assert ours.client_created
    assert ours.engine_url == engine.url


def test_converted_hook_keeps_its_overrides(engine: RecordingEngine) -> None:
    """A converted hook keeps the overrides of its class; our own hook is left unchanged."""

    class Hook(DockerHook):
        def get_conn(self) -> Any:
            return [super().get_conn()]

    identity = EcrDockerHook(base_url=engine.url).identity
    ours: Any = EcrDockerHook.from_docker_hook(
        Hook(None, engine.url), identity=identity, engine_urls=EngineUrls([engine.url])
    )
    assert isinstance(ours, Hook)
    assert isinstance(ours, EcrDockerHook)
    [client] = Hook.get_conn(ours)
    assert client is ours.api_client
    assert type(ours).__name__ == "Hook"
    again = EcrDockerHook.from_docker_hook(ours, identity=identity, engine_urls=EngineUrls([engine.url]))
    assert type(again) is type(ours)


def test_pickle(engine: RecordingEngine, aws: Aws) -> None:
    """A hook that has pulled can be pickled without a token, and the copy pulls with a new one."""
    hook = EcrDockerHook(base_url=engine.url)
    hook.get_conn().pull(f"{HOST}/app:1")
    content = pickle.dumps(hook)
    assert aws.tokens[0].password.encode() not in content
    pickle.loads(content).get_conn().pull(f"{HOST}/app:2")  # noqa: S301
    assert [token.password for token in aws.tokens] == engine.passwords()


@pytest.mark.parametrize(
    "beginning", [b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"], ids=["nothing", "part"]
)
@pytest.mark.parametrize("how", [{}, {"stream": True, "decode": True}], ids=["text", "items"])
def test_engine_that_hangs_up(engine: RecordingEngine, aws: Aws, beginning: bytes, how: dict[str, bool]) -> None:
    """If an engine goes away during a pull, the error says so, and no frame in its chain has the token."""
    engine.raw["/images/create"] = beginning
    client = EcrDockerHook(base_url=engine.url, aws_conn_id=None).get_conn()
    with pytest.raises(
        EcrEngineError, match=f"^{IMAGE}: not pulled. {engine.url}: the connection .* was lost"
    ) as caught:
        list(client.pull(IMAGE, **how))
    header = encode_header({"username": "AWS", "password": aws.tokens[0].password, "serveraddress": HOST}).decode()
    errors: list[BaseException] = [caught.value]
    for error in errors:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            assert frame.f_code.co_filename == __file__ or header not in repr(frame.f_locals), frame
        errors += [before for before in (error.__cause__, error.__context__) if before]
    assert len(errors) > 2


def container(engine: RecordingEngine) -> EcrDockerHook:
    """Return a hook of an engine that creates and starts a container."""
    engine.answers |= {"/containers/create": (201, {"Id": "c"}), "/containers/c/start": (204, "")}
    return EcrDockerHook(base_url=engine.url)


@pytest.mark.parametrize("connected", [True, False])
def test_kill_before_the_container(connected: bool, engine: RecordingEngine) -> None:
    """After a kill, the next container is not created, and the one after that is."""
    hook = container(engine)
    if connected:
        hook.get_conn().images(IMAGE)
    hook.start_nothing()
    with pytest.raises(EcrKilledError):
        hook.get_conn().create_container(IMAGE)
    assert hook.get_conn().create_container(IMAGE)["Id"] == "c"


def test_kill_between_create_and_start(engine: RecordingEngine) -> None:
    """A container that is created when the kill comes is not started."""
    hook = container(engine)
    hook.get_conn().create_container(IMAGE)
    hook.start_nothing()
    with pytest.raises(EcrKilledError):
        hook.get_conn().start("c")


@pytest.mark.parametrize("look", ["images", "pull"])
def test_kill_after_the_start(look: str, engine: RecordingEngine, aws: Aws) -> None:
    """Killing a started container does not block the next one; a kill after the next image look-up does."""
    hook = container(engine)
    client = hook.get_conn()
    for _ in range(2):
        getattr(client, look)(IMAGE)
        client.create_container(IMAGE)
        client.start("c")
        hook.start_nothing()
    getattr(client, look)(IMAGE)
    hook.start_nothing()
    with pytest.raises(EcrKilledError):
        client.create_container(IMAGE)
    assert bool(aws.tokens) is (look == "pull")
