"""The ``check`` command line: its output, its exit status, and that its messages match those of a task."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ecr_docker_operator import EcrDockerOperator, EcrError
from ecr_docker_operator.check.steps import Step, run
from ecr_docker_operator.compat import DAG
from tests.reliability.case import HOST, Scene
from tests.reliability.cases import CASES
from tests.reliability.registry_cases import NOT_PULLED
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, REGION
from tests.stand.images import Image, build, digest
from tests.stand.registry import PUBLIC
from tests.system.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.airflow_home import AirflowHome
    from tests.stand import Stand

pytestmark = pytest.mark.stand

BY_PYTHON = (sys.executable, "-m", "ecr_docker_operator")
BY_AIRFLOW = (sys.executable, "-m", "airflow", "ecr-docker")
STEPS = ["image", "engine", "identity", "token", "registry", "digest", "architecture"]
NOBODY = "AWS connection 'aws_default' (not found, so the worker's own AWS credentials)"
LIST_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
# A check does not fetch layers. But the engine fetches the image's configuration in the same way.
OF_LAYERS = {
    "no ecr:GetDownloadUrlForLayer",
    "connection reset inside a layer",
    "garbage inside a layer",
    "layers refused by S3",
}
# An engine that does not ask the registry cannot know these, and AWS is not part of them.
ONLY_THE_REGISTRY_KNOWS = {"429", "500", "expired token", "garbled token", "invalid token"}
BEFORE_THE_PULL = {
    case.name: case
    for case in (*CASES["AWS identity"], *CASES["token call"], *CASES["registry"], *CASES["engine and container"][:2])
}


def check(
    *arguments: str, by: Sequence[str] = BY_PYTHON, **environment: str
) -> tuple[int, list[tuple[str, str, str]], str]:
    """Return the exit status, the mark, name and text of each line, and standard error."""
    done = subprocess.run(
        [*by, "check", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    lines = [re.fullmatch(r"(.) (\w+) +(.+)", line) for line in done.stdout.splitlines()]
    assert all(lines), done.stdout + done.stderr
    return done.returncode, [(line[1], line[2], line[3]) for line in lines if line], done.stderr


def passed(stand: Stand, *unknown: str, until: str | None = None) -> list[tuple[str, str]]:
    """Return the marks and names of the steps if none fails, up to the step *until*.

    Podman does not ask a registry, so it knows neither the digest nor the platform of an image.
    """
    if not stand.kind.asks_registries:
        unknown += ("registry", "digest", "architecture")
    return [("·" if name in unknown else "✓", name) for name in STEPS[: STEPS.index(until) if until else None]]


@pytest.fixture
def asking(stand: Stand) -> None:
    """Skip the test on an engine whose check does not reach the step that it is about."""
    if not stand.kind.asks_registries:
        pytest.skip("Podman does not ask a registry about an image.")


def options(parameters: dict[str, Any]) -> list[str]:
    """Return an operator's parameters as options of the command."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in parameters.items()]


def last(image: str, **parameters: Any) -> Step:
    """Return the last step of a check in this process."""
    return list(run(image, **parameters))[-1]


def architecture(name: str, system: str = "linux", image: Image | None = None) -> Image:
    """Return an image whose configuration names another platform."""
    image = image or build()
    config = {**json.loads(image.config), "architecture": name, "os": system}
    return replace(image, config=json.dumps(config).encode())


def push_list(stand: Stand, repository: str, images: dict[str, Image], kind: str = LIST_TYPE) -> str:
    """Push a list of images for several architectures to a repository, and return its name; "" is for none."""
    entries = []
    for name, image in images.items():
        stand.push(repository, name or "unknown", image=image)
        platform = {"architecture": name, "os": "linux"} if name else {"architecture": "unknown", "os": "unknown"}
        manifest = image.manifest
        entries.append(
            {"mediaType": image.media_type, "size": len(manifest), "digest": digest(manifest), "platform": platform}
        )
    content = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
    path = f"/v2/{ACCOUNT}/{REGION}/{repository}/manifests/1"
    assert stand.registry.backend("PUT", path, content, {"Content-Type": kind}).status == 201
    return f"{HOST}/{repository}:1"


@pytest.mark.parametrize("by", [BY_PYTHON, BY_AIRFLOW], ids=["python", "airflow"])
def test_all_is_well(by: Sequence[str], stand: Stand) -> None:
    """Every step passes, at the cost of one token; neither a layer nor an image reaches the engine.

    Podman does not ask the registry, and the check says so, and what AWS answers.
    """
    content = build()
    image = stand.push("checked", image=content)
    status, lines, errors = check(image, by=by)
    platform = "linux/" + stand.engine.client.version()["Arch"]
    texts = {
        "image": f"{image}: Amazon ECR registry {ACCOUNT} in {REGION}, partition aws",
        "engine": f"{stand.engine.url}: version {stand.engine.client.version()['Version']}, {platform}",
        "identity": f"{stand.worker.arn}, by {NOBODY}",
        "token": f"for Amazon ECR registry {ACCOUNT} in {REGION}, until *",
        "registry": f"{HOST} accepts the token",
        "digest": digest(content.manifest),
        "architecture": platform,
    }
    if not stand.kind.asks_registries:
        texts |= {
            "registry": "not known: the engine does not ask the registry, which Podman cannot do and a proxy may "
            "forbid. 404 Not Found: Not Found.",
            "digest": "not known: the registry was not asked, but AWS gives the image to this identity",
            "architecture": "not known: the registry was not asked",
        }
    assert [(mark, name) for mark, name, _ in lines] == passed(stand)
    for _, name, text in lines:
        assert re.fullmatch(re.escape(texts[name]).replace(r"\*", r"[-\d :]+ UTC"), text), text
    assert (status, errors) == (0, "")
    [token] = stand.aws.tokens
    if stand.kind.asks_registries:
        assert stand.registry.logins()[0] == f"AWS:{token.password}"
    asked = " ".join(request.path for request in stand.registry.requests)
    assert [layer for layer in content.layers if digest(layer) in asked] == []
    assert stand.engine.images() == []


@pytest.mark.usefixtures("asking")
def test_json(stand: Stand) -> None:
    """With ``--json``, standard output is one document with the documented names."""
    image = stand.push("as-json")
    done = subprocess.run(
        [*BY_AIRFLOW, "check", image, "--json", "--verbose"], capture_output=True, text=True, check=False
    )
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert document["ok"] is True
    assert [(step["name"], step["ok"]) for step in document["steps"]] == [(name, True) for name in STEPS]
    facts = {name: value for step in document["steps"] for name, value in step.items() if name not in ("name", "text")}
    platform = facts.pop("platform")
    del facts["ok"]
    assert facts.pop("expires_at") > "2026"
    assert facts.pop("digest").startswith("sha256:")
    assert facts == {
        "image": image,
        "registry_id": ACCOUNT,
        "region_name": REGION,
        "partition": "aws",
        "url": stand.engine.url,
        "version": stand.engine.client.version()["Version"],
        "arn": stand.worker.arn,
        "platforms": [platform],
    }
    text = (ROOT / "dags" / "README.md").read_text()
    keys = {key for step in document["steps"] for key in step} | document.keys()
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
    # The log goes to standard error, and shows no token either.
    assert "Found credentials in environment variables" in done.stderr
    assert [token for token in stand.aws.tokens if token.password in done.stdout + done.stderr] == []


@pytest.mark.parametrize(
    ("name", "step"),
    {
        "engine not there": "engine",
        "no credentials": "identity",
        "assume-role refused": "identity",
        "access denied": "token",
        "expired token": "registry",
        "another account's repository without a policy": "registry",
        "repository missing": "digest",
        "tag missing": "digest",
        "digest missing": "digest",
    }.items(),
)
def test_cross(name: str, step: str, stand: Stand, tmp_path: Path) -> None:
    """The first cross is the last line, its text is the error that the task would raise, and the exit status is 1.

    If the engine does not ask the registry, AWS's answer is the cross, at the next step.
    """
    if step == "registry" and not stand.kind.asks_registries:
        if name in ONLY_THE_REGISTRY_KNOWS:
            pytest.skip("Podman does not ask the registry.")
        step = "digest"
    with Scene(stand, tmp_path) as scene, BEFORE_THE_PULL[name].broken(scene):
        status, lines, errors = check(scene.image, *options(scene.parameters))
        with pytest.raises(EcrError) as caught:
            scene.run()
    assert lines[-1] == ("✗", step, str(caught.value))
    assert [(mark, name) for mark, name, _ in lines[:-1]] == passed(stand, until=step)
    assert (status, errors) == (1, "")
    assert [token for token in stand.aws.tokens if token.password in str(lines)] == []
    assert stand.engine.images() == []


@pytest.mark.parametrize("name", sorted(BEFORE_THE_PULL.keys() - OF_LAYERS))
def test_sentence_of_every_case(name: str, stand: Stand, tmp_path: Path) -> None:
    """For every failure before a layer is fetched, the check and the task have the same error message.

    What only the registry knows stays unknown if the engine does not ask it.
    """
    case = BEFORE_THE_PULL[name]
    if case.over_tls and not stand.kind.listens_with_tls:
        pytest.skip("This Podman listens on its socket only.")
    with Scene(stand, tmp_path) as scene, case.broken(scene):
        step = last(scene.image, **scene.parameters)
        if name in ONLY_THE_REGISTRY_KNOWS and not stand.kind.asks_registries:
            assert step.ok is None
            return
        assert step.ok is False
        assert re.fullmatch(case.pattern(scene), step.text), f"{step.text}\nis not\n{case.pattern(scene)}"


@pytest.mark.usefixtures("asking")
@pytest.mark.parametrize("name", sorted(OF_LAYERS))
def test_configuration_that_cannot_be_read(name: str, stand: Stand, tmp_path: Path) -> None:
    """If layers cannot be fetched, the engine cannot read the image's configuration either, and hides the reason."""
    case = replace(
        BEFORE_THE_PULL[name],
        says=f"{NOT_PULLED} the engine could not read the image's configuration, and does not say why. Check that "
        "ecr:GetDownloadUrlForLayer is allowed on the repository, and that the engine's host reaches S3.",
    )
    with Scene(stand, tmp_path) as scene, case.broken(scene):
        step = last(scene.image, **scene.parameters)
        assert (step.name, step.ok) == ("architecture", False)
        assert re.fullmatch(case.pattern(scene), step.text), step.text


@pytest.mark.parametrize(
    ("image", "parameters"),
    [
        ("", {}),
        (f"https://{HOST}/app:1", {}),
        (f"{HOST}/app:1", {"registry_id": OTHER_ACCOUNT}),
        (f"{HOST}/app:1", {"region_name": "nowhere"}),
        ("app:1", {"registry_id": ACCOUNT}),
        (f"{HOST}/app:1", {"tls_ca_cert": "/a", "tls_client_cert": "/b", "tls_client_key": "/c"}),
        (f"{HOST}/APP:1", {}),
    ],
    ids=["empty", "url", "registry-id", "region-name", "no-region", "tls-files", "upper-case"],
)
def test_input_that_cannot_be_right(image: str, parameters: dict[str, Any], stand: Stand) -> None:
    """Contradictory parameters, and names that the engine refuses: the task's error message, and status 2."""
    stand.registry.serve(HOST, ACCOUNT, REGION)
    status, lines, errors = check(image, *options(parameters))
    with pytest.raises(EcrError) as caught:
        EcrDockerOperator(task_id="task", image=image, dag=DAG("dag", schedule=None), **parameters).execute({})
    assert (lines[-1][0], lines[-1][2]) == ("✗", str(caught.value))
    assert (status, errors) == (2, "")


@pytest.mark.usefixtures("asking")
def test_image_of_another_architecture(stand: Stand) -> None:
    """An image for another architecture gets the error message of a failed container."""
    image = stand.push(
        "foreign", image=architecture("riscv64", image=build(program=b"\x7fELF\x02\x01\x01" + bytes(57)))
    )
    status, lines, _ = check(image)
    with pytest.raises(Exception, match="exec format error") as caught:
        EcrDockerOperator(task_id="task", image=image).execute({})
    assert lines[-1][:2] == ("✗", "architecture")
    assert lines[-1][2] in str(caught.value)
    assert lines[-1][2].startswith(f"{image}: the image is for linux/riscv64, and the engine runs linux/")
    assert status == 1


@pytest.mark.usefixtures("asking")
def test_list_without_the_engines_architecture(stand: Stand) -> None:
    """A list without an image for the engine's platform fails with the task's error."""
    image = push_list(stand, "none-fits", {"riscv64": architecture("riscv64"), "s390x": architecture("s390x")})
    step = last(image)
    with pytest.raises(EcrError) as caught:
        EcrDockerOperator(task_id="task", image=image).execute({})
    assert (step.name, step.ok, step.text) == ("architecture", False, str(caught.value))
    assert "There is no image for the platform that the engine runs" in step.text


@pytest.mark.usefixtures("asking")
def test_list_with_the_engines_architecture(stand: Stand) -> None:
    """A list passes if it has an image for the engine."""
    name = stand.engine.client.version()["Arch"]
    image = push_list(stand, "one-fits", {"s390x": architecture("s390x"), name: build()})
    platform = last(image)
    assert (platform.ok, platform.facts["platforms"]) == (True, ["linux/s390x", f"linux/{name}"])


@pytest.mark.parametrize("index", [False, True])
def test_oci_image(index: bool, stand: Stand) -> None:
    """An image in OCI media types, alone or in an index beside its attestation, runs, and the check says no other."""
    content = build("an OCI image", oci=True)
    if index:
        name = stand.engine.client.version()["Arch"]
        image = push_list(stand, "oci-index", {name: content, "": build(oci=True)}, OCI_INDEX_TYPE)
    else:
        image = stand.push("oci", image=content)
    status, lines, _ = check(image)
    assert status == 0
    assert "✗" not in [line[0] for line in lines]
    assert EcrDockerOperator(task_id="task", image=image).execute({}) == "an OCI image"
    assert check(image)[0] == 0


def test_image_of_another_system(stand: Stand) -> None:
    """An image for Windows gets the task's error message; containerd's store and Podman pull and start it."""
    image = stand.push("windows", image=architecture("amd64", "windows"))
    step = last(image)
    if stand.kind.containerd_store or stand.kind.podman:
        EcrDockerOperator(task_id="task", image=image).execute({})
        assert (step.name, step.ok) == ("architecture", None)
        return
    with pytest.raises(EcrError) as caught:
        EcrDockerOperator(task_id="task", image=image).execute({})
    assert (step.name, step.ok, step.text) == ("architecture", False, str(caught.value))


def test_stored_connection(stand: Stand, example_dags: AirflowHome) -> None:
    """An AWS connection in Airflow's database is found, and its role is the identity."""
    role = stand.aws.add_role(OTHER_ACCOUNT, "puller", trusted=stand.worker)
    image = stand.push("theirs", account=OTHER_ACCOUNT)
    example_dags.add_connection("stored", {"conn_type": "aws", "extra": {"role_arn": role}})
    status, lines, _ = check(image, "--aws-conn-id", "stored", **example_dags.environment)
    arn = f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/puller/airflow_stored"
    assert ("✓", "identity", f"{arn}, by AWS connection 'stored'") in lines
    assert {call.arn for call in stand.aws.token_calls()} == {arn}
    assert status == 0


def test_remote_engine(stand: Stand, tmp_path: Path) -> None:
    """The second of two engines is used, over TLS."""
    if not stand.kind.listens_with_tls:
        pytest.skip("This Podman listens on its socket only.")
    client = stand.engine.authority.issue_file("worker")
    (tmp_path / "ca.pem").write_text(stand.engine.authority.certificate)
    tls = [f"--tls-ca-cert={tmp_path}/ca.pem", f"--tls-client-cert={client}", f"--tls-client-key={client}"]
    urls = ["--docker-url=tcp://127.0.0.1:1", f"--docker-url={stand.engine.remote_url}"]
    status, lines, _ = check(stand.push("remote"), *tls, *urls, "--tls-verify=true", DOCKER_HOST="")
    assert lines[1][:2] == ("✓", "engine")
    assert lines[1][2].startswith(f"{stand.engine.remote_url}: version ")
    assert lines[-1][:2] == ("✓", "architecture")
    assert status == 0


def test_security_token_service_out_of_reach(stand: Stand) -> None:
    """If AWS STS is unreachable, the identity is unknown; all other steps pass, as a pull does not need STS."""
    status, lines, _ = check(stand.push("no-sts"), AWS_ENDPOINT_URL_STS="http://127.0.0.1:1")
    assert lines[2] == (
        "·",
        "identity",
        'not known: Could not connect to the endpoint URL: "http://127.0.0.1:1/"',
    )
    assert [(mark, name) for mark, name, _ in lines] == passed(stand, "identity")
    assert status == 0


def test_public_image(stand: Stand) -> None:
    """A public image has no account and uses a token of ECR Public."""
    image = stand.push("team/checked", account=PUBLIC, region="us-east-1", host="public.ecr.aws")
    status, lines, _ = check(image)
    assert lines[0] == ("✓", "image", f"{image}: Amazon ECR Public, partition aws")
    assert lines[3][:2] == ("✓", "token")
    assert lines[3][2].startswith("for Amazon ECR Public, until ")
    assert [(mark, name) for mark, name, _ in lines] == passed(stand)
    assert status == 0


@pytest.mark.usefixtures("asking")
def test_public_image_without_aws(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, a public image is requested anonymously, as in a task."""
    image = stand.push("team/checked", account=PUBLIC, region="us-east-1", host="public.ecr.aws")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    status, lines, _ = check(image)
    assert lines[2:5] == [
        ("·", "identity", "not known: Unable to locate credentials"),
        (
            "·",
            "token",
            "none, which ECR Public allows at a lower rate: Amazon ECR Public: no authorization token for "
            f"{NOBODY}. Unable to locate credentials. Give the worker a role, or name a connection with credentials "
            "in aws_conn_id.",
        ),
        ("✓", "registry", "public.ecr.aws answers"),
    ]
    assert status == 0
    assert [request for request in stand.registry.requests if request.login] == []


@pytest.mark.usefixtures("asking")
def test_image_of_another_registry(stand: Stand) -> None:
    """An image outside Amazon ECR needs neither an identity nor a token, so the check requests none."""
    image = stand.push("other", account=PUBLIC, region="us-east-1", host="registry.example.com")
    status, lines, _ = check(image)
    unneeded = "not needed: the image is not on Amazon ECR"
    assert lines[0] == ("✓", "image", f"{image}: not on Amazon ECR, so the pull is DockerOperator's")
    assert lines[2:5] == [
        ("·", "identity", unneeded),
        ("·", "token", unneeded),
        ("✓", "registry", "registry.example.com answers"),
    ]
    assert lines[-1][:2] == ("✓", "architecture")
    assert status == 0
    assert stand.aws.calls == []
    missing = last(f"{image}-missing")
    assert (missing.name, missing.ok) == ("digest", False)
    assert "manifest unknown" in missing.text


def test_alias(stand: Stand) -> None:
    """An alias host is checked as the registry that the parameters name."""
    image = stand.push("aliased", host="registry.example.com")
    status, lines, _ = check(
        image, f"--registry-id={ACCOUNT}", f"--region-name={REGION}", "--registry-host=registry.example.com"
    )
    assert [(mark, name) for mark, name, _ in lines] == passed(stand)
    if stand.kind.asks_registries:
        assert lines[4] == ("✓", "registry", "registry.example.com accepts the token")
    assert status == 0


def test_plain_terminal(stand: Stand) -> None:
    """If the terminal's encoding has no check marks, plain marks replace them."""
    _, lines, _ = check(f"{stand.push('plain')}-missing", PYTHONIOENCODING="ascii")
    plain = {"✓": "+", "·": "-"}
    assert [mark for mark, _, _ in lines] == [*(plain[mark] for mark, _ in passed(stand, until="digest")), "x"]
