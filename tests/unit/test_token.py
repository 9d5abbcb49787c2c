"""The token call: identity, endpoint, parameters, and the handling of the answer."""

from __future__ import annotations

import base64
import gc
import json
import logging
import os
import pickle
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore
import pytest
from botocore.awsrequest import AWSResponse
from botocore.stub import Stubber

from ecr_docker_operator import EcrInputError, EcrTokenError
from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.aws.token import EcrCredentials, collection_paused, fetch_credentials, quiet_parser
from ecr_docker_operator.ecr.registry import EcrRegistry, find_partition
from tests.airflow_names import Connection
from tests.reliability.sockets import dripping
from tests.stand.aws import AwsError
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT
from tests.unit.test_registry import PRIVATE

if TYPE_CHECKING:
    from tests.stand.aws import Aws

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
REGISTRY = EcrRegistry.private(ACCOUNT, "eu-west-1")
PUBLIC = EcrRegistry("public.ecr.aws", "us-east-1", None)
IDENTITY = AwsIdentity(None)
UNKNOWN = (
    r"Unknown region: 'eusc-de-east-1'\. The installed boto3 does not know it\. Upgrade boto3: 1\.37\.27 is the first "
    r"that knows the endpoints of the European Sovereign Cloud\.$"
)


class Answering(AwsIdentity):
    """An identity whose client returns a fixed answer, and accepts only a call without parameters."""

    def __init__(self, answer: dict[str, Any], service: str = "ecr") -> None:
        super().__init__(None)
        client = boto3.client(service, "eu-west-1", aws_access_key_id="key", aws_secret_access_key="secret")
        stubber = Stubber(client)
        stubber.add_response("get_authorization_token", answer, {})
        stubber.activate()
        self.__dict__["stubbed"] = client

    def client(self, registry: EcrRegistry, **options: Any) -> Any:  # noqa: ARG002
        """Return the client."""
        return self.__dict__["stubbed"]


def answer_of(token: str) -> dict[str, Any]:
    """Return ECR's answer with *token*."""
    return {"authorizationData": [{"authorizationToken": token, "proxyEndpoint": "https://not-this-one.example"}]}


def encoded(login: str) -> str:
    """Return *login* encoded as a token."""
    return base64.b64encode(login.encode()).decode()


def test_token_of_the_worker(aws: Aws) -> None:
    """The login comes from one call to AWS, as the worker, in the registry's region."""
    credentials = fetch_credentials(REGISTRY, IDENTITY)
    assert [token.password for token in aws.tokens] == [credentials.password]
    assert ("AWS", HOST) == (credentials.username, credentials.serveraddress)
    [call] = aws.calls
    assert ("ecr", "eu-west-1", f"arn:aws:iam::{ACCOUNT}:user/worker") == (call.service, call.region, call.arn)


def test_region_is_the_registrys(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call is made in the registry's region, not in the worker's or the connection's."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    extra = '{"region_name": "ap-south-1"}'
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", Connection(conn_id="x", conn_type="aws", extra=extra).get_uri())
    fetch_credentials(REGISTRY, AwsIdentity("elsewhere"))
    assert [call.region for call in aws.calls] == ["eu-west-1"]


def test_identity_is_the_connections(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The role of the AWS connection is assumed, and gets the token."""
    worker = next(iter(aws.identities.values()))
    role = aws.add_role(OTHER_ACCOUNT, "puller", trusted=worker)
    extra = f'{{"role_arn": "{role}"}}'
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", Connection(conn_id="x", conn_type="aws", extra=extra).get_uri())
    fetch_credentials(REGISTRY, AwsIdentity("other"))
    assumed = f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/puller/airflow_other"
    assert [(call.operation, call.arn) for call in aws.calls] == [
        ("AssumeRole", worker.arn),
        ("GetAuthorizationToken", assumed),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("role", ["", f"arn:aws:iam::{OTHER_ACCOUNT}:role/puller"], ids=["token", "role"])
def test_an_answer_that_does_not_end(role: str, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS and AWS STS that send byte after byte without end: the call ends when botocore's last attempt would have."""
    del aws
    extra = json.dumps({"role_arn": role} if role else {})
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", Connection(conn_id="x", conn_type="aws", extra=extra).get_uri())
    config = {"connect_timeout": 1, "read_timeout": 3, "retries": {"mode": "standard", "total_max_attempts": 1}}
    with dripping() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        identity = AwsIdentity("other", botocore_config=config)
        with pytest.raises(EcrTokenError, match=r"no complete answer within 9 s\. Check what answers in place of AWS"):
            fetch_credentials(REGISTRY, identity)


def test_missing_connection_is_the_workers_own_identity(aws: Aws) -> None:
    """``aws_default`` need not exist: without it, boto3's own chain is used."""
    fetch_credentials(REGISTRY, AwsIdentity())
    assert [call.arn for call in aws.calls] == [f"arn:aws:iam::{ACCOUNT}:user/worker"]


def test_public_token(aws: Aws) -> None:
    """ECR Public has a separate service, which is called in us-east-1."""
    credentials = fetch_credentials(PUBLIC, IDENTITY)
    assert [token.password for token in aws.tokens] == [credentials.password]
    assert [(call.service, call.region) for call in aws.calls] == [("ecr-public", "us-east-1")]


@pytest.mark.parametrize(("host", "region", "fips"), [(row[0], row[2], row[4]) for row in PRIVATE])
def test_url_of_the_call(host: str, region: str, fips: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore calls the plain endpoint of the host's region, or the FIPS endpoint for a FIPS host."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    registry = EcrRegistry.parse(host)
    assert registry is not None
    if registry.partition not in boto3.session.Session().get_available_partitions():
        with pytest.raises(EcrTokenError, match=UNKNOWN):
            fetch_credentials(registry, IDENTITY)
        return
    client = IDENTITY.client(registry)
    sent = []

    def answer(request: Any, **_: object) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {}, None)

    client.meta.events.register("before-send", answer)
    with pytest.raises(AttributeError):  # the response has no body to parse
        client.get_authorization_token()
    [request] = sent
    # AWS has two names for an endpoint (AWS General Reference); older botocores take the one without "api.".
    names = ("api.ecr-fips", "ecr-fips") if fips else ("api.ecr",)
    # botocore treats an unknown region as part of the commercial partition.
    partition = find_partition(region)
    suffix = partition.suffix if partition else "amazonaws.com"
    assert request.url in [f"https://{name}.{region}.{suffix}/" for name in names]
    assert f"/{region}/ecr/aws4_request" in request.headers["Authorization"].decode()


def test_partition_that_boto3_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the partition in botocore's data, as in older versions, the error says which boto3 knows it."""
    theirs: dict[str, Any] = json.loads((Path(botocore.__file__).parent / "data" / "endpoints.json").read_text())
    theirs["partitions"] = [part for part in theirs["partitions"] if part["partition"] != "aws-eusc"]
    (tmp_path / "endpoints.json").write_text(json.dumps(theirs))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    registry = EcrRegistry.private(ACCOUNT, "eusc-de-east-1")
    with pytest.raises(EcrTokenError, match=UNKNOWN):
        fetch_credentials(registry, IDENTITY)
    # An endpoint of one's own is called all the same.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(EcrTokenError, match="Unable to locate credentials"):
        fetch_credentials(registry, IDENTITY)


def test_registry_ids_are_not_sent_and_proxy_endpoint_is_not_used() -> None:
    """The deprecated parameter is not sent, and the login is for the host of the pull."""
    credentials = fetch_credentials(REGISTRY, Answering(answer_of(encoded("AWS:secret"))))
    assert credentials.auth_config == {"username": "AWS", "password": "secret", "serveraddress": HOST}


def test_password_with_colons() -> None:
    """Only the first colon separates user and password."""
    assert fetch_credentials(REGISTRY, Answering(answer_of(encoded("AWS:a:b:c")))).password == "a:b:c"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"authorizationData": []},
        {"authorizationData": [{}]},
        answer_of(""),
        answer_of("not base64!"),
        answer_of(base64.b64encode(b"AWS:\xff").decode()),
        answer_of(encoded("no colon")),
        answer_of(encoded("AWS:")),
        answer_of(encoded(":secret")),
    ],
    ids=["nothing", "empty", "no-token", "empty-token", "not-base64", "not-utf8", "no-colon", "no-password", "no-user"],
)
def test_answer_without_token(answer: dict[str, Any]) -> None:
    """An answer without a valid login raises an error, and neither its text nor its chain contains the answer."""
    sentence = (
        f"Amazon ECR registry {ACCOUNT} in eu-west-1: no authorization token for the worker's own AWS credentials. "
        "AWS answered without a token of the form 'user:password' in base64. "
        "Check what answers in place of AWS: a proxy, a login page, or the endpoint URL if one is configured."
    )
    with pytest.raises(EcrTokenError, match=f"^{re.escape(sentence)}$") as caught:
        fetch_credentials(REGISTRY, Answering(answer))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("token", ["QVdTOnNlY3JldA\u00e9", "\ud800", 17, True, ["QVdTOng="], {"a": "b"}, None, ""])
@pytest.mark.parametrize("wrapped", [lambda data: [data], lambda data: data], ids=["list", "object"])
def test_odd_token(token: Any, wrapped: Any, aws: Aws) -> None:
    """An invalid token raises EcrTokenError."""
    aws.authorization_data = wrapped({"authorizationToken": token})
    with pytest.raises(EcrTokenError, match="no authorization token for"):
        fetch_credentials(REGISTRY, AwsIdentity(None))


@pytest.mark.parametrize("data", [[None], ["text"], [[]], [], {}, "text", 1, True])
def test_odd_answer(data: Any, aws: Aws) -> None:
    """Invalid authorization data raise EcrTokenError."""
    aws.authorization_data = data
    with pytest.raises(EcrTokenError, match="no authorization token for"):
        fetch_credentials(REGISTRY, AwsIdentity(None))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            AwsError(400, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized to perform: y"),
            "User: arn:aws:iam::1:user/x is not authorized to perform: y. "
            "Allow ecr:GetAuthorizationToken on resource '*' to that user or role.",
        ),
        (
            AwsError(400, "UnrecognizedClientException", "The security token included in the request is invalid."),
            "The security token included in the request is invalid. Check the access key that was used; "
            f"it may be deleted, or of another partition than Amazon ECR registry {ACCOUNT} in eu-west-1.",
        ),
        (
            AwsError(400, "ExpiredTokenException", "The security token included in the request is expired"),
            "The security token included in the request is expired. Renew that session's credentials.",
        ),
        (AwsError(400, "SomethingNew", "Unheard of"), "Unheard of."),
    ],
    ids=lambda value: value.code if isinstance(value, AwsError) else "",
)
def test_refusal(aws: Aws, error: AwsError, said: str) -> None:
    """The error for a refusal names the registry and the identity, repeats AWS's message, and says what to do."""
    aws.fault = error
    sentence = (
        f"Amazon ECR registry {ACCOUNT} in eu-west-1: no authorization token for AWS connection 'mine' (not found, "
        f"so the worker's own AWS credentials). An error occurred ({error.code}) when calling the "
        f"GetAuthorizationToken operation: {said}"
    )
    with pytest.raises(EcrTokenError, match=f"^{re.escape(sentence)}$"):
        fetch_credentials(REGISTRY, AwsIdentity("mine"))


def test_no_credentials(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a worker without AWS credentials says how to get some."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(EcrTokenError, match=r"Unable to locate credentials\. Give the worker a role, or name"):
        fetch_credentials(REGISTRY, IDENTITY)
    assert aws.calls == []


def test_public_refusal_names_both_actions(aws: Aws) -> None:
    """The error for ECR Public names both actions that its token needs."""
    aws.fault = AwsError(400, "AccessDeniedException", "no")
    with pytest.raises(EcrTokenError, match="Allow ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken on"):
        fetch_credentials(PUBLIC, IDENTITY)


@pytest.mark.slow
def test_throttling_is_waited_out(aws: Aws) -> None:
    """botocore retries when AWS throttles, without any configuration."""
    aws.faults = [AwsError(400, "ThrottlingException", "Rate exceeded")] * 2
    assert fetch_credentials(REGISTRY, IDENTITY).password == aws.tokens[0].password


def test_botocore_config_wins(aws: Aws) -> None:
    """The user's configuration replaces our default."""
    aws.faults = [AwsError(400, "ThrottlingException", "Rate exceeded")]
    config = {"retries": {"total_max_attempts": 1}}
    with pytest.raises(EcrTokenError, match="Rate exceeded"):
        fetch_credentials(REGISTRY, AwsIdentity(None, botocore_config=config))


def test_default_config() -> None:
    """Without any configuration, the client waits and retries as documented."""
    config = IDENTITY.client(REGISTRY).meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 15)
    assert (config.retries["mode"], config.retries["total_max_attempts"]) == ("standard", 8)


@pytest.mark.parametrize(
    ("identity", "environment", "said"),
    [
        (IDENTITY, {"AWS_ENDPOINT_URL": "not a url"}, "Invalid endpoint: not a url."),
        (AwsIdentity(None, botocore_config={"no_such": 1}), {}, "Got unexpected keyword argument 'no_such'."),
        (
            IDENTITY,
            {"AWS_PROFILE": "gone"},
            "(gone) could not be found. Add the profile on the worker, or name another",
        ),
        (
            AwsIdentity(None, botocore_config={"retries": {"total_max_attempts": 1}}),
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            "Check the way to AWS: without internet, a VPC endpoint",
        ),
    ],
    ids=["endpoint", "config", "profile", "nobody"],
)
def test_bad_settings(
    identity: AwsIdentity, environment: dict[str, str], said: str, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any failure on the way to AWS, botocore's or not, is a token error with its message."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EcrTokenError, match=re.escape(said)):
        fetch_credentials(REGISTRY, identity)
    assert aws.calls == []


def test_config_of_the_connection_is_kept(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """``config_kwargs`` of the AWS connection apply, as in the amazon provider's operators."""
    aws.faults = [AwsError(400, "ThrottlingException", "Rate exceeded")]
    extra = '{"config_kwargs": {"retries": {"total_max_attempts": 1}}}'
    monkeypatch.setenv("AIRFLOW_CONN_ONCE", Connection(conn_id="x", conn_type="aws", extra=extra).get_uri())
    with pytest.raises(EcrTokenError, match="Rate exceeded"):
        fetch_credentials(REGISTRY, AwsIdentity("once"))


@pytest.mark.parametrize(
    "extra",
    [
        '{"endpoint_url": "URL"}',
        '{"endpoint_url": "http://127.0.0.1:1", "service_config": {"ecr": {"endpoint_url": "URL"}}}',
    ],
    ids=["general", "service"],
)
def test_endpoint_of_the_connection_is_asked(extra: str, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """``endpoint_url`` of the AWS connection applies, the service's own one first, as in the amazon provider."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    connection = Connection(conn_id="x", conn_type="aws", extra=extra.replace("URL", aws.url))
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", connection.get_uri())
    fetch_credentials(REGISTRY, AwsIdentity("elsewhere"))
    assert len(aws.token_calls()) == 1


def test_caller_is_named_to_aws() -> None:
    """The user agent has botocore's own words, then the operator, and then the user's addition."""
    meta = AwsIdentity(None, botocore_config={"user_agent_extra": "etl/1"}).client(REGISTRY).meta
    assert meta.config.user_agent_extra == "EcrDockerOperator etl/1"
    assert IDENTITY.client(REGISTRY).meta.config.user_agent_extra == "EcrDockerOperator"


def test_default_region_that_cannot_be_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A problem with a profile or the connection raises one of our errors."""
    monkeypatch.setenv("AWS_PROFILE", "gone")
    said = (
        "region_name: the default region of the worker's own AWS credentials could not be looked up. "
        "The config profile (gone) could not be found. Set it."
    )
    with pytest.raises(EcrInputError, match=re.escape(said)):
        IDENTITY.default_region()


def test_default_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection's region comes before boto3's; without either, there is no default."""
    assert IDENTITY.default_region() is None
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert IDENTITY.default_region() == "us-west-2"
    extra = '{"region_name": "ap-south-1"}'
    monkeypatch.setenv("AIRFLOW_CONN_SOUTH", Connection(conn_id="x", conn_type="aws", extra=extra).get_uri())
    assert AwsIdentity("south").default_region() == "ap-south-1"


_MASKED = """
from tests.airflow_names import redact
from docker.auth import encode_header
from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.aws.token import fetch_credentials
from ecr_docker_operator.ecr.registry import EcrRegistry

for _ in range(12):
    login = fetch_credentials(EcrRegistry.parse("{host}"), AwsIdentity("worker"))
    token = b64encode(f"AWS:{{login.password}}".encode()).decode()
    header = encode_header(login.auth_config).decode()
    print("masked:", *(redact(f"_{{secret}}_") == "_***_" for secret in (login.password, token, header)))
"""


@pytest.mark.slow
def test_secrets_are_masked(aws: Aws) -> None:
    """Password, token and header are masked in Airflow's logs, for the first ten tokens of a process."""
    script = "from base64 import b64encode" + _MASKED.format(host=HOST)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    masked = [line for line in done.stdout.splitlines() if line.startswith("masked:")]
    assert masked == ["masked: True True True"] * 10 + ["masked: False False False"] * 2, done.stderr
    assert len(aws.tokens) == 12


def test_repr_shows_no_password(aws: Aws) -> None:
    """The repr shows only host and user."""
    credentials = fetch_credentials(REGISTRY, IDENTITY)
    assert repr(credentials) == f"EcrCredentials(serveraddress='{HOST}', username='AWS')"
    assert aws.tokens


def test_debug_log_of_botocore_is_quiet(aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, botocore logs the answers it parses, but not this one; other calls are logged as before."""
    parser = logging.getLogger("botocore.parsers")

    class Beside(AwsIdentity):
        def client(self, registry: EcrRegistry, **options: Any) -> Any:
            thread = threading.Thread(target=parser.debug, args=("heard beside",))
            thread.start()
            thread.join()
            return super().client(registry, **options)

    caplog.set_level(logging.DEBUG)
    fetch_credentials(REGISTRY, Beside(None))
    assert caplog.records
    assert aws.tokens[0].password not in caplog.text
    assert aws.tokens[0].authorization not in caplog.text
    assert "heard beside" in caplog.text
    parser.debug("heard again")
    assert "heard again" in caplog.text


def test_identity_can_be_pickled() -> None:
    """The hook's state can be pickled, as operators are copied and sent."""
    identity = AwsIdentity("mine", verify=False, botocore_config={"connect_timeout": 1})
    assert identity == pickle.loads(pickle.dumps(identity))  # noqa: S301
    assert EcrCredentials(HOST, "AWS", "pass") == EcrCredentials(HOST, "AWS", "pass")


def test_collection_is_paused_while_any_thread_is_inside() -> None:
    """The last thread that leaves turns garbage collection on again."""
    inside, leave = threading.Barrier(2), threading.Event()

    def pause() -> None:
        with collection_paused:
            inside.wait()
            leave.wait()

    other = threading.Thread(target=pause)
    with collection_paused:
        other.start()
        inside.wait()
    assert not gc.isenabled()
    leave.set()
    other.join()
    assert gc.isenabled()


def test_collection_in_a_child() -> None:
    """A process that is forked meanwhile collects its garbage."""
    with collection_paused:
        child = os.fork()
        if not child:
            os._exit(0 if gc.isenabled() else 1)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_parser_of_other_threads_is_not_quiet(caplog: pytest.LogCaptureFixture) -> None:
    """While one thread gets a token, botocore's parser still logs in other threads."""
    caplog.set_level("DEBUG", logger="botocore.parsers")
    log = logging.getLogger("botocore.parsers")
    with quiet_parser():
        log.debug("ours")
        other = threading.Thread(target=log.debug, args=("another's",))
        other.start()
        other.join()
    log.debug("later")
    assert [record.message for record in caplog.records] == ["another's", "later"]
