"""AWS's API over HTTP: tokens of ECR and ECR Public, and roles of STS.

Every call is checked (signature, identity, permission), recorded, and answered with a new token. Wording and
codes are AWS's own (Amazon ECR API Reference and AWS STS API Reference, "Errors").
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self
from urllib.parse import parse_qs

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import Session

from tests.stand.server import Server

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterator
    from types import TracebackType

TWELVE_HOURS = 12 * 3600.0
FIFTEEN_MINUTES = timedelta(minutes=15)
AMZ_DATE = "%Y%m%dT%H%M%SZ"


@dataclass(eq=False)
class Identity:
    """An identity that can sign calls."""

    account: str
    arn: str
    access_key: str
    secret_key: str
    session_token: str | None = None
    may_get_token: bool = True
    session_over: bool = False
    partition: str | None = None
    """The only partition that knows the access key; ``None``: all partitions do (a simplification of the stand)."""


@dataclass(frozen=True)
class Token:
    """An authorization token: its registry, its owner and its expiry."""

    service: str
    region: str
    identity: Identity
    expires_at: float
    password: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """The token as GetAuthorizationToken returns it."""
        return base64.b64encode(f"AWS:{self.password}".encode()).decode()


@dataclass(frozen=True)
class Call:
    """One call that was answered."""

    service: str
    operation: str
    region: str
    arn: str


@dataclass(frozen=True)
class Attempt:
    """One attempt of a GetAuthorizationToken call."""

    invocation: str
    """botocore's id of the call, the same for all attempts (header ``amz-sdk-invocation-id``)."""
    at: float
    """Seconds of a monotonic clock."""
    throttled: bool


class Quota:
    """A token bucket, as AWS uses for throttling: a rate of calls per second, and a burst after a rest."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._left, self._at = float(burst), time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Return whether one more call is within the quota."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True


class AwsError(Exception):
    """An error response of AWS."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Service(Protocol):
    """The handler of a service with a JSON protocol."""

    def answer(self, operation: str, parameters: Any, caller: Identity, region: str) -> Any:
        """Return the answer of an operation, or raise AwsError."""


class Aws:
    """The API of ``ecr``, ``ecr-public`` and ``sts``, at an endpoint URL of this machine."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.lifetime = TWELVE_HOURS
        """Lifetime of a token in seconds; tests shorten it."""
        self.calls: list[Call] = []
        self.tokens: list[Token] = []
        self.services: dict[str, Service] = {}
        """Name of another service -> its handler."""
        self.operations: dict[str, Callable[[Any, Identity, str], Any]] = {}
        """Name of another operation of ``ecr`` -> its handler, which takes parameters, caller and region."""
        self.trust: dict[str, list[str]] = {}
        """Role ARN -> ARNs or service names that may assume it."""
        self.quota: Quota | None = None
        """Quota of GetAuthorizationToken; AWS throttles calls beyond it."""
        self.attempts: list[Attempt] = []
        self.fault: AwsError | None = None
        """Error that answers every call, if set."""
        self.faults: list[AwsError] = []
        """Errors that answer the next calls, one each."""
        self.identities: dict[str, Identity] = {}
        self.clock_ahead = 0.0
        """Seconds by which AWS's clock is ahead of ours."""
        self.authorization_data: Any = None
        """Authorization data that GetAuthorizationToken returns instead of a token, if set."""
        self.at_call: Callable[[], object] | None = None
        """Function that is called before each answer."""
        self.round_trip = 0.0
        """Seconds added to each round trip."""
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self._handler = type("Handler", (_Handler,), {"aws": self})
        self._server = Server(self._handler, tls=self._tls)
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._server.stop()

    @contextmanager
    def over_tls(self, context: ssl.SSLContext, listening: socket.socket | None = None) -> Iterator[str]:
        """Answer over TLS, too, at the URL that this yields, until the ``with`` block ends.

        :param listening: a listening socket; default: one on a free port of 127.0.0.1.
        """
        server = Server(self._handler, tls=context, listening=listening)
        try:
            host, port = server.server_address[:2]
            yield f"https://{host!s}:{port}"
        finally:
            server.stop()

    def add_user(self, account: str, name: str) -> Identity:
        """Add an IAM user with an access key."""
        return self._add(account, f"arn:aws:iam::{account}:user/{name}", "AKIA")

    def add_role(self, account: str, name: str, *, trusted: Identity | str) -> str:
        """Add a role that *trusted*, an identity or an AWS service, may assume, and return its ARN."""
        arn = f"arn:aws:iam::{account}:role/{name}"
        self.trust[arn] = [trusted if isinstance(trusted, str) else trusted.arn]
        return arn

    def find_token(self, password: str) -> Token | None:
        """Return the token with this password, valid or expired."""
        return next((token for token in self.tokens if token.password == password), None)

    def end_tokens(self) -> None:
        """Let all tokens expire."""
        self.tokens[:] = [replace(token, expires_at=0) for token in self.tokens]

    def token_calls(self) -> list[Call]:
        """Return the GetAuthorizationToken calls."""
        return [call for call in self.calls if call.operation == "GetAuthorizationToken"]

    def reset(self) -> None:
        """Forget calls and tokens, and restore the initial behaviour."""
        self.calls.clear()
        self.tokens.clear()
        self.attempts.clear()
        self.quota = None
        self.lifetime = TWELVE_HOURS
        self.fault = None
        self.faults.clear()
        self.clock_ahead = 0.0
        self.authorization_data = None
        self.at_call = None
        self.round_trip = 0.0
        for identity in self.identities.values():
            identity.may_get_token, identity.session_over, identity.partition = True, False, None

    def waits(self) -> list[float]:
        """Return the seconds between the first and the last attempt of each GetAuthorizationToken call."""
        tries: dict[str, list[float]] = {}
        for attempt in list(self.attempts):
            tries.setdefault(attempt.invocation, []).append(attempt.at)
        return [max(times) - min(times) for times in tries.values()]

    def admit(self, invocation: str) -> None:
        """Record an attempt of a GetAuthorizationToken call, and throttle it if the quota is used up."""
        throttled = self.quota is not None and not self.quota.take()
        self.attempts.append(Attempt(invocation, time.monotonic(), throttled))
        if throttled:
            raise AwsError(400, "ThrottlingException", "Rate exceeded")

    def issue(self, service: str, region: str, identity: Identity) -> Token:
        """Issue a token, as GetAuthorizationToken does."""
        if not identity.may_get_token:
            action = f"{service}:GetAuthorizationToken"
            raise AwsError(
                400,
                "AccessDeniedException",
                f"User: {identity.arn} is not authorized to perform: {action} on resource: * "
                f"because no identity-based policy allows the {action} action",
            )
        if service == "ecr-public" and region != "us-east-1":
            message = "GetAuthorizationToken command is only supported in us-east-1."
            raise AwsError(400, "UnsupportedCommandException", message)
        # AWS's tokens start like this, too. One that started with "-" would be an option on a command line.
        password = f"eyJ{secrets.token_urlsafe(1200)}"
        token = Token(service, region, identity, time.time() + self.lifetime, password)
        with self._lock:
            self.tokens.append(token)
        return token

    def assume_role(self, role_arn: str, session: str, caller: str) -> Identity:
        """Return new credentials of a role."""
        if caller not in self.trust.get(role_arn, []):
            raise AwsError(
                403,
                "AccessDenied",
                f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
            )
        _, _, _, _, account, role = role_arn.split(":")
        name = role.removeprefix("role/")
        identity = self._add(account, f"arn:aws:sts::{account}:assumed-role/{name}/{session}", "ASIA")
        identity.session_token = secrets.token_urlsafe(300)
        return identity

    def identify(self, request: AWSRequest) -> tuple[Identity, str, str]:
        """Return the identity that signed *request*, with its service and region."""
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=(\w+)/\d+/([\w-]+)/([\w-]+)/aws4_request, "
            r"SignedHeaders=([\w;-]+), Signature=(\w+)",
            request.headers.get("Authorization", ""),
        )
        if not found:
            raise AwsError(400, "MissingAuthenticationTokenException", "Missing Authentication Token")
        key, region, service, signed, signature = found.groups()
        identity = self.identities.get(key)
        if identity and identity.partition and identity.partition != Session().get_partition_for_region(region):
            identity = None
        if identity is None or identity.session_token != request.headers.get("X-Amz-Security-Token"):
            code = "InvalidClientTokenId" if service == "sts" else "UnrecognizedClientException"
            status = 403 if service == "sts" else 400
            raise AwsError(status, code, "The security token included in the request is invalid.")
        if identity.session_over:
            code = "ExpiredToken" if service == "sts" else "ExpiredTokenException"
            raise AwsError(
                403 if service == "sts" else 400, code, "The security token included in the request is expired"
            )
        self._check_clock(service, request.headers["X-Amz-Date"])
        if signature != _sign(request, identity, service, region, signed.split(";")):
            code = "SignatureDoesNotMatch" if service == "sts" else "InvalidSignatureException"
            raise AwsError(403, code, "The request signature we calculated does not match the signature you provided.")
        return identity, service, region

    def _check_clock(self, service: str, signed_at: str) -> None:
        now = datetime.now(UTC) + timedelta(seconds=self.clock_ahead)
        earliest = f"{now - FIFTEEN_MINUTES:{AMZ_DATE}}"
        if signed_at < earliest:
            code = "SignatureDoesNotMatch" if service == "sts" else "InvalidSignatureException"
            what = f"Signature expired: {signed_at} is now earlier than {earliest} ({now:{AMZ_DATE}} - 15 min.)"
            raise AwsError(403, code, what)

    def _add(self, account: str, arn: str, prefix: str) -> Identity:
        key = prefix + base64.b32encode(secrets.token_bytes(10)).decode()
        identity = Identity(account, arn, key, secrets.token_urlsafe(30))
        self.identities[key] = identity
        return identity


def _sign(request: AWSRequest, identity: Identity, service: str, region: str, signed: list[str]) -> str:
    headers = {name: value for name, value in request.headers.items() if name.lower() in signed}
    again = AWSRequest(method=request.method, url=request.url, headers=headers, data=request.data)
    again.context["timestamp"] = request.headers["X-Amz-Date"]
    signer = SigV4Auth(Credentials(identity.access_key, identity.secret_key), service, region)
    text = signer.string_to_sign(again, signer.canonical_request(again))
    return str(signer.signature(text, again))


class _Handler(BaseHTTPRequestHandler):
    aws: ClassVar[Aws]
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        # One round trip for TCP, one for TLS 1.3 (RFC 8446, 2).
        time.sleep(2 * self.aws.round_trip)
        super().handle()

    def do_POST(self) -> None:
        time.sleep(self.aws.round_trip)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = f"http://{self.headers['Host']}{self.path}"
        request = AWSRequest(method="POST", url=url, headers=dict(self.headers), data=body)
        query = "X-Amz-Target" not in self.headers
        try:
            # The only call that is not signed.
            unsigned = body.startswith(b"Action=AssumeRoleWithWebIdentity")
            status, answer = 200, self._answer_web_identity(_form(body)) if unsigned else self._answer(request, body)
        except AwsError as error:
            status, answer = error.status, _error(error, query=query)
        self.send_response(status)
        self.send_header("Content-Type", "text/xml" if query else "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        # A client that had to wait may have gone.
        with suppress(ConnectionError):
            self.wfile.write(answer)

    def _answer(self, request: AWSRequest, body: bytes) -> bytes:
        if self.aws.at_call:
            self.aws.at_call()
        if self.aws.faults:
            raise self.aws.faults.pop(0)
        if self.aws.fault:
            raise self.aws.fault
        identity, service, region = self.aws.identify(request)
        form = _form(body) if service == "sts" else {}
        operation = form.get("Action") or self.headers["X-Amz-Target"].rpartition(".")[2]
        self.aws.calls.append(Call(service, operation, region, identity.arn))
        if service in self.aws.services:
            answer = self.aws.services[service].answer(operation, json.loads(body), identity, region)
            return json.dumps(answer).encode()
        if operation in self.aws.operations:
            return json.dumps(self.aws.operations[operation](json.loads(body), identity, region)).encode()
        if service == "sts":
            return self._answer_sts(operation, form, identity)
        if operation == "GetAuthorizationToken":
            return json.dumps({"authorizationData": self._authorize(service, region, identity)}).encode()
        raise AwsError(400, "UnknownOperationException", operation)

    def _authorize(self, service: str, region: str, identity: Identity) -> Any:
        self.aws.admit(self.headers.get("amz-sdk-invocation-id", ""))
        token = self.aws.issue(service, region, identity)
        if self.aws.authorization_data is not None:
            return self.aws.authorization_data
        data = {"authorizationToken": token.authorization, "expiresAt": token.expires_at}
        if service == "ecr-public":
            return data
        return [{**data, "proxyEndpoint": f"https://{identity.account}.dkr.ecr.{region}.amazonaws.com"}]

    def _answer_web_identity(self, form: dict[str, str]) -> bytes:
        if form["WebIdentityToken"] not in self.aws.trust.get(form["RoleArn"], []):
            raise AwsError(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        identity = self.aws.assume_role(form["RoleArn"], form["RoleSessionName"], form["WebIdentityToken"])
        return _assumed(identity, form["Action"])

    def _answer_sts(self, operation: str, form: dict[str, str], identity: Identity) -> bytes:
        if operation == "AssumeRole":
            return _assumed(self.aws.assume_role(form["RoleArn"], form["RoleSessionName"], identity.arn), operation)
        if operation == "GetCallerIdentity":
            return _caller(identity)
        raise AwsError(400, "InvalidAction", f"Could not find operation {operation} for version 2011-06-15")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: calls are recorded instead."""


def _error(error: AwsError, *, query: bool) -> bytes:
    if not query:
        return json.dumps({"__type": error.code, "message": error.message}).encode()
    return (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{error.code}</Code><Message>{error.message}</Message></Error></ErrorResponse>"
    ).encode()


def _caller(identity: Identity) -> bytes:
    return (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>{identity.arn}</Arn><UserId>{identity.access_key}</UserId><Account>{identity.account}</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>"
    ).encode()


def _form(body: bytes) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(body.decode()).items()}


def _assumed(identity: Identity, operation: str) -> bytes:
    expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    return (
        f'<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{operation}Result>'
        f"<AssumedRoleUser><Arn>{identity.arn}</Arn><AssumedRoleId>AROA:session</AssumedRoleId></AssumedRoleUser>"
        f"<Credentials><AccessKeyId>{identity.access_key}</AccessKeyId>"
        f"<SecretAccessKey>{identity.secret_key}</SecretAccessKey>"
        f"<SessionToken>{identity.session_token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>"
        f"</{operation}Result></{operation}Response>"
    ).encode()
