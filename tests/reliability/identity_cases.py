"""Cases of the AWS identity: it is missing, or AWS rejects it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecr_docker_operator import EcrTokenError
from tests.reliability.case import Case, Scene, while_set
from tests.reliability.sockets import silent
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_TOKEN = "{image}: not pulled. {registry}: no authorization token for {worker}."
REFUSED = "An error occurred (*) when calling the GetAuthorizationToken operation:"


@contextmanager
def no_credentials(scene: Scene) -> Iterator[None]:
    """Leave the worker without any credentials."""
    scene.push()
    scene.take_keys()
    yield
    scene.give_keys()


@contextmanager
def half_a_key(scene: Scene) -> Iterator[None]:
    """Leave the worker without its secret access key."""
    scene.push()
    scene.unset("AWS_SECRET_ACCESS_KEY")
    yield
    scene.give_keys()


@contextmanager
def no_profile(scene: Scene) -> Iterator[None]:
    """Use a connection with a profile that the worker does not have."""
    scene.push()
    scene.set("AIRFLOW_CONN_MINE", json.dumps({"conn_type": "aws", "extra": {"profile_name": "etl"}}))
    yield
    profiles = scene.directory / "profiles"
    worker = scene.stand.worker
    profiles.write_text(
        f"[profile etl]\naws_access_key_id={worker.access_key}\naws_secret_access_key={worker.secret_key}\n"
    )
    scene.set("AWS_CONFIG_FILE", str(profiles))


@contextmanager
def no_connection(scene: Scene) -> Iterator[None]:
    """Use a connection that does not exist, on a worker without credentials."""
    scene.push()
    scene.take_keys()
    yield
    worker = scene.stand.worker
    connection = {"conn_type": "aws", "login": worker.access_key, "password": worker.secret_key}
    scene.set("AIRFLOW_CONN_MINE", json.dumps(connection))


@contextmanager
def key_deleted(scene: Scene) -> Iterator[None]:
    """Delete the worker's access key."""
    scene.push()
    worker = scene.stand.worker
    del scene.stand.aws.identities[worker.access_key]
    yield
    scene.stand.aws.identities[worker.access_key] = worker


@contextmanager
def other_partition(scene: Scene) -> Iterator[None]:
    """Pull from China with an access key of the partition aws."""
    scene.image = f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/{scene.repository}:1"
    scene.words["registry"] = f"Amazon ECR registry {ACCOUNT} in cn-north-1"
    scene.push(region="cn-north-1", host=scene.image.partition("/")[0])
    scene.stand.worker.partition = "aws"
    yield
    scene.stand.worker.partition = None


@contextmanager
def role_refused(scene: Scene) -> Iterator[None]:
    """Use a connection with a role that does not trust the worker."""
    scene.push()
    role = f"arn:aws:iam::{OTHER_ACCOUNT}:role/{scene.repository}"
    scene.words["role"] = role
    scene.set("AIRFLOW_CONN_MINE", json.dumps({"conn_type": "aws", "extra": {"role_arn": role}}))
    scene.stand.registry.policies[ACCOUNT, "eu-west-1", scene.repository].add(OTHER_ACCOUNT)
    yield
    scene.stand.aws.trust[role] = [scene.stand.worker.arn]


@contextmanager
def web_identity_refused(scene: Scene) -> Iterator[None]:
    """Give the worker a service account, as in Amazon EKS, which its role does not trust."""
    scene.push()
    scene.take_keys()
    role = f"arn:aws:iam::{OTHER_ACCOUNT}:role/{scene.repository}"
    scene.stand.registry.policies[ACCOUNT, "eu-west-1", scene.repository].add(OTHER_ACCOUNT)
    scene.set("AWS_ROLE_ARN", role)
    scene.set("AWS_WEB_IDENTITY_TOKEN_FILE", str(scene.directory / "token"))
    (scene.directory / "token").write_text("a service account")
    yield
    scene.stand.aws.trust[role] = ["a service account"]


@contextmanager
def no_web_identity(scene: Scene) -> Iterator[None]:
    """Give the worker a service account whose token is not there."""
    with web_identity_refused(scene):
        token = scene.directory / "token"
        token.unlink()
        scene.words["file"] = str(token)
        yield
        token.write_text("a service account")


@contextmanager
def misspelt_key(scene: Scene) -> Iterator[None]:
    """Use a connection with a misspelt option of botocore."""
    scene.push()
    extra = {"config_kwargs": {"read_timeouts": 5}}
    scene.set("AIRFLOW_CONN_MINE", json.dumps({"conn_type": "aws", "extra": extra}))
    yield
    scene.set("AIRFLOW_CONN_MINE", json.dumps({"conn_type": "aws"}))


@contextmanager
def task_role_hangs(scene: Scene) -> Iterator[None]:
    """Make the container credentials endpoint accept connections and never answer."""
    scene.push()
    scene.take_keys()
    with silent() as url:
        scene.words["metadata"] = url
        scene.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        yield
    scene.unset("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    scene.give_keys()


@contextmanager
def instance_role_hangs(scene: Scene) -> Iterator[None]:
    """Make the instance metadata service accept connections and never answer."""
    scene.push()
    scene.take_keys()
    with silent() as url:
        scene.set("AWS_EC2_METADATA_DISABLED", "false")
        scene.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        yield
    scene.unset("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    scene.give_keys()


@contextmanager
def sts_hangs(scene: Scene) -> Iterator[None]:
    """Use a connection with a role, and make AWS STS accept connections and never answer."""
    scene.push()
    role = f"arn:aws:iam::{OTHER_ACCOUNT}:role/{scene.repository}"
    scene.set("AIRFLOW_CONN_MINE", json.dumps({"conn_type": "aws", "extra": {"role_arn": role}}))
    scene.stand.registry.policies[ACCOUNT, "eu-west-1", scene.repository].add(OTHER_ACCOUNT)
    scene.stand.aws.trust[role] = [scene.stand.worker.arn]
    with silent() as url:
        scene.words["sts"] = url
        scene.set("AWS_ENDPOINT_URL_STS", url)
        yield
    scene.unset("AWS_ENDPOINT_URL_STS")


session_over = while_set(lambda scene: scene.stand.worker, "session_over", value=True)
clock_behind = while_set(lambda scene: scene.stand.aws, "clock_ahead", 3600)
ROLE = "Give the worker a role, or name a connection with credentials in aws_conn_id."
DEAD_KEY = (
    "The security token included in the request is invalid. Check the access key that was used; it may be deleted, or "
    "of another partition than {registry}."
)

CASES = [
    Case("no credentials", f"{NO_TOKEN} Unable to locate credentials. {ROLE}", no_credentials, EcrTokenError),
    Case(
        "partial credentials",
        f"{NO_TOKEN} Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY. "
        "Complete the credentials: a key id and a secret key belong together.",
        half_a_key,
        EcrTokenError,
    ),
    Case(
        "profile missing",
        "{image}: not pulled. {registry}: no authorization token for AWS connection 'mine'. The config profile (etl) "
        "could not be found. Add the profile on the worker, or name another in the AWS connection.",
        no_profile,
        EcrTokenError,
        {"aws_conn_id": "mine"},
    ),
    Case(
        "connection missing",
        "{image}: not pulled. {registry}: no authorization token for AWS connection 'mine' (not found, so the "
        f"worker's own AWS credentials). Unable to locate credentials. {ROLE}",
        no_connection,
        EcrTokenError,
        {"aws_conn_id": "mine"},
    ),
    Case(
        "expired session",
        f"{NO_TOKEN} {REFUSED} The security token included in the request is expired. "
        "Renew that session's credentials.",
        session_over,
        EcrTokenError,
    ),
    Case("deleted key", f"{NO_TOKEN} {REFUSED} {DEAD_KEY}", key_deleted, EcrTokenError),
    Case("wrong partition", f"{NO_TOKEN} {REFUSED} {DEAD_KEY}", other_partition, EcrTokenError),
    Case(
        "clock skew",
        f"{NO_TOKEN} {REFUSED} Signature expired: * is now earlier than * (* - 15 min.). "
        "Check the worker's clock, which AWS compares with its own.",
        clock_behind,
        EcrTokenError,
    ),
    Case(
        "assume-role refused",
        "{image}: not pulled. {registry}: no authorization token for AWS connection 'mine'. An error occurred "
        "(AccessDenied) when calling the AssumeRole operation: User: {user} is not authorized to perform: "
        "sts:AssumeRole on resource: {role}. Let the role's trust policy name that identity, and allow it "
        "sts:AssumeRole.",
        role_refused,
        EcrTokenError,
        {"aws_conn_id": "mine"},
    ),
    Case(
        "web identity refused",
        f"{NO_TOKEN} An error occurred (AccessDenied) when calling the AssumeRoleWithWebIdentity operation: Not "
        "authorized to perform sts:AssumeRoleWithWebIdentity. Let the role's trust policy name the OIDC provider, and "
        "the service account that the worker runs as, and allow it sts:AssumeRoleWithWebIdentity.",
        web_identity_refused,
        EcrTokenError,
    ),
    Case(
        "web identity missing",
        f"{NO_TOKEN} * No such file or directory: '{{file}}'. Check that the worker has this file, which its AWS "
        "settings name, such as AWS_WEB_IDENTITY_TOKEN_FILE.",
        no_web_identity,
        EcrTokenError,
    ),
    Case(
        "misspelt option",
        "{image}: not pulled. {registry}: no authorization token for AWS connection 'mine'. Got unexpected keyword "
        "argument 'read_timeouts'. Correct that key, in config_kwargs of the AWS connection or in botocore_config.",
        misspelt_key,
        EcrTokenError,
        {"aws_conn_id": "mine"},
    ),
    Case(
        "STS hanging",
        "{image}: not pulled. {registry}: no authorization token for AWS connection 'mine'. Read timeout on endpoint "
        'URL: "{sts}/". The task can be tried again; read_timeout in botocore_config is how long it waits.',
        sts_hangs,
        EcrTokenError,
        {"aws_conn_id": "mine", "botocore_config": {"read_timeout": 1, "retries": {"total_max_attempts": 1}}},
    ),
    Case(
        "container metadata hanging",
        f"{NO_TOKEN} Error when retrieving credentials from container-role: Error retrieving metadata: Received error "
        'when attempting to retrieve container metadata: Read timeout on endpoint URL: "{metadata}". '
        "Check what gives the worker its credentials: it did not answer, or answered without any.",
        task_role_hangs,
        EcrTokenError,
    ),
    Case(
        "instance metadata hanging",
        f"{NO_TOKEN} Unable to locate credentials. {ROLE}",
        instance_role_hangs,
        EcrTokenError,
    ),
]
