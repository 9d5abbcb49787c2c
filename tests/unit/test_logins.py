"""The ``X-Registry-Auth`` that reaches the engine, whatever logins the worker has."""

from __future__ import annotations

import base64
import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from docker.api.client import APIClient
from docker.errors import DockerException

from ecr_docker_operator import EcrDockerHook, EcrInputError, EcrUpstreamError
from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.ecr.registry import EcrRegistry
from ecr_docker_operator.engine.client import EcrClient
from ecr_docker_operator.engine.logins import EcrAuthConfig
from tests.stand.aws import AwsError
from tests.stand.hosts import ACCOUNT
from tests.unit.test_registry import LOOK_ALIKES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
OTHER = "registry.example.com"
IDENTITY = AwsIdentity(None)


def login(password: str) -> dict[str, str]:
    """Return an entry of ``auths`` in Docker's ``config.json``."""
    return {"auth": base64.b64encode(f"AWS:{password}".encode()).decode()}


STALE = {
    "no-config": {},
    "auths": {"auths": {HOST: login("stale"), OTHER: login("other")}},
    "auths-with-scheme": {"auths": {f"https://{HOST}": login("stale"), OTHER: login("other")}},
    "credsStore": {"credsStore": "stale"},
    "credHelpers": {"credHelpers": {HOST: "stale", OTHER: "stale"}},
    "credsStore-not-installed": {"credsStore": "not-installed"},
    "credHelpers-not-installed": {"credHelpers": {HOST: "not-installed"}, "auths": {OTHER: login("other")}},
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide the path of the worker's ``config.json``, and a credential helper that returns stale logins."""
    helper = tmp_path / "docker-credential-stale"
    helper.write_text('#!/bin/sh\nprintf \'{"ServerURL": "any", "Username": "AWS", "Secret": "stale"}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def connect(engine: RecordingEngine, *, alias: EcrRegistry | None = None, ecr: bool = True) -> APIClient:
    """Return a client of *engine*, with our logins if *ecr*."""
    client = APIClient(base_url=engine.url, version="1.41")
    if ecr:
        return EcrClient.from_api_client(client, identity=IDENTITY, alias=alias)
    return client


@pytest.mark.parametrize("content", STALE.values(), ids=STALE)
def test_fresh_token_beats_the_workers_logins(
    content: dict[str, Any], config: Path, engine: RecordingEngine, aws: Aws
) -> None:
    """Each pull has a new token for exactly its host, whatever logins the worker has for it."""
    config.write_text(json.dumps(content))
    client = connect(engine)
    client.pull(f"{HOST}/app:1")
    client.pull(f"{HOST}/app:2")
    assert [token.password for token in aws.tokens] == engine.passwords()
    assert len(set(engine.passwords())) == 2
    assert [asked.login for asked in engine.pulls()] == [
        {"username": "AWS", "password": password, "serveraddress": HOST} for password in engine.passwords()
    ]


# docker-py warns about a helper that is not installed, with and without our logins.
@pytest.mark.filterwarnings("ignore:docker-credential-not-installed not installed:UserWarning")
@pytest.mark.parametrize("content", STALE.values(), ids=STALE)
@pytest.mark.parametrize("image", [f"{OTHER}/app:1", "busybox:1", "quay.io/app:1"])
def test_other_registries_resolve_as_before(
    content: dict[str, Any], image: str, config: Path, engine: RecordingEngine, aws: Aws
) -> None:
    """For every other registry, plain docker-py and our client send the same login or fail in the same way."""
    config.write_text(json.dumps(content))
    outcomes = []
    for ecr in (False, True):
        try:
            connect(engine, ecr=ecr).pull(image)
        except DockerException as error:
            outcomes.append(str(error))
        else:
            outcomes.append(str(engine.pulls()[-1].login))
    assert outcomes[0] == outcomes[1]
    assert aws.calls == []


UNREADABLE = {
    "auth-is-empty": {"auths": {OTHER: {"auth": ""}}},
    "auth-has-no-password": {"auths": {HOST: {"auth": "QVdT"}}},
    "auth-is-not-base64": {"auths": {HOST: {"auth": "A"}}},
    "auth-is-null": {"auths": {OTHER: {"auth": None}}},
    "auth-is-no-text": {"auths": {OTHER: {"auth": "//8="}}},
    "entry-is-text": {"auths": {HOST: "AWS:token"}},
    "auths-is-text": {"auths": "none"},
    "proxies-is-text": {"proxies": "http://proxy"},
    "a-list": [1],
}


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("api_version", ["auto", "1.41"])
def test_unreadable_config(
    content: Any, api_version: str, config: Path, engine: RecordingEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of the worker's that docker-py cannot read hinders no image in Amazon ECR, and a warning names it."""
    config.write_text(json.dumps(content))
    before = dict(os.environ)
    client = EcrDockerHook(base_url=engine.url, version=api_version, aws_conn_id=None).get_conn()
    client.pull(f"{HOST}/app:1")
    assert (engine.pulls()[0].login or {})["username"] == "AWS"
    assert os.environ == before
    [warning] = [r.getMessage() for r in caplog.records if r.levelname in ("WARNING", "ERROR")]
    assert warning.startswith(f"{config}: docker-py cannot read this file. ")
    assert warning.endswith(" Going on without that file.")


def test_unreadable_config_of_another_registry(config: Path, engine: RecordingEngine) -> None:
    """An image elsewhere needs the worker's file, and the error names it."""
    config.write_text(json.dumps(UNREADABLE["auth-is-empty"]))
    client = EcrDockerHook(base_url=engine.url, aws_conn_id=None).get_conn()
    with pytest.raises(EcrInputError, match=f"^{config}: docker-py cannot read this file. .*'docker login' again.$"):
        client.pull(f"{OTHER}/app:1")
    assert engine.pulls() == []


def test_unreadable_config_in_threads(config: Path, engine: RecordingEngine, aws: Aws) -> None:
    """Many tasks in one process leave its environment as it was."""
    config.write_text(json.dumps(UNREADABLE["auth-is-empty"]))
    before = dict(os.environ)
    with ThreadPoolExecutor(20) as threads:
        hooks = [EcrDockerHook(base_url=engine.url, aws_conn_id=None) for _ in range(20)]
        list(threads.map(lambda hook: hook.get_conn().pull(f"{HOST}/app:1"), hooks))
    assert sorted(engine.passwords(), key=str) == sorted(token.password for token in aws.tokens)
    assert os.environ == before


def test_login_made_later_is_found(config: Path, engine: RecordingEngine) -> None:
    """A first login on the worker after the client was created is used, as docker-py does."""
    client = connect(engine)
    config.write_text(json.dumps(STALE["auths"]))
    client.pull(f"{OTHER}/app:1")
    assert engine.passwords() == ["other"]


@pytest.mark.parametrize("host", [host for host in LOOK_ALIKES if host.strip() and "/" not in host], ids=ascii)
def test_look_alike_gets_no_token(host: str, engine: RecordingEngine, aws: Aws) -> None:
    """A host that only looks like Amazon ECR's gets no login, and AWS is not called; with a blank, it is refused."""
    hidden = host != host.strip()
    with pytest.raises(EcrInputError, match="image: ") if hidden else nullcontext():
        connect(engine).pull(f"{host}/app:1")
    assert engine.passwords() == ([] if hidden else [None])
    assert aws.calls == []


@pytest.mark.parametrize("image", [HOST, f"{HOST}/", f"{HOST}/App:1", f"{HOST}/app:", f"https://{HOST}/app:1"])
def test_bad_name_in_ones_own_code(image: str, engine: RecordingEngine, aws: Aws) -> None:
    """A name that no image on Amazon ECR can have is refused before anything is contacted, as by the operator."""
    with pytest.raises(EcrInputError, match="image: "):
        connect(engine).pull(image)
    assert (engine.pulls(), aws.calls) == ([], [])


def test_upper_case_host(engine: RecordingEngine, aws: Aws) -> None:
    """A host in upper case works like any other."""
    connect(engine).pull(f"{HOST.upper()}/app:1")
    assert [token.password for token in aws.tokens] == engine.passwords()
    assert (engine.pulls()[0].login or {})["serveraddress"] == HOST.upper()


def test_port_is_kept(engine: RecordingEngine, aws: Aws) -> None:
    """The login is for the host and port of the pull."""
    connect(engine).pull(f"{HOST}:443/app:1")
    assert [token.password for token in aws.tokens] == engine.passwords()
    assert (engine.pulls()[0].login or {})["serveraddress"] == f"{HOST}:443"


def test_alias(engine: RecordingEngine, aws: Aws) -> None:
    """An alias host gets its registry's token; no other host does."""
    alias = EcrRegistry.private(ACCOUNT, "us-west-2", host="localhost:5000")
    client = connect(engine, alias=alias)
    client.pull("localhost:5000/app:1")
    client.pull("localhost:5001/app:1")
    assert engine.passwords() == [aws.tokens[0].password, None]
    assert [call.region for call in aws.calls] == ["us-west-2"]


def test_service_and_inspection(engine: RecordingEngine, aws: Aws) -> None:
    """A Swarm service and a registry inspection send new tokens, too."""
    client = connect(engine)
    engine.answers[f"/distribution/{HOST}/app:1/json"] = (200, {})
    client.create_service({"ContainerSpec": {"Image": f"{HOST}/app:1"}})
    client.inspect_distribution(f"{HOST}/app:1")
    logins = [asked.login or {} for asked in engine.asked if asked.path.startswith(("/services", "/distribution"))]
    first, second = (token.password for token in aws.tokens)
    assert [login["password"] for login in logins] == [first, first, second]


def test_nothing_but_a_pull_asks(engine: RecordingEngine, aws: Aws) -> None:
    """Requests without a login need no token."""
    client = connect(engine)
    client.ping()
    client.images(name=f"{HOST}/app:1")
    assert aws.calls == []


def test_public_token(engine: RecordingEngine, aws: Aws) -> None:
    """A public image is pulled with a token of ECR Public."""
    connect(engine).pull("public.ecr.aws/docker/library/busybox:1")
    assert [token.password for token in aws.tokens] == engine.passwords()
    assert [call.service for call in aws.calls] == ["ecr-public"]


@pytest.mark.parametrize("content", STALE.values(), ids=STALE)
def test_public_without_aws(
    content: dict[str, Any], config: Path, engine: RecordingEngine, aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    """If AWS gives no public token, the pull is anonymous, and a stale public login is ignored."""
    config.write_text(json.dumps(content).replace(HOST, "public.ecr.aws"))
    aws.fault = AwsError(400, "AccessDeniedException", "no")
    connect(engine).pull("public.ecr.aws/docker/library/busybox:1")
    assert engine.passwords() == [None]
    assert "Going on without a login, which ECR Public allows at a lower rate." in caplog.text


def test_client_that_keeps_logins_elsewhere(engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A docker-py without the attribute raises an error that names it, and never pulls anonymously."""
    kept = [name for name in APIClient.__attrs__ if name != "_auth_configs"]
    monkeypatch.setattr(APIClient, "__attrs__", kept)
    with pytest.raises(EcrUpstreamError, match=r"^docker [0-9.]+ no longer has APIClient\._auth_configs"):
        connect(engine)


def test_nothing_is_kept(engine: RecordingEngine, aws: Aws) -> None:
    """After a pull, the client's logins hold no token, and can be pickled."""
    client = connect(engine)
    client.pull(f"{HOST}/app:1")
    logins = client._auth_configs  # noqa: SLF001
    assert isinstance(logins, EcrAuthConfig)
    assert aws.tokens[0].password.encode() not in pickle.dumps(logins)
    assert aws.tokens[0].password not in repr(vars(logins)) + repr(logins)
