"""The API model of one service: the same as from botocore's loader, without scanning all other services."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import UnknownServiceError
from botocore.loaders import JSONFileLoader, Loader

from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.aws.model_loader import ModelLoader
from ecr_docker_operator.ecr.registry import EcrRegistry
from tests.stand.hosts import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.stand.aws import Aws

MODELS = [("ecr", "service-2"), ("ecr", "endpoint-rule-set-1"), ("ecr-public", "service-2"), ("sts", "service-2")]


class OwnLoader(Loader):
    """A user's own loader."""


class OwnFiles(JSONFileLoader):
    """A user's own file loader."""


LISTED = """
import os, sys
from botocore.loaders import Loader
from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.ecr.registry import EcrRegistry

listed = []
def note(event, arguments):
    if event == "os.listdir" and str(arguments[0]).startswith(Loader.BUILTIN_DATA_PATH):
        listed.append(os.path.relpath(arguments[0], Loader.BUILTIN_DATA_PATH))
sys.addaudithook(note)
AwsIdentity(None).client(EcrRegistry.private("{account}", "{region}"))
print(*sorted(set(listed)))
"""


def session_with(loader: Loader | None = None) -> boto3.session.Session:
    """Return a boto3 session; *loader* replaces its own."""
    session = boto3.session.Session(region_name=REGION)
    if loader:
        session._session.register_component("data_loader", loader)  # noqa: SLF001
    return session


def loader_of(session: Any) -> Any:
    """Return the model loader of *session*."""
    return session._session.get_component("data_loader")  # noqa: SLF001


def installed() -> ModelLoader:
    """Return our loader, installed in a session."""
    session = session_with()
    ModelLoader.install(session)
    loader = loader_of(session)
    assert isinstance(loader, ModelLoader)
    return loader


@pytest.mark.parametrize(("service", "kind"), MODELS)
def test_models_are_botocores(service: str, kind: str) -> None:
    """A model is the same as from botocore's own loader."""
    assert installed().load_service_model(service, kind) == Loader().load_service_model(service, kind)


def test_data_is_botocores() -> None:
    """Data that belongs to no service is the same, too."""
    assert installed().load_data("endpoints") == Loader().load_data("endpoints")  # type: ignore[no-untyped-call]


@pytest.mark.slow
def test_no_other_service_is_looked_at() -> None:
    """For an ECR client, only ECR's folder is listed."""
    script = LISTED.format(account=ACCOUNT, region=REGION)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["ecr"]


def test_model_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model in ``AWS_DATA_PATH`` takes precedence over botocore's, as without our loader."""
    folder = tmp_path / "ecr" / "2099-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text(json.dumps({"metadata": {"serviceId": "of the user's own"}}))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    loader = installed()
    assert loader.search_paths == loader_of(session_with()).search_paths
    assert loader.load_service_model("ecr", "service-2")["metadata"] == {"serviceId": "of the user's own"}


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_model_in_either_form(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model file may be compressed, like botocore's own, or not."""
    content = json.dumps({"metadata": {"serviceId": suffix}}).encode()
    folder = tmp_path / "ecr" / "2099-01-01"
    folder.mkdir(parents=True)
    (folder / f"service-2{suffix}").write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    assert installed().load_service_model("ecr", "service-2")["metadata"] == {"serviceId": suffix}


@contextmanager
def as_nobody() -> Iterator[None]:
    """Run without root's permissions."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_folder_that_may_not_be_entered(tmp_path: Path) -> None:
    """A folder without access for the worker's user counts as empty, and does not fail a pull."""
    (tmp_path / "service-2.json").write_text("{}")
    files = installed().file_loader
    tmp_path.chmod(0o600)
    with as_nobody():
        found = files.load_file(str(tmp_path / "service-2"))
    tmp_path.chmod(0o700)
    assert found is None


def test_service_that_is_not_there() -> None:
    """An unknown service raises botocore's usual error, with the names of all services."""
    said = []
    for loader in (installed(), Loader()):
        with pytest.raises(UnknownServiceError) as caught:
            loader.load_service_model("ecr", "no-such-kind")
        said.append(str(caught.value))
        with pytest.raises(UnknownServiceError) as caught:
            loader.load_service_model("no-such-service", "service-2")
        said.append(str(caught.value))
    assert said[:2] == said[2:]
    assert "ecr-public" in said[1]


def test_names_of_all_services() -> None:
    """The list of all services is the same as from botocore's own loader."""
    names, theirs = installed().list_available_services("service-2"), Loader().list_available_services("service-2")
    assert (list(names), len(names), names[0]) == (theirs, len(theirs), theirs[0])
    assert "sts" in names
    assert "stsx" not in names


@pytest.mark.parametrize("make", [OwnLoader, lambda: Loader(file_loader=OwnFiles())], ids=["loader", "files"])
def test_loader_of_the_users_own_stays(make: Callable[[], Loader]) -> None:
    """A session with a custom loader or file loader keeps it."""
    loader = make()
    session = session_with(loader)
    ModelLoader.install(session)
    assert loader_of(session) is loader


def test_session_without_a_botocore_session() -> None:
    """A custom session without ``_session`` is left unchanged."""
    session = SimpleNamespace()
    ModelLoader.install(session)
    assert vars(session) == {}


@pytest.mark.parametrize("part", ["file_loader", "_search_paths"])
def test_loader_of_other_parts(part: str) -> None:
    """A botocore loader with unknown internals is kept, and does not fail a pull."""
    loader = Loader()
    delattr(loader, part)
    session = session_with(loader)
    ModelLoader.install(session)
    assert loader_of(session) is loader


def test_role_of_a_profile(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other services that a profile needs, here AWS STS, are found by the same loader."""
    worker = next(iter(aws.identities.values()))
    role = aws.add_role(ACCOUNT, "puller", trusted=worker)
    config = tmp_path / "config"
    config.write_text(
        f"[profile puller]\nrole_arn = {role}\nsource_profile = worker\nregion = {REGION}\n"
        f"[profile worker]\naws_access_key_id = {worker.access_key}\naws_secret_access_key = {worker.secret_key}\n"
    )
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "puller")
    client = AwsIdentity(None).client(EcrRegistry.private(ACCOUNT, REGION))
    client.get_authorization_token()
    assert [call.operation for call in aws.calls] == ["AssumeRole", "GetAuthorizationToken"]
