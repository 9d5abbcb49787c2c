"""The error message for each failure to connect to an engine."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, Connection
from docker.api.client import APIClient
from docker.errors import APIError

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrEngineError, EcrError
from ecr_docker_operator.engine.connection import engine_url
from tests.stand.certificates import Authority
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recording_engine import RecordingEngine

IMAGE = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app:1"
DOWN = "tcp://127.0.0.1:1"
REFUSED = (
    f"{DOWN}: not connected to the Docker engine. Connection refused. "
    "Start the engine there, or set docker_url to where it is."
)
# With a version, DockerHook does not query the engine first, and catches another exception.
VERSIONS = pytest.mark.parametrize("api_version", [None, "1.41"])


def failure(docker_url: str | list[str], **parameters: Any) -> str:
    """Return the error message of a task that cannot connect to an engine."""
    with pytest.raises(EcrEngineError) as caught:
        EcrDockerOperator(task_id="task", image=IMAGE, docker_url=docker_url, **parameters).execute({})
    return str(caught.value)


@VERSIONS
def test_no_socket(api_version: str | None, tmp_path: Path) -> None:
    """If the socket does not exist, no engine is running."""
    url = f"unix://{tmp_path}/docker.sock"
    assert failure(url, api_version=api_version) == (
        f"{url}: not connected to the Docker engine. No such file or directory. "
        "Start the engine there, or set docker_url to where it is."
    )


@VERSIONS
def test_connection_refused(api_version: str | None) -> None:
    """If the connection is refused, no engine is running."""
    assert failure(DOWN, api_version=api_version) == REFUSED


@VERSIONS
def test_no_such_host(api_version: str | None) -> None:
    """An unknown host name fails; the system's message depends on its resolver."""
    url = "tcp://engine.invalid:2375"
    answer = "(Name or service not known|Temporary failure in name resolution|No address associated with hostname)"
    expected = (
        rf"{re.escape(url)}: not connected to the Docker engine\. {answer}\. "
        r"Check the host's name in docker_url, and the worker's DNS\."
    )
    assert re.fullmatch(expected, failure(url, api_version=api_version))


@pytest.mark.slow
@VERSIONS
def test_no_answer(api_version: str | None) -> None:
    """If an engine accepts connections but never answers, the task waits for ``timeout``."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        assert failure(url, api_version=api_version, timeout=1) == (
            f"{url}: not connected to the Docker engine. timed out. "
            "Check that the worker may reach that host and port, for instance in its security groups."
        )


@VERSIONS
def test_engine_refuses(api_version: str | None, engine: RecordingEngine) -> None:
    """The error contains the answer of an engine, or of a proxy in front of it, to the first request."""
    for path in ("/version", "/_ping"):
        engine.answers[path] = (503, {"message": "try the other one"})
    assert failure(engine.url, api_version=api_version) == (
        f"{engine.url}: not connected to the Docker engine. try the other one."
    )


def test_no_tls_at_that_port(engine: RecordingEngine, tmp_path: Path) -> None:
    """TLS to an engine that does not use TLS fails."""
    expected = (
        rf"{engine.url}: not connected to the Docker engine\. (wrong version number|record layer failure)\. "
        r"That port does not use TLS: correct it, or omit tls_ca_cert, tls_client_cert and tls_client_key\."
    )
    assert re.fullmatch(expected, failure(engine.url, **files(Authority(tmp_path), tmp_path)))


@pytest.mark.parametrize(
    "answer",
    [
        "sslv3 alert bad certificate",
        "ssl/tls alert bad certificate",
        "tlsv13 alert certificate required",
        "tlsv1 alert unknown ca",
        "sslv3 alert certificate expired",
    ],
)
def test_words_for_a_refused_certificate(answer: str) -> None:
    """Versions of Go and OpenSSL word the refusal of a client certificate differently."""
    assert str(EcrEngineError.not_connected({DOWN: answer})) == (
        f"{DOWN}: not connected to the Docker engine. {answer}. "
        "The engine did not accept the worker's certificate, or got none: set tls_client_cert, and its key in "
        "tls_client_key, to one that is valid today and signed by an authority of the engine's tlscacert."
    )


def test_second_engine(engine: RecordingEngine, logged: Callable[[str], int]) -> None:
    """If the first engine is down, the second is used, and DockerHook's log shows the reason."""
    hook = EcrDockerHook(base_url=[DOWN, engine.url])
    hook.get_conn()
    assert [asked.path for asked in engine.asked] == ["/version", "/_ping"]
    assert logged(f"Failed to establish connection to Docker host {DOWN}") == 1


def test_every_engine_down() -> None:
    """If all engines are down, the error has the reason for each, and docker-py's last error is the cause."""
    with pytest.raises(EcrEngineError) as caught:
        EcrDockerHook(base_url=[DOWN, "tcp://127.0.0.1:2"]).get_conn()
    assert str(caught.value) == f"{REFUSED} {REFUSED.replace(DOWN, 'tcp://127.0.0.1:2')}"
    assert "Connection refused" in str(caught.value.__cause__)


def test_second_engine_that_dockerhook_does_not_try(engine: RecordingEngine) -> None:
    """With ``api_version``, DockerHook gives up after the first engine, and the error says so."""
    assert failure([DOWN, engine.url], api_version="1.41") == (
        f"{REFUSED} The next URL of docker_url is tried only if api_version is omitted."
    )
    assert engine.asked == []


def test_connection_after_a_failure(engine: RecordingEngine) -> None:
    """A hook that failed to connect can connect later."""
    urls = [DOWN]
    hook = EcrDockerHook(base_url=urls)
    with pytest.raises(EcrEngineError):
        hook.get_conn()
    urls[0] = engine.url
    hook.get_conn()
    assert [asked.path for asked in engine.asked] == ["/version", "/_ping"]


@pytest.mark.parametrize(
    ("connection", "error"),
    [
        ({"host": "registry.example.com", "login": "user"}, APIError),
        ({"login": "user"}, AirflowException),
    ],
    ids=["refused", "no-host"],
)
def test_login_elsewhere(
    connection: dict[str, Any], error: type[Exception], engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed login for another registry is no engine failure, and its error stays the same."""
    engine.answers["/auth"] = (401, {"message": "unauthorized"})
    stored = Connection(conn_id="x", conn_type="docker", password="yesterday", **connection)
    monkeypatch.setenv("AIRFLOW_CONN_REGISTRY", stored.get_uri())
    with pytest.raises(error) as caught:
        EcrDockerHook("registry", base_url=engine.url).get_conn()
    assert not isinstance(caught.value, EcrError)


def files(authority: Authority, directory: Path) -> dict[str, str]:
    """Return the operator's parameters for TLS with a certificate of *authority*."""
    (directory / "ca.pem").write_text(authority.certificate)
    certificate = str(authority.issue_file("worker"))
    return {
        "tls_ca_cert": str(directory / "ca.pem"),
        "tls_client_cert": certificate,
        "tls_client_key": certificate,
    }


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("unix:///run/docker.sock", "unix:///run/docker.sock"),
        ("unix://run/docker.sock", "unix:///run/docker.sock"),
        ("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
        ("https://engine.example:2376", "tcp://engine.example:2376"),
    ],
)
def test_engine_url(base_url: str, url: str) -> None:
    """The error shows the engine's URL in the form of ``docker_url``, whatever docker-py makes of it."""
    assert engine_url(APIClient(base_url=base_url, version="1.41")) == url
