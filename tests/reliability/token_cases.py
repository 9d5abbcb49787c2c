"""Cases of the token call: AWS is unreachable, refuses, fails, or returns no valid token."""

from __future__ import annotations

import base64
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ecr_docker_operator import EcrTokenError
from tests.reliability.case import Case, Scene, while_set
from tests.reliability.identity_cases import NO_TOKEN, REFUSED
from tests.reliability.sockets import dripping, full, silent
from tests.stand.aws import AwsError
from tests.stand.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

# Two attempts instead of eight, and timeouts of half a second: they do not change the messages.
TWICE = {"retries": {"mode": "standard", "total_max_attempts": 2}}
IMPATIENT = {**TWICE, "connect_timeout": 0.5, "read_timeout": 0.5}
ENDPOINT = (
    "Check the way to AWS: without internet, a VPC endpoint com.amazonaws.{region}.ecr.api with a private name "
    "is needed."
)


def endpoint_is(endpoint: Callable[[], AbstractContextManager[str]]) -> Callable[[Scene], AbstractContextManager[None]]:
    """Point the worker to another endpoint than AWS's."""

    @contextmanager
    def breaks(scene: Scene) -> Iterator[None]:
        scene.push()
        with endpoint() as url:
            scene.words["endpoint"] = url
            scene.set("AWS_ENDPOINT_URL", url)
            yield
        scene.set("AWS_ENDPOINT_URL", scene.stand.aws.url)

    return breaks


def aws_answers(status: int, code: str, message: str) -> Callable[[Scene], AbstractContextManager[None]]:
    """Make AWS answer every call with an error."""
    return while_set(lambda scene: scene.stand.aws, "fault", AwsError(status, code, message))


def token_is(data: Any) -> Callable[[Scene], AbstractContextManager[None]]:
    """Make AWS answer with other data than a token."""
    return while_set(lambda scene: scene.stand.aws, "authorization_data", data)


@contextmanager
def unknown_name() -> Iterator[str]:
    """Yield a URL whose host name never resolves (RFC 6761, "invalid")."""
    yield "https://api.ecr.eu-west-1.amazonaws.invalid"


@contextmanager
def unknown_authority(scene: Scene) -> Iterator[None]:
    """Make AWS present a certificate of an authority that the worker does not know."""
    scene.push()
    authority = Authority(scene.directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue_file("127.0.0.1"))
    with scene.stand.aws.over_tls(context) as url:
        scene.words["endpoint"] = url
        scene.set("AWS_ENDPOINT_URL", url)
        yield
    scene.set("AWS_ENDPOINT_URL", scene.stand.aws.url)


not_allowed = while_set(lambda scene: scene.stand.worker, "may_get_token", value=False)
UNREADABLE = (
    f"{NO_TOKEN} AWS answered without a token of the form 'user:password' in base64. "
    "Check what answers in place of AWS: a proxy, a login page, or the endpoint URL if one is configured."
)

CASES = [
    Case(
        "access denied",
        f"{NO_TOKEN} {REFUSED} User: {{user}} is not authorized to perform: ecr:GetAuthorizationToken on resource: * "
        "because no identity-based policy allows the ecr:GetAuthorizationToken action. "
        "Allow ecr:GetAuthorizationToken on resource '*' to that user or role.",
        not_allowed,
        EcrTokenError,
    ),
    Case(
        "throttled beyond retries",
        f"{NO_TOKEN} An error occurred (ThrottlingException) when calling the GetAuthorizationToken operation "
        "(reached max retries: 1): Rate exceeded. Let fewer tasks pull at once, or ask AWS for a higher quota.",
        aws_answers(400, "ThrottlingException", "Rate exceeded"),
        EcrTokenError,
        {"botocore_config": TWICE},
    ),
    Case(
        "ServerException",
        f"{NO_TOKEN} An error occurred (ServerException) when calling the GetAuthorizationToken operation "
        "(reached max retries: 1): These errors are usually caused by a server-side issue. "
        "The task can be tried again once AWS answers.",
        aws_answers(500, "ServerException", "These errors are usually caused by a server-side issue."),
        EcrTokenError,
        {"botocore_config": TWICE},
    ),
    Case(
        "503",
        f"{NO_TOKEN} An error occurred (ServiceUnavailable) when calling the GetAuthorizationToken operation "
        "(reached max retries: 1): Service is unable to handle request. The task can be tried again once AWS answers.",
        aws_answers(503, "ServiceUnavailable", "Service is unable to handle request"),
        EcrTokenError,
        {"botocore_config": TWICE},
    ),
    Case(
        "no answer in time",
        f'{NO_TOKEN} Read timeout on endpoint URL: "{{endpoint}}/". '
        "The task can be tried again; read_timeout in botocore_config is how long it waits.",
        endpoint_is(silent),
        EcrTokenError,
        {"botocore_config": IMPATIENT},
    ),
    Case(
        "an answer that does not end",
        f"{NO_TOKEN} no complete answer within 13 s. "
        "Check what answers in place of AWS or slows it down: a proxy or the network. The task can be tried again.",
        endpoint_is(dripping),
        EcrTokenError,
        # A busy machine may take longer than half a second from one byte to the next.
        {"botocore_config": {**IMPATIENT, "read_timeout": 3}},
    ),
    Case(
        "no connection in time",
        f'{NO_TOKEN} Connect timeout on endpoint URL: "{{endpoint}}/". {ENDPOINT}',
        endpoint_is(full),
        EcrTokenError,
        {"botocore_config": IMPATIENT},
    ),
    Case(
        "DNS failure",
        f'{NO_TOKEN} Could not connect to the endpoint URL: "{{endpoint}}/" (the name was not resolved). {ENDPOINT}',
        endpoint_is(unknown_name),
        EcrTokenError,
        {"botocore_config": IMPATIENT},
    ),
    Case(
        "TLS refused",
        f"{NO_TOKEN} SSL validation failed for {{endpoint}}/ * certificate verify failed*. "
        "Set verify to the file with the certificates of the proxy that answers for AWS.",
        unknown_authority,
        EcrTokenError,
        {"botocore_config": TWICE},
    ),
    Case("empty authorizationData", UNREADABLE, token_is([]), EcrTokenError),
    Case("no token in authorizationData", UNREADABLE, token_is([{"expiresAt": 0}]), EcrTokenError),
    Case("token that is not base64", UNREADABLE, token_is([{"authorizationToken": "AWS:secret"}]), EcrTokenError),
    Case(
        "token without a colon",
        UNREADABLE,
        token_is([{"authorizationToken": base64.b64encode(b"AWSsecret").decode()}]),
        EcrTokenError,
    ),
]
