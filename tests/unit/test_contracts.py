"""The behaviour of docker-py, the two providers and boto3 that this package needs; a failure says what changed.

These tests use none of our code, only stand-ins for it.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.docker.decorators.docker import _DockerDecoratedOperator, docker_task
from airflow.providers.docker.hooks.docker import DockerHook
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.providers.docker.operators.docker_swarm import DockerSwarmOperator
from botocore.config import Config
from botocore.exceptions import ClientError, DataNotFoundError, UnknownServiceError
from botocore.loaders import JSONFileLoader, Loader
from docker.api.client import APIClient
from docker.auth import AuthConfig, convert_to_hostname
from docker.errors import APIError, DockerException
from docker.types.services import ContainerSpec, TaskTemplate

from ecr_docker_operator.compat import DAG, AirflowException, XCom
from tests.airflow_names import Connection
from tests.recording_engine import execute
from tests.stand.aws import AwsError
from tests.stand.hosts import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

IMAGE = "registry.example.com/app:1"
LOGIN = {"username": "somebody", "password": "secret", "serveraddress": "registry.example.com"}


class Logins(AuthConfig):
    """Logins that record the requested registries and always return a login."""

    def __init__(self) -> None:
        super().__init__({})  # type: ignore[no-untyped-call]
        self.asked: list[str | None] = []

    @property
    def is_empty(self) -> bool:
        """``False``, like ours."""
        return False

    def resolve_authconfig(self, registry: str | None = None) -> dict[str, str]:
        """Return the login."""
        self.asked.append(registry)
        return LOGIN


def with_logins(engine: RecordingEngine) -> tuple[APIClient, Logins]:
    """Return a client of *engine* and its logins."""
    client = APIClient(base_url=engine.url, version="1.41")
    logins = Logins()
    vars(client)["_auth_configs"] = logins
    return client, logins


def pull(client: APIClient) -> None:
    """Pull."""
    client.pull(IMAGE)


def create_service(client: APIClient) -> None:
    """Create a Swarm service."""
    client.create_service(TaskTemplate(ContainerSpec(IMAGE)))


def inspect_distribution(client: APIClient) -> None:
    """Inspect an image in its registry."""
    client.inspect_distribution(IMAGE)


# DockerOperator and DockerHook


class Reached(Exception):  # noqa: N818 - not an error, but a marker
    """Raised at the point that a test expects to reach."""


def test_execute_reaches_the_engine_through_hook(engine: RecordingEngine) -> None:
    """DockerOperator's execute reads its attribute ``hook`` before it contacts an engine."""

    class Operator(DockerOperator):
        @cached_property
        def hook(self) -> DockerHook:
            raise Reached

    operator = Operator(task_id="operator", image=IMAGE, docker_url=engine.url)
    with pytest.raises(Reached):
        operator.execute({})
    assert engine.asked == [], "DockerOperator contacts the engine before it asks its hook: ours comes too late."


def test_cli_is_the_client_of_the_hook(engine: RecordingEngine) -> None:
    """DockerOperator's ``cli`` is its hook's ``api_client``, and the operator pulls with that client."""
    operator = DockerOperator(task_id="operator", image=IMAGE, docker_url=engine.url, api_version="1.41")
    pulled: list[Any] = []

    def pull_nothing(*args: Any, **kwargs: Any) -> Iterator[dict[str, str]]:
        pulled.append((args, kwargs))
        return iter([{"status": "done"}])

    client = operator.hook.api_client
    client.pull = pull_nothing  # type: ignore[method-assign]
    execute(operator)
    assert operator.cli is client, "DockerOperator.cli is no longer the api_client of its hook."
    assert pulled == [((IMAGE,), {"stream": True, "decode": True})], (
        "DockerOperator no longer pulls by calling pull(image, stream=True, decode=True) on its client."
    )


def test_items_without_id_are_logged_as_they_are(engine: RecordingEngine, logged: Callable[[str], int]) -> None:
    """DockerOperator logs the status of each item without ``id``, even if repeated, inside a group."""
    operator = DockerOperator(task_id="operator", image=IMAGE, docker_url=engine.url, api_version="1.41")
    engine.stream = [{"status": "::group::Pulling"}] * 3
    execute(operator)
    assert logged("::group::Pulling") == 4, "DockerOperator no longer logs each status: our lines may be lost."


@pytest.mark.parametrize("well", [True, False])
def test_group_is_ended_only_after_a_pull_that_went_well(
    well: bool, engine: RecordingEngine, logged: Callable[[str], int]
) -> None:
    """DockerOperator does not end its log group if the pull raises."""
    operator = DockerOperator(task_id="operator", image=IMAGE, docker_url=engine.url, api_version="1.41")
    engine.pull_status = 200 if well else 500
    with pytest.raises(APIError):
        operator.execute({})
    assert logged("::endgroup::") == well, "DockerOperator ends its group itself: ours would be a second end."


def test_operator_gives_its_hook_away_once(engine: RecordingEngine) -> None:
    """DockerOperator's ``hook`` is a cached property, and creates no client."""
    assert isinstance(inspect.getattr_static(DockerOperator, "hook"), cached_property), (
        "DockerOperator.hook is no longer a cached_property, so ours no longer replaces it once and for all."
    )
    hook = DockerOperator(task_id="x", image=IMAGE, docker_url=engine.url).hook
    assert type(hook) is DockerHook, f"DockerOperator's hook is no DockerHook, but {type(hook)}."
    assert not hook.client_created
    assert engine.asked == [], "DockerOperator.hook contacts the engine already."


def test_hook_can_become_another_class() -> None:
    """A DockerHook keeps its attributes when its class is changed to a subclass."""

    class Hook(DockerHook):
        pass

    hook = DockerHook(None, base_url="tcp://127.0.0.1:1")
    before = dict(vars(hook))
    hook.__class__ = Hook
    assert vars(hook) == before, "DockerHook no longer keeps its state in plain attributes."


def test_hook_logs_in_inside_api_client(engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """DockerHook logs in on the first access to ``api_client``, with the current ``docker_conn_id``."""
    connection = Connection(
        conn_id="x", conn_type="docker", host="registry.example.com", login="user", password="of-yesterday"
    )
    monkeypatch.setenv("AIRFLOW_CONN_REGISTRY", connection.get_uri())
    assert isinstance(inspect.getattr_static(DockerHook, "api_client"), cached_property), (
        "DockerHook.api_client is no longer a cached_property."
    )
    hook = DockerHook("registry", base_url=engine.url, version="1.41")
    assert engine.asked == [], "DockerHook contacts the engine before its api_client is asked for."
    assert hook.api_client is hook.get_conn()
    logins = [asked for asked in engine.asked if asked.path == "/auth"]
    assert len(logins) == 1, "DockerHook no longer logs in, once, inside api_client."

    other = DockerHook("registry", base_url=engine.url, version="1.41")
    other.docker_conn_id = None
    assert other.api_client
    logins = [asked for asked in engine.asked if asked.path == "/auth"]
    assert len(logins) == 1, "DockerHook logs in although its docker_conn_id was taken away: ours can't prevent it."


def test_connection_names_its_registry_as_we_read_it(engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection's registry is its host with port, and docker-py's hostname for it is the same."""
    uri = Connection(
        conn_id="x", conn_type="docker", host="h.example", port=5000, login="user", password="of-yesterday"
    ).get_uri()
    monkeypatch.setenv("AIRFLOW_CONN_REGISTRY", uri)
    assert DockerHook("registry", base_url=engine.url, version="1.41").api_client
    (login,) = [asked.body["serveraddress"] for asked in engine.asked if asked.path == "/auth"]
    assert login == "h.example:5000", "DockerHook puts the registry's name together in another way than we do."
    assert convert_to_hostname("https://h.example:5000/v2") == "h.example:5000"


def test_hook_logs_why_it_cannot_connect() -> None:
    """DockerHook passes docker-py's error to ``self.log.error``, once per URL, and nowhere else."""

    class Log:
        def __init__(self) -> None:
            self.given: list[tuple[Any, ...]] = []

        def error(self, *args: Any) -> None:
            self.given.append(args)

    class Hook(DockerHook):
        log: Any = Log()

    hook = Hook(None, base_url=["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"])
    with pytest.raises(AirflowException) as caught:
        _ = hook.api_client
    assert caught.value.__cause__ is None, "DockerHook's error has a cause now: no need to read its log any more."
    errors = [[arg for arg in args if isinstance(arg, DockerException)] for args in hook.log.given]
    assert list(map(len, errors)) == [1, 1], (
        "DockerHook no longer logs docker-py's error for each URL: ours knows none."
    )


def test_swarm_operator_runs_its_service_by_one_method(engine: RecordingEngine) -> None:
    """DockerSwarmOperator's execute returns ``_run_service()``, which reads the attribute environment."""

    class Operator(DockerSwarmOperator):
        def _run_service(self) -> Any:
            self.environment = {"CHANGED": "here"}
            with suppress(AirflowException):
                super()._run_service()
            return "returned"

    engine.answers["/tasks"] = (200, [{"ServiceID": "service", "Status": {"State": "failed"}}])
    operator: Any = Operator(task_id="operator", image=IMAGE, docker_url=engine.url, enable_logging=False)
    assert operator.execute({}) == "returned", "DockerSwarmOperator.execute no longer ends with _run_service."
    (service,) = [asked.body for asked in engine.asked if asked.path == "/services/create"]
    assert service["TaskTemplate"]["ContainerSpec"]["Env"] == ["CHANGED=here"], (
        "DockerSwarmOperator._run_service takes the variables from elsewhere than from the attribute environment."
    )


def test_operators_keep_their_private_variables() -> None:
    """DockerOperator keeps ``private_environment`` in one attribute and parses ``env_file`` in a method."""
    operator = DockerOperator(task_id="operator", image=IMAGE, private_environment={"A": "1"})
    assert operator._private_environment == {"A": "1"}, "DockerOperator keeps private_environment elsewhere."  # noqa: SLF001
    assert operator.unpack_environment_variables("A=1\nB=2") == {"A": "1", "B": "2"}


def test_decorator_builds_upon_a_class_of_its_own() -> None:
    """``docker_task`` creates a ``_DockerDecoratedOperator``, whose execute calls ``get_python_source``."""

    def function() -> None:
        """Do nothing."""

    class Operator(_DockerDecoratedOperator):
        def get_python_source(self) -> str:
            raise Reached

    with DAG("dag", schedule=None):
        made: Any = docker_task(image=IMAGE)(function)()
    assert type(made.operator) is _DockerDecoratedOperator, "docker_task makes another operator than we build upon."
    with pytest.raises(Reached):
        Operator(task_id="operator", python_callable=function, image=IMAGE).execute({})


# Airflow


def test_airflow_asks_for_a_link_or_reads_it() -> None:
    """Airflow 3 gets a link from the task's operator and stores it by its key; Airflow 2 can read that XCom."""
    if version("apache-airflow").startswith("2."):
        assert {"key", "ti_key"} <= set(inspect.signature(XCom.get_value).parameters), "XCom.get_value has changed."
        return
    ends = inspect.getsource(import_module("airflow.sdk.execution_time.task_runner").finalize)
    assert "oe.get_link(operator=task, ti_key=ti), oe.xcom_key" in ends, "Airflow asks for a link in another way."


def test_serialized_operator_has_no_hook() -> None:
    """In a webserver or an API server, an operator has another class, without a hook."""
    with DAG("dag", schedule=None) as dag:
        DockerOperator(task_id="task", image=IMAGE)
    objects = import_module("airflow.serialization.serialized_objects")
    serialization = getattr(objects, "DagSerialization", objects.SerializedDAG)
    task = serialization.from_dict(serialization.to_dict(dag)).get_task("task")
    assert not hasattr(type(task), "hook"), "A serialized operator has a hook: it is taken for a task's own."
    assert hasattr(DockerOperator, "hook"), "DockerOperator has no hook any more: it is taken for a serialized one."


# docker-py


def test_terminal_comes_byte_by_byte(engine: RecordingEngine) -> None:
    """docker-py returns the log of a service with a terminal byte by byte."""
    engine.answers["/services/service/logs"] = (200, b"one\r\ntwo")
    client = APIClient(base_url=engine.url, version="1.41")
    items = list(client.service_logs("service", stdout=True, is_tty=True))
    assert b"".join(items) == b"one\r\ntwo"
    assert {len(item) for item in items} == {1}, "docker-py cuts a terminal's log in another way than we mend."


def test_reload_replaces_the_logins(engine: RecordingEngine) -> None:
    """docker-py's reload_config replaces ``_auth_configs``."""
    client, logins = with_logins(engine)
    client.reload_config()
    assert vars(client)["_auth_configs"] is not logins, "reload_config spares the logins: ours need no putting back."


def test_client_can_become_another_class(engine: RecordingEngine) -> None:
    """A client keeps its attributes, and works, when its class is changed to a subclass."""

    class Client(APIClient):
        def version(self, *args: Any, **kwargs: Any) -> Any:
            return {"ours": super().version(*args, **kwargs)}  # type: ignore[no-untyped-call]

    client = APIClient(base_url=engine.url, version="1.41")
    before = dict(vars(client))
    client.__class__ = Client
    assert vars(client) == before, "docker-py's client no longer keeps its state in plain attributes."
    assert client.version() == {"ours": {"ApiVersion": "1.41"}}


def test_adapter_knows_its_socket(tmp_path: Path) -> None:
    """For a socket, the client's base URL names no engine; its adapter has the path."""
    client = APIClient(base_url=f"unix://{tmp_path}/docker.sock", version="1.41")
    adapter = client.get_adapter(client.base_url)
    assert adapter.socket_path == f"{tmp_path}/docker.sock", "The URL of the engine is to be found elsewhere."


def test_client_keeps_its_logins_in_auth_configs(engine: RecordingEngine) -> None:
    """docker-py's client has ``_auth_configs``, an AuthConfig, and pickles it with itself."""
    assert "_auth_configs" in APIClient.__attrs__, "docker-py's APIClient no longer names _auth_configs as its own."
    client = APIClient(base_url=engine.url, version="1.41")
    assert type(vars(client).get("_auth_configs")) is AuthConfig, "docker-py's client keeps its logins elsewhere."
    assert hasattr(client, "credstore_env"), "docker-py's client no longer has the helpers' environment."


@pytest.mark.parametrize("request_", [pull, create_service, inspect_distribution])
def test_requests_ask_auth_configs(request_: Callable[[APIClient], None], engine: RecordingEngine) -> None:
    """docker-py calls ``_auth_configs.resolve_authconfig(host)`` once per request, and sends the result."""
    client, logins = with_logins(engine)
    with_answer = [asked for asked in _record(request_, client, engine) if asked.login]
    assert logins.asked == ["registry.example.com"], (
        f"docker-py's {request_.__name__} no longer asks _auth_configs.resolve_authconfig(host) once."
    )
    assert [asked.login for asked in with_answer] == [LOGIN], (
        f"docker-py's {request_.__name__} no longer sends that login as X-Registry-Auth."
    )
    assert vars(client)["_auth_configs"] is logins, f"docker-py's {request_.__name__} has replaced the client's logins."


@pytest.mark.parametrize("login", [{"username": "other", "password": "other"}, {}], ids=["other", "none"])
def test_inspection_with_a_given_login(login: dict[str, str], engine: RecordingEngine) -> None:
    """docker-py's ``inspect_distribution`` sends a given login, even an empty one, and resolves none."""
    client, logins = with_logins(engine)
    engine.answers[f"/distribution/{IMAGE}/json"] = (200, {})
    client.inspect_distribution(IMAGE, auth_config=login)
    assert (engine.asked[-1].login, logins.asked) == (login, []), "docker-py's inspect_distribution has changed."


def test_container_requests_ask_for_no_login(engine: RecordingEngine) -> None:
    """docker-py resolves no login if nothing is pulled."""
    client, logins = with_logins(engine)
    client.images(name=IMAGE)
    with pytest.raises(APIError):
        client.create_container(IMAGE)
    assert logins.asked == [], "docker-py asks for logins where nothing is pulled: each would be a token."


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.version(),
        lambda client: list(client.pull(IMAGE, stream=True)),
        lambda client: client.create_container("app:1"),
        lambda client: client.start("container"),
        lambda client: client.create_service(TaskTemplate(ContainerSpec("app:1"))),
    ],
    ids=["get", "pull", "create-container", "start", "create-service"],
)
def test_each_request_goes_through_send(ask: Callable[[APIClient], object], engine: RecordingEngine) -> None:
    """A replacement of the client's ``send`` sends each of its requests."""
    client = APIClient(base_url=engine.url, version="1.41")
    send, sent = client.send, []

    def note(request: Any, **kwargs: Any) -> Any:
        sent.append(request.path_url)
        return send(request, **kwargs)

    client.send = note  # type: ignore[method-assign]
    engine.asked.clear()
    with suppress(APIError):
        ask(client)
    assert [url.partition("?")[0].removeprefix("/v1.41") for url in sent] == [asked.path for asked in engine.asked]
    assert sent


def test_exit_code_is_shown_with_its_reason() -> None:
    """DockerOperator waits with the client's ``wait``, and shows the whole answer if the exit code is not 0."""
    source = inspect.getsource(DockerOperator)
    assert 'self.cli.wait(self.container["Id"])' in source
    assert "Docker container failed: {result!r}" in source


def test_stream_passes_errors_on(engine: RecordingEngine) -> None:
    """docker-py returns an error inside a pull's stream as a decoded item."""
    engine.stream = [{"status": "Pulling"}, {"error": "no", "errorDetail": {"message": "no"}}]
    items = APIClient(base_url=engine.url, version="1.41").pull(IMAGE, stream=True, decode=True)
    assert [item.get("error") for item in items] == [None, "no"], "docker-py treats errors in the stream in a new way."


# The amazon provider


def hook_of(**parameters: Any) -> Any:
    """Return the hook, created as our code does."""
    return AwsBaseHook(**{"client_type": "ecr", **parameters})


def test_aws_hook_merges_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """``config`` is the parameter, else the connection's, else empty; a client uses the config that it gets."""
    assert isinstance(hook_of(aws_conn_id=None).config, Config), "AwsBaseHook.config is no botocore Config."
    extra = '{"config_kwargs": {"read_timeout": 7}, "region_name": "us-west-2"}'
    connection = Connection(conn_id="x", conn_type="aws", extra=extra)
    monkeypatch.setenv("AIRFLOW_CONN_OURS", connection.get_uri())
    stored = hook_of(aws_conn_id="ours")
    assert stored.config.read_timeout == 7, "AwsBaseHook no longer reads config_kwargs of its connection."
    assert stored.region_name == "us-west-2", "AwsBaseHook.region_name is no longer its connection's."
    given = hook_of(aws_conn_id="ours", config={"read_timeout": 9}, region_name=REGION)
    assert given.config.read_timeout == 9, "AwsBaseHook's parameter config no longer beats its connection's."
    assert given.region_name == REGION, "AwsBaseHook's parameter region_name no longer beats its connection's."


def test_aws_hook_asks_sts_as_its_connection_is_configured(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook's session calls AWS STS with ``conn_config.botocore_config``."""
    role = aws.add_role(ACCOUNT, "puller", trusted=next(iter(aws.identities.values())))
    connection = Connection(conn_id="x", conn_type="aws", extra=f'{{"role_arn": "{role}"}}')
    monkeypatch.setenv("AIRFLOW_CONN_OURS", connection.get_uri())
    hook = hook_of(aws_conn_id="ours", region_name=REGION)
    hook.conn_config.botocore_config = Config(retries={"total_max_attempts": 1})
    aws.faults = [AwsError(400, "Throttling", "Rate exceeded")]
    with pytest.raises(ClientError, match="Rate exceeded"):
        hook.get_session().get_credentials().get_frozen_credentials()


def test_aws_hook_tells_its_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint of a service is the connection's for that service, else its general one, else none."""
    extra = '{"endpoint_url": "http://all", "service_config": {"ecr": {"endpoint_url": "http://ecr"}}}'
    monkeypatch.setenv("AIRFLOW_CONN_OURS", Connection(conn_id="x", conn_type="aws", extra=extra).get_uri())
    given = hook_of(aws_conn_id="ours").conn_config
    assert given.get_service_endpoint_url("ecr") == "http://ecr", "service_config no longer names an endpoint."
    assert given.get_service_endpoint_url("ecr-public") == "http://all", "endpoint_url is no longer the general one."
    assert hook_of(aws_conn_id=None).conn_config.get_service_endpoint_url("ecr") is None


def test_aws_hook_without_its_connection_goes_on(aws: Aws) -> None:
    """Without the connection, boto3's own chain is used; ECR returns a list, ECR Public one object."""
    client = hook_of(aws_conn_id="nowhere", region_name=REGION).get_client_type()
    data = client.get_authorization_token()["authorizationData"]
    assert isinstance(data, list), "ECR no longer answers with a list."
    assert data[0]["authorizationToken"]
    public = hook_of(aws_conn_id=None, client_type="ecr-public", region_name="us-east-1").get_client_type()
    answer = public.get_authorization_token()["authorizationData"]
    assert isinstance(answer, dict), "ECR Public no longer answers with one object."
    assert {call.arn for call in aws.token_calls()} == {f"arn:aws:iam::{ACCOUNT}:user/worker"}


# boto3 and botocore


def test_boto3_loads_models_by_a_component() -> None:
    """boto3's session has ``_session``, botocore's, whose ``data_loader`` loads the models for a client."""
    loaded = []

    class Noting(Loader):
        def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
            loaded.append(service_name)
            return super().load_service_model(service_name, type_name, api_version)

    session = boto3.session.Session(region_name=REGION)
    botocore_session = vars(session).get("_session")
    assert botocore_session is not None, "boto3's session keeps botocore's elsewhere: all services are listed again."
    assert type(botocore_session.get_component("data_loader")) is Loader, "botocore has another loader: likewise."
    botocore_session.register_component("data_loader", Noting())  # type: ignore[no-untyped-call]
    session.client("ecr")
    assert set(loaded) == {"ecr"}, "boto3 does not load the models for a client by its data_loader: likewise."


def test_botocores_loader_is_made_of_parts() -> None:
    """A loader with another loader's paths and file loader finds the same models."""
    loader = Loader()
    files = JSONFileLoader()
    again = Loader(extra_search_paths=list(loader.search_paths), file_loader=files, include_default_search_paths=False)
    assert again.search_paths == loader.search_paths
    assert again.file_loader is files
    assert again.list_api_versions("ecr", "service-2") == ["2015-09-21"]
    with pytest.raises(DataNotFoundError):
        again.list_api_versions("ecr", "no-such-kind")


def test_botocores_loader_lists_services() -> None:
    """``load_service_model`` calls ``list_available_services`` to check that the service exists."""

    class Nothing(Loader):
        def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
            return []

    loader = Nothing()  # type: ignore[no-untyped-call]
    with pytest.raises(UnknownServiceError):
        loader.load_service_model("ecr", "service-2")


def _record(request_: Callable[[APIClient], None], client: APIClient, engine: RecordingEngine) -> list[Any]:
    before = len(engine.asked)
    # The recording engine has no image; only the requests matter.
    with suppress(APIError):
        request_(client)
    return engine.asked[before:]
