"""A container from an image in Amazon ECR: real engine, real registry, real boto3."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.docker.operators.docker import DockerOperator
from docker.errors import APIError

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrPullError, EcrTokenError
from tests.stand.aws import TWELVE_HOURS, AwsError
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, PRIVATE_HOSTS, REGION
from tests.stand.images import build, digest
from tests.stand.registry import PUBLIC
from tests.system.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stand import Stand

pytestmark = pytest.mark.stand

# Process 1 in a container ignores the signal to end, unless it handles the signal.
SLEEP = "trap 'exit 1' TERM; sleep 600 & wait"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


def run(image: str, operator: type[DockerOperator] = EcrDockerOperator, **parameters: Any) -> Any:
    """Run a task on the stand, and return the last line of its container's output."""
    return operator(task_id="task", image=image, **parameters).execute({})


def sent(stand: Stand) -> list[str]:
    """Return the distinct logins of manifest requests to the registry, in order."""
    return list(dict.fromkeys(login for login in stand.registry.logins() if login))


def issued(stand: Stand) -> list[str]:
    """Return the logins that AWS issued."""
    return [f"AWS:{token.password}" for token in stand.aws.tokens]


def test_one_token_for_one_pull(stand: Stand) -> None:
    """A pull makes one token call as the worker, in the image's region, and that token reaches the registry."""
    image = stand.push(image=build("it works"))
    assert run(image) == "it works"
    [call] = stand.aws.calls
    assert ("GetAuthorizationToken", REGION, stand.worker.arn) == (call.operation, call.region, call.arn)
    assert issued(stand) == sent(stand)


def test_present_image_costs_nothing(stand: Stand) -> None:
    """An image on the engine causes no call to AWS and no request to the registry."""
    image = stand.push("present")
    run(image)
    stand.aws.reset()
    stand.registry.reset()
    run(image)
    assert stand.aws.calls == []
    assert stand.registry.requests == []


def test_token_that_died_in_between(stand: Stand) -> None:
    """Every pull has a new token, so an expired earlier token does not matter."""
    image = stand.push("dying")
    task = EcrDockerOperator(task_id="task", image=image, force_pull=True)
    task.execute({})
    stand.aws.end_tokens()
    task.execute({})
    assert len(stand.aws.tokens) == 2
    assert issued(stand) == sent(stand)
    assert all(request.token.expires_at for request in stand.registry.requests if request.token)


@pytest.mark.parametrize("oci", [False, True])
def test_token_that_dies_on_its_way(oci: bool, stand: Stand) -> None:
    """A token that the registry refuses although the identity may pull the image is replaced, once."""
    image = stand.push("late", image=build("second token", oci=oci))
    stand.aws.at_call = lambda: setattr(stand.aws, "lifetime", 0 if not stand.aws.tokens else TWELVE_HOURS)
    assert run(image) == "second token"
    assert len(stand.aws.tokens) == 2
    assert issued(stand)[-1] == sent(stand)[-1]


@pytest.mark.parametrize("host", [host for host in PRIVATE_HOSTS if ACCOUNT in host])
def test_every_form_of_host(host: str, stand: Stand) -> None:
    """Plain, FIPS and dual-stack hosts of every partition work, with a token of their region."""
    region = PRIVATE_HOSTS[host][1]
    run(stand.push("forms", region=region, host=host))
    assert [call.region for call in stand.aws.calls] == [region]
    assert issued(stand) == sent(stand)


@pytest.mark.parametrize(
    ("repository", "host"),
    [
        ("team/sub/app", HOST),
        ("docker-hub/library/busybox", HOST),
        ("public.ecr.aws/app", HOST),
        ("app", f"{HOST}:443"),
        ("app", HOST.upper()),
    ],
    ids=["nested", "pull-through-cache", "public-name-in-path", "port", "upper-case"],
)
def test_every_form_of_name(repository: str, host: str, stand: Stand) -> None:
    """Nested repositories, pull-through caches, ports and upper-case hosts work."""
    run(stand.push(repository, host=host))
    assert len(stand.aws.calls) == 1
    assert issued(stand) == sent(stand)


def test_digest(stand: Stand) -> None:
    """An image can be pulled by its digest."""
    image = build("by digest")
    name = stand.push("digest", image=image)
    assert run(f"{name.rpartition(':')[0]}@{digest(image.manifest)}") == "by digest"
    assert issued(stand) == sent(stand)


@pytest.mark.parametrize("host", ["registry.example.com", "localhost:5000"])
def test_alias(host: str, stand: Stand) -> None:
    """The host that registry_host names gets the token of its registry."""
    image = stand.push("aliased", account=OTHER_ACCOUNT, region=OTHER_REGION, host=host)
    stand.registry.policies[OTHER_ACCOUNT, OTHER_REGION, "aliased"].add(ACCOUNT)
    run(image, registry_host=host, registry_id=OTHER_ACCOUNT, region_name=OTHER_REGION)
    assert [call.region for call in stand.aws.calls] == [OTHER_REGION]
    assert issued(stand) == sent(stand)


def test_registry_id_without_host(stand: Stand) -> None:
    """An image without a host is pulled and run from the account and region that the parameters name."""
    stand.push(
        "short", region="cn-north-1", host=f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn", image=build("short")
    )
    assert run("short:1", registry_id=ACCOUNT, region_name="cn-north-1") == "short"
    assert issued(stand) == sent(stand)


def test_repository_policy_of_another_account(stand: Stand) -> None:
    """Another account's image needs a repository policy there, not another token; without it, the error says so."""
    image = stand.push("shared", account=OTHER_ACCOUNT)
    sentence = f"{stand.worker.arn} is not authorized to perform: ecr:BatchGetImage .* account {OTHER_ACCOUNT} has"
    with pytest.raises(EcrPullError, match=sentence):
        run(image)
    stand.registry.policies[OTHER_ACCOUNT, REGION, "shared"].add(ACCOUNT)
    run(image)
    assert {call.arn for call in stand.aws.calls} == {stand.worker.arn}


def test_readmes_error(stand: Stand) -> None:
    """The error in the README is the real one, word for word."""
    with pytest.raises(EcrPullError) as caught:
        run(stand.push("shared", account=OTHER_ACCOUNT), force_pull=True)
    assert str(caught.value) in (ROOT / "README.md").read_text().splitlines()


def test_identity_without_permission(stand: Stand) -> None:
    """If an identity may not get tokens, the error names it and the missing action."""
    stand.worker.may_get_token = False
    sentence = rf"User: {stand.worker.arn} is not authorized to perform: ecr:GetAuthorizationToken on resource: \* .*"
    with pytest.raises(
        EcrTokenError, match=sentence + r"Allow ecr:GetAuthorizationToken on resource '\*' to that user"
    ):
        run(stand.push("forbidden"))


def test_connection_with_a_role(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The role of ``aws_conn_id`` gets the token."""
    role = stand.aws.add_role(OTHER_ACCOUNT, "puller", trusted=stand.worker)
    connection = {"conn_type": "aws", "extra": {"role_arn": role}}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    run(stand.push("theirs", account=OTHER_ACCOUNT), aws_conn_id="other")
    [call] = stand.aws.token_calls()
    assert call.arn == f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/puller/airflow_other"


def test_public_image(stand: Stand) -> None:
    """A public image is pulled with a token of ECR Public, which the token server accepts."""
    run(stand.push("team/public", account=PUBLIC, region="us-east-1", host="public.ecr.aws"))
    [call] = stand.aws.calls
    assert (call.service, call.region) == ("ecr-public", "us-east-1")
    assert [request.login for request in stand.registry.requests if request.login] == issued(stand)


@pytest.mark.parametrize("host", ["public.ecr.aws", "ecr-public.aws.com"])
def test_public_image_without_aws(host: str, stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If AWS gives no token, a public image is pulled anonymously, ignoring a stale login that would fail."""
    image = stand.push("team/anonymous", account=PUBLIC, region="us-east-1", host=host)
    (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": "QVdTOnN0YWxl"}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    stand.aws.fault = AwsError(400, "AccessDeniedException", "no")
    with pytest.raises(APIError):
        run(image, DockerOperator)
    stand.registry.reset()
    run(image)
    assert [request for request in stand.registry.requests if request.login] == []


def test_stale_login_on_the_worker(stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stale login in the worker's Docker configuration is ignored."""
    image = stand.push("logged-in")
    (tmp_path / "config.json").write_text(json.dumps({"auths": {HOST: {"auth": "QVdTOnN0YWxl"}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(APIError):
        run(image, DockerOperator)
    stand.registry.reset()
    run(image)
    assert issued(stand) == sent(stand)


def test_left_over_connection(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task with an outdated connection works, where DockerOperator fails."""
    image = stand.push("left-over")
    stand.aws.lifetime = 0
    dead = stand.aws.issue("ecr", REGION, stand.worker)
    stand.aws.reset()
    monkeypatch.setenv("AIRFLOW_CONN_ECR", f"docker://AWS:{dead.password}@{HOST}")
    with pytest.raises(APIError, match="login attempt to"):
        run(image, DockerOperator, docker_conn_id="ecr")
    stand.registry.reset()
    run(image, docker_conn_id="ecr")
    assert issued(stand) == sent(stand)


def test_error_inside_the_stream(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a layer cannot be fetched, the task fails, where DockerOperator runs the old image and succeeds."""
    image = stand.push("renewed", image=build("old"))
    run(image)
    stand.push("renewed", image=build("new"))
    stand.registry.layers = "refused"
    token = stand.aws.issue("ecr", REGION, stand.worker)
    monkeypatch.setenv("AIRFLOW_CONN_ECR", f"docker://AWS:{token.password}@{HOST}")
    # Podman reports an error as a status if nothing has arrived yet, and DockerOperator raises it.
    if not stand.kind.podman:
        assert run(image, DockerOperator, docker_conn_id="ecr", force_pull=True) == "old"
    with pytest.raises(
        EcrPullError, match=rf"^{image}: not pulled from Amazon ECR registry {ACCOUNT} in {REGION} for .+"
    ):
        run(image, force_pull=True)
    stand.registry.layers = "whole"
    assert run(image, force_pull=True) == "new"


def test_on_kill(stand: Stand) -> None:
    """Killing a task stops its container and makes no call to AWS."""
    image = stand.push("killed")
    task = EcrDockerOperator(task_id="task", image=image, command=["sh", "-c", SLEEP], auto_remove="force")
    thread = threading.Thread(target=pytest.raises, args=(Exception, task.execute, {}))
    thread.start()
    deadline = time.monotonic() + 180
    while not stand.engine.client.containers(filters={"ancestor": image}) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stand.engine.client.containers(filters={"ancestor": image})
    calls = len(stand.aws.calls)
    task.on_kill()
    thread.join(180)
    assert not thread.is_alive()
    assert stand.engine.client.containers(all=True, filters={"ancestor": image}) == []
    assert len(stand.aws.calls) == calls == 1
    # As under DockerOperator, the task can run again.
    task.command = ["sh", "-c", "echo again; exec sleep 0.05"]  # as in build()
    assert task.execute({}) == "again"


def test_hook_in_ones_own_code(stand: Stand) -> None:
    """In your own code, the client of an EcrDockerHook can pull."""
    image = stand.push("own-code")
    EcrDockerHook(base_url=stand.engine.url).get_conn().pull(image)
    assert stand.engine.has(image)
    assert issued(stand) == sent(stand)
