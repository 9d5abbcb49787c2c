"""A remote engine over mutual TLS: what works, and the error message for each failure."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from docker.tls import TLSConfig

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrEngineError, EcrInputError
from tests.stand.certificates import Authority
from tests.stand.images import build

if TYPE_CHECKING:
    from tests.airflow_home import AirflowHome
    from tests.stand import Stand

pytestmark = pytest.mark.stand

DOWN = "tcp://127.0.0.1:1"
REFUSED = (
    f"{DOWN}: not connected to the Docker engine. Connection refused. "
    "Start the engine there, or set docker_url to where it is."
)
NO_CLIENT_CERTIFICATE = (
    "The engine did not accept the worker's certificate, or got none: set tls_client_cert, and its key in "
    "tls_client_key, to one that is valid today and signed by an authority of the engine's tlscacert."
)
UNTRUSTED = (
    "certificate verify failed: unable to get local issuer certificate. Set tls_ca_cert to the certificate of the "
    "authority that signed the engine's, beside tls_client_cert and tls_client_key; where REQUESTS_CA_BUNDLE or "
    "CURL_CA_BUNDLE is set, that file is used instead."
)


@dataclass(frozen=True)
class Worker:
    """A worker without an engine: it has three files, named as the Docker CLI names them."""

    directory: Path

    def enrol(self, authority: Authority, certificate: Path) -> None:
        """Store the engine's authority, and the worker's certificate with its key."""
        (self.directory / "ca.pem").write_text(authority.certificate)
        for name in ("cert.pem", "key.pem"):
            (self.directory / name).write_bytes(certificate.read_bytes())

    @property
    def tls(self) -> dict[str, str]:
        """The operator's TLS parameters with these files."""
        return {
            "tls_ca_cert": str(self.directory / "ca.pem"),
            "tls_client_cert": str(self.directory / "cert.pem"),
            "tls_client_key": str(self.directory / "key.pem"),
        }


@pytest.fixture
def worker(stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """Provide a worker without an engine in its environment, with a certificate that the stand's engine accepts."""
    monkeypatch.delenv("DOCKER_HOST")
    directory = tmp_path / "worker"
    directory.mkdir()
    worker = Worker(directory)
    worker.enrol(stand.engine.authority, stand.engine.authority.issue_file("worker"))
    return worker


@pytest.fixture
def strangers(tmp_path: Path) -> Authority:
    """Provide an authority that nobody trusts."""
    directory = tmp_path / "strangers"
    directory.mkdir()
    return Authority(directory)


def task(image: str, docker_url: str | list[str], tls: dict[str, str], **parameters: Any) -> EcrDockerOperator:
    """Return a task for an engine that shares no disk with the worker."""
    parameters |= {**tls, "docker_url": docker_url, "mount_tmp_dir": False}
    return EcrDockerOperator(task_id="task", image=image, **parameters)


def failure(image: str, docker_url: str | list[str], tls: dict[str, str], **parameters: Any) -> str:
    """Return the error message of a task that cannot connect to an engine."""
    with pytest.raises(EcrEngineError) as caught:
        task(image, docker_url, tls, **parameters).execute({})
    return str(caught.value)


def test_example(stand: Stand, worker: Worker, example_dags: AirflowHome) -> None:
    """Through Airflow, a worker without an engine uses the second of two engines, as the first is down."""
    stand.push("etl", image=build("done"))
    environment = {"ENGINES": f"{DOWN} {stand.engine.remote_url}", "DOCKER_CERT_PATH": str(worker.directory)}
    run = example_dags.run("remote_engine", environment)
    assert run.succeeded, run.log
    assert run.results == {("container", -1): ["started", "done"]}
    assert "started" in run.log
    assert stand.registry.logins()[-1] == f"AWS:{stand.aws.tokens[0].password}"
    assert stand.engine.client.containers(all=True) == []


def test_example_without_aws(
    stand: Stand, worker: Worker, example_dags: AirflowHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an AWS identity, there is no token for the engine to pull with, and the task fails."""
    stand.push("etl")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    environment = {"ENGINES": stand.engine.remote_url, "DOCKER_CERT_PATH": str(worker.directory)}
    run = example_dags.run("remote_engine", environment)
    assert not run.succeeded
    assert "no authorization token for AWS connection 'aws_default' (not found" in run.log
    assert "Unable to locate credentials." in run.log
    assert stand.registry.requests == []


def test_result_from_a_file(stand: Stand, worker: Worker) -> None:
    """The result in a file of the container is retrieved over the same connection."""
    image = stand.push("result", image=build(pickle.dumps({"rows": 3}, protocol=0).decode()))
    parameters = {"command": "true", "retrieve_output": True, "retrieve_output_path": "/image"}
    result: Any = task(image, stand.engine.remote_url, worker.tls, **parameters).execute({})
    assert result == {"rows": 3}


def test_without_tls(stand: Stand, worker: Worker) -> None:
    """Without a client certificate, the worker does not use TLS, and the error says so."""
    image = stand.push()
    expected = (
        f"{stand.engine.remote_url}: not connected to the Docker engine. Client sent an HTTP request to an HTTPS "
        "server. Set tls_ca_cert, tls_client_cert and tls_client_key: TLS is used only with all three."
    )
    only_the_authority = {"tls_ca_cert": worker.tls["tls_ca_cert"]}
    assert failure(image, stand.engine.remote_url, only_the_authority) == expected
    assert failure(image, stand.engine.remote_url, {}, api_version="1.41") == expected


@pytest.mark.parametrize("api_version", [None, "1.41"])
def test_wrong_client_certificate(api_version: str | None, stand: Stand, worker: Worker, strangers: Authority) -> None:
    """The engine refuses a client certificate of an unknown authority, with and without an API version."""
    worker.enrol(stand.engine.authority, strangers.issue_file("worker"))
    failed = failure(stand.push(), stand.engine.remote_url, worker.tls, api_version=api_version)
    assert failed in refusals(stand, "tlsv1 alert unknown ca")


def refusals(stand: Stand, newer: str) -> list[str]:
    """Return what the engine may say of a certificate: newer engines choose the more exact alert *newer*."""
    alerts = ("sslv3 alert bad certificate", newer)
    engine = f"{stand.engine.remote_url}: not connected to the Docker engine."
    return [f"{engine} {alert}. {NO_CLIENT_CERTIFICATE}" for alert in alerts]


def test_no_client_certificate(stand: Stand, worker: Worker) -> None:
    """Your own code can use TLS without a client certificate; the engine refuses that."""
    tls = TLSConfig(ca_cert=worker.tls["tls_ca_cert"], verify=True)
    with pytest.raises(EcrEngineError) as caught:
        EcrDockerHook(base_url=stand.engine.remote_url, tls=tls).get_conn()
    assert str(caught.value) in refusals(stand, "tlsv13 alert certificate required")


def test_untrusted_engine(stand: Stand, worker: Worker, strangers: Authority) -> None:
    """An engine fails if the worker's authority did not sign its certificate."""
    worker.enrol(strangers, stand.engine.authority.issue_file("worker"))
    url = stand.engine.remote_url
    assert failure(stand.push(), url, worker.tls) == f"{url}: not connected to the Docker engine. {UNTRUSTED}"


def test_another_name(stand: Stand, worker: Worker) -> None:
    """The engine's host must match its certificate; ``tls_hostname`` has no effect, as docker-py 7 ignores it."""
    url = stand.engine.remote_url.replace("127.0.0.1", "localhost")
    with pytest.warns(UserWarning, match="assert_hostname"):
        message = failure(stand.push(), url, worker.tls, tls_hostname="127.0.0.1")
    assert message == (
        f"{url}: not connected to the Docker engine. certificate verify failed: Hostname mismatch, certificate is not "
        "valid for 'localhost'. Use a host name in docker_url that is in the engine's certificate; tls_hostname "
        "has no effect."
    )


def test_key_of_another_certificate(stand: Stand, worker: Worker, strangers: Authority) -> None:
    """A key that does not match the certificate fails before anything is sent."""
    (worker.directory / "key.pem").write_bytes(strangers.issue_file("worker").read_bytes())
    url = stand.engine.remote_url
    assert failure(stand.push(), url, worker.tls) == (
        f"{url}: not connected to the Docker engine. key values mismatch. "
        "Check that tls_client_key is the key of the certificate in tls_client_cert."
    )


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem"])
def test_no_certificate_in_the_file(name: str, stand: Stand, worker: Worker) -> None:
    """A file without a certificate fails."""
    (worker.directory / name).write_text("nothing")
    url = stand.engine.remote_url
    answer = "no certificate or crl found" if name == "ca.pem" else "PEM lib"
    assert failure(stand.push(), url, worker.tls) == (
        f"{url}: not connected to the Docker engine. {answer}. "
        "Check that tls_ca_cert, tls_client_cert and tls_client_key are files in PEM format."
    )


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("ca.pem", "Invalid CA certificate provided for `ca_cert`."),
        ("key.pem", "Path to a certificate and key files must be provided through the client_cert param."),
    ],
)
def test_no_such_file(name: str, answer: str, stand: Stand, worker: Worker) -> None:
    """A missing file fails before anything is contacted."""
    (worker.directory / name).unlink()
    with pytest.raises(EcrInputError) as caught:
        task(stand.push(), stand.engine.remote_url, worker.tls).execute({})
    assert str(caught.value) == (
        f"tls_ca_cert, tls_client_cert, tls_client_key: {answer} Check that the worker has files at these paths."
    )


def test_every_engine_down(stand: Stand, worker: Worker, strangers: Authority) -> None:
    """With several engines, the error contains the reason for each."""
    worker.enrol(strangers, stand.engine.authority.issue_file("worker"))
    url = stand.engine.remote_url
    assert failure(stand.push(), [DOWN, url], worker.tls) == (
        f"{REFUSED} {url}: not connected to the Docker engine. {UNTRUSTED}"
    )


_EXECUTE = """
import sys
from ecr_docker_operator import EcrDockerOperator, EcrEngineError
try:
    EcrDockerOperator(task_id="task", image=sys.argv[1]).execute({})
except EcrEngineError as error:
    print("\\n" + str(error))
"""


def test_no_permission_on_the_socket(stand: Stand) -> None:
    """If the worker may not use the engine's socket, the error names the group that it needs."""
    # Root may always use the socket, unless it drops that capability.
    command = ["setpriv", "--bounding-set=-dac_override", sys.executable, "-c", _EXECUTE, stand.push()]
    socket = Path(stand.engine.url.removeprefix("unix://"))
    mode = socket.stat().st_mode
    socket.chmod(0)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        socket.chmod(mode)
    assert done.stdout.splitlines()[-1] == (
        f"{stand.engine.url}: not connected to the Docker engine. Permission denied. "
        "Add the worker's user to the group that owns the socket, usually docker."
    ), done.stderr
