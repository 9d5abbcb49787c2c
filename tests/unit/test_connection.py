"""The error message for each failure to connect to an engine."""

from __future__ import annotations

import copy
import re
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import pytest
from docker.api.client import APIClient
from docker.errors import APIError
from paramiko.ecdsakey import ECDSAKey
from paramiko.server import ServerInterface
from paramiko.ssh_exception import SSHException
from paramiko.transport import Transport

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrEngineError, EcrError
from ecr_docker_operator.compat import AirflowException
from ecr_docker_operator.engine.connection import engine_url
from tests.airflow_names import Connection
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


PAGE = "<!DOCTYPE html><html><head><title>Apache</title></head>It works!</html>"
SHOWN = "such as unix:///run/docker.sock, tcp://host:2376 or ssh://user@host."


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("nonsense", "Invalid bind address format: port is required: nonsense"),
        ("tcp://127.0.0.1:99999", "Port out of range 0-65535"),
        ("tcp://127.0.0.1:http", "Port could not be cast to integer value as 'http'"),
        ("tcp://[::1", "Invalid IPv6 URL"),
        ("ftp://127.0.0.1:1", "Invalid bind address protocol: ftp://127.0.0.1:1"),
        ("fd://", "fd protocol is not implemented"),
        ("npipe://engine", "No connection adapters were found for 'npipe:/version'"),
        ("tcp://a..b:1", "Failed to parse: 'a..b', label empty or too long"),
    ],
)
def test_bad_url(url: str, answer: str, engine: RecordingEngine) -> None:
    """A URL that cannot be one is said with its reason; in a list, the next one is tried."""
    assert failure(url) == f"{url}: not connected to the Docker engine. {answer}. Correct docker_url: {SHOWN}"
    EcrDockerHook(base_url=[url, engine.url]).get_conn()
    assert [asked.path for asked in engine.asked] == ["/version", "/_ping"]


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, PAGE), (404, PAGE), (200, "OK"), (200, {"version": 1}), (200, []), (400, {"code": 1})],
)
def test_something_else_answers(status: int, answer: Any, engine: RecordingEngine) -> None:
    """A server that is no Docker engine is named as such."""
    engine.answers["/version"] = (status, answer)
    assert "<" not in failure(engine.url)
    assert "Something else than a Docker engine answers there." in failure(engine.url)


@pytest.mark.parametrize("urls", [[DOWN], [DOWN, DOWN], ["ssh://127.0.0.1:1", DOWN], ["tcp://127.0.0.1:99999", DOWN]])
@VERSIONS
def test_next_engine(urls: list[str], api_version: str | None, engine: RecordingEngine) -> None:
    """Whatever is wrong with the engines before, the next one is tried, with ``api_version``, too; the task can too."""
    task = EcrDockerOperator(task_id="task", image=IMAGE, docker_url=[*urls, engine.url], api_version=api_version)
    assert task.cli.engine_url == engine.url
    assert task.docker_url == [*urls, engine.url]
    # A copy connects by itself, beginning with the first URL.
    copied = copy.copy(task.hook)
    assert copied.engine_urls == [*urls, engine.url]
    assert copied.get_conn().engine_url == engine.url


def test_tls_beside_a_bad_url(engine: RecordingEngine, tmp_path: Path) -> None:
    """With TLS, DockerHook does not reach the URL behind a bad one, and the error says so."""
    given = files(Authority(tmp_path), tmp_path)
    assert failure(["tcp://127.0.0.1:99999", engine.url], **given).endswith(
        f"Correct docker_url: {SHOWN} The next URL of docker_url was not tried."
    )


class SshServer:
    """An SSH server that asks for a login and accepts none; it ends with the ``with`` block.

    :param banner: whether it speaks SSH at all.
    """

    def __init__(self, *, banner: bool = True) -> None:
        self._banner = banner
        self.key = ECDSAKey.generate()

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                if self._banner:
                    transport = Transport(connection)
                    transport.add_server_key(self.key)
                    with suppress(SSHException, EOFError):
                        transport.start_server(server=ServerInterface())
                else:
                    connection.recv(1024)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide a home directory whose user knows no SSH host."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


@pytest.mark.parametrize("host", ["unknown", "another-key", "login", "no-ssh"])
def test_ssh(host: str, home: Path, engine: RecordingEngine) -> None:
    """Each failure of SSH has its next step; in a list, the next URL is tried."""
    with SshServer(banner=host != "no-ssh") as server:
        known = server.key if host == "login" else ECDSAKey.generate()
        if host in ("another-key", "login"):
            (home / ".ssh" / "known_hosts").write_text(
                f"[127.0.0.1]:{server.port} {known.get_name()} {known.get_base64()}\n"
            )
        url = f"ssh://me@127.0.0.1:{server.port}"
        sentence = failure(url)
        assert EcrDockerHook(base_url=[url, engine.url]).get_conn().engine_url == engine.url
    answer, step = {
        "unknown": ("not found in known_hosts", "Add the host's key to the file known_hosts"),
        "another-key": ("does not match", "The host's key is another one than in ~/.ssh/known_hosts"),
        "login": ("authentication", "Give the worker's user a key that user@host in docker_url accepts"),
        "no-ssh": ("SSH protocol banner", "Check that user@host:port in docker_url is an SSH server."),
    }[host]
    assert sentence.startswith(f"{url}: not connected to the Docker engine. ")
    assert answer in sentence
    assert step in sentence


def test_ssh_refused() -> None:
    """Without a server at that port, SSH is refused."""
    assert failure("ssh://me@127.0.0.1:1") == (
        "ssh://me@127.0.0.1:1: not connected to the Docker engine. Unable to connect to port 1 on 127.0.0.1. "
        "Start the engine there, or set docker_url to where it is."
    )


def test_ssh_without_paramiko() -> None:
    """Without paramiko, the error says what to install."""
    program = f"""
import sys
sys.modules["paramiko"] = None
from ecr_docker_operator import EcrDockerHook
try:
    EcrDockerHook(base_url=["ssh://me@engine.invalid", {DOWN!r}]).get_conn()
except Exception as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == (
        "ssh://me@engine.invalid: not connected to the Docker engine. Install paramiko package to enable ssh:// "
        f"support. Install docker[ssh] where the worker runs. {REFUSED}"
    )


def test_connection_after_a_failure(engine: RecordingEngine) -> None:
    """A hook that failed to connect can connect later."""
    hook = EcrDockerHook(base_url=[DOWN])
    with pytest.raises(EcrEngineError):
        hook.get_conn()
    hook.engine_urls[0] = engine.url
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
