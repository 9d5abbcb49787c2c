"""Amazon ECR's registries: a real docker-registry behind a proxy with ECR's names, logins and messages.

The proxy, called front, listens inside the stand's network namespace. As in ECR, it redirects layers to
S3 (Amazon ECR User Guide, "Amazon ECR interface VPC endpoints").
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import secrets
import shutil
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar, Literal, Self
from urllib.parse import urlsplit

from tests.stand.certificates import Authority
from tests.stand.hosts import bucket
from tests.stand.images import Image, digest
from tests.stand.install import find_program
from tests.stand.namespaces import ADDRESS
from tests.stand.process import Process
from tests.stand.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from tests.stand.aws import Aws, Identity, Token
    from tests.stand.namespaces import Namespaces

PUBLIC = "public"
START_SECONDS = 30
LayerService = Literal["whole", "refused", "garbage", "reset"]
PIECE = 32 * 1024
"""Bytes of a layer that S3 sends between two pauses."""
EXPIRED = "Your authorization token has expired. Reauthenticate and try again."


Key = tuple[str, str, str]
"""Account, region and name of a repository."""


@dataclass(frozen=True)
class Request:
    """One request that the front answered."""

    host: str
    method: str
    path: str
    token: Token | None
    login: str | None
    """User name and password as sent; ``None`` for an anonymous request."""
    status: int
    client: str
    """Address of the client."""
    authorized: bool
    """Whether it had an ``Authorization`` header of any scheme."""


@dataclass(frozen=True)
class Answer:
    """An answer of the front's."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Registry:
    """All registries of all accounts and regions, and ECR Public."""

    def __init__(self, directory: Path, namespaces: Namespaces, aws: Aws) -> None:
        self._directory = directory / "registry"
        self._namespaces = namespaces
        self.aws = aws
        self.requests: list[Request] = []
        self.owners: dict[str, tuple[str, str]] = {}
        """Host, port included -> account and region; both are ``public`` for ECR Public."""
        self.policies: dict[Key, set[str]] = {}
        """Repository -> accounts that its policy admits."""
        self.not_allowed: set[str] = set()
        """Actions that no identity has permission for."""
        self.layers: LayerService = "whole"
        """How S3 serves layers; "refused" simulates an endpoint policy that does not allow them."""
        self.pace: Callable[[], object] | None = None
        """Function called before each piece of a layer is sent, if set; a pause in it makes S3 slow."""
        self.faults: dict[str, Answer] = {}
        """Part of a path -> answer to all requests for such paths."""
        self._at_layer: Callable[[], object] | None = None
        self._at_layer_lock = threading.Lock()
        self.round_trip = 0.0
        """Seconds added to each round trip."""
        self.tickets: dict[str, str] = {}
        """Signature in a layer's S3 URL -> path of the blob at the backend."""

    def __enter__(self) -> Self:
        """Start docker-registry and the front."""
        self._directory.mkdir()
        self._backend_address = str(self._directory / "socket")
        config = self._directory / "config.yml"
        # JSON is valid YAML, and a Unix socket cannot collide with another stand's.
        config.write_text(
            json.dumps(
                {
                    "version": 0.1,
                    "log": {"accesslog": {"disabled": True}, "level": "error"},
                    "storage": {"filesystem": {"rootdirectory": str(self._directory / "data")}},
                    "http": {"net": "unix", "addr": self._backend_address},
                }
            )
        )
        with (self._directory / "log").open("wb") as log:
            command = [find_program("docker-registry"), "serve", str(config)]
            self._process = Process(command, stdout=log, stderr=log)
        self._wait()
        self._authority = Authority(self._directory)
        self._namespaces.authorities.write_text(self._authority.certificate)
        handler = type("Handler", (_Handler,), {"registry": self, "tls": self._authority.server_context()})
        self._servers = [
            Server(handler, listening=self._namespaces.inside(partial(socket.create_server, address)))
            for address in ((ADDRESS, 443), ("127.0.0.1", 5000))
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the front, then docker-registry."""
        for server in self._servers:
            server.stop()
        self._process.stop()
        shutil.rmtree(self._directory)

    def serve(self, host: str, account: str, region: str) -> None:
        """Answer under *host*, with or without a port, as the registry of *account* in *region*."""
        self.owners[host.lower()] = (account, region)
        for name in (host, bucket(region)):
            self._namespaces.trust(name, self._authority.certificate)

    def push(self, account: str, region: str, repository: str, tag: str, image: Image) -> None:
        """Push an image to a repository, which is created if it is missing."""
        name = f"{account}/{region}/{repository}"
        for blob in (*image.layers, image.config):
            start = self.backend("POST", f"/v2/{name}/blobs/uploads/")
            where = urlsplit(dict(start.headers)["location"])
            answer = self.backend("PUT", f"{where.path}?{where.query}&digest={digest(blob)}", blob)
            assert answer.status == 201, answer
        answer = self.backend("PUT", f"/v2/{name}/manifests/{tag}", image.manifest, {"Content-Type": image.media_type})
        assert answer.status == 201, answer
        self.policies.setdefault((account, region, repository), set())

    def refusal(self, caller: Identity, key: Key, action: str) -> str | None:
        """Return AWS's error message if *caller* may not do *action* with a repository."""
        account, region, repository = key
        if caller.account not in {account, *self.policies[key]}:
            kind = "resource"
        elif action in self.not_allowed:
            kind = "identity"
        else:
            return None
        return (
            f"User: {caller.arn} is not authorized to perform: {action} on resource: "
            f"arn:aws:ecr:{region}:{account}:repository/{repository} "
            f"because no {kind}-based policy allows the {action} action"
        )

    def reset(self) -> None:
        """Forget requests and policies, and restore the initial behaviour."""
        self.requests.clear()
        self.layers = "whole"
        self.not_allowed.clear()
        self.round_trip = 0.0
        self.pace = None
        self.faults.clear()
        self.at_next_layer(None)
        for admitted in self.policies.values():
            admitted.clear()

    def at_next_layer(self, action: Callable[[], object] | None) -> None:
        """Call *action* when the next layer is requested; ``None`` cancels it, effective on return."""
        with self._at_layer_lock:
            self._at_layer = action

    def layer_is_asked_for(self) -> None:
        """Call the action once, if one is set."""
        with self._at_layer_lock:
            action, self._at_layer = self._at_layer, None
            if action:
                action()

    def logins(self) -> list[str | None]:
        """Return the login of each manifest request; ``None`` if it was anonymous."""
        return [request.login for request in self.requests if "/manifests/" in request.path]

    def backend(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Return the answer of docker-registry itself."""
        connection = http.client.HTTPConnection("registry")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(self._backend_address)
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            found = tuple((name.lower(), value) for name, value in response.getheaders())
            return Answer(response.status, response.read(), found)
        finally:
            connection.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.backend("GET", "/v2/")
            except OSError:
                time.sleep(0.02)
            else:
                return
        self._process.stop()
        log = (self._directory / "log").read_text(errors="replace")
        msg = f"The stand's docker-registry did not start:\n{log[-2000:]}"
        raise RuntimeError(msg)


class _Handler(BaseHTTPRequestHandler):
    registry: ClassVar[Registry]
    tls: ClassVar[ssl.SSLContext]
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        # One round trip for TCP, one for TLS 1.3 (RFC 8446, 2).
        time.sleep(2 * self.registry.round_trip)
        # The handshake must run in the connection's own thread, not in the accepting one.
        self.request = self.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def do_GET(self) -> None:
        time.sleep(self.registry.round_trip)
        host = self.headers.get("Host", "").lower()
        login, token = self._login()
        answer = self._answer(host, login, token)
        self.registry.requests.append(
            Request(
                host,
                self.command,
                self.path,
                token,
                login,
                answer.status,
                client=self.client_address[0],
                authorized="Authorization" in self.headers,
            )
        )
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        # An engine that rejects the answer, or has ended, stops reading.
        with suppress(ConnectionError, ssl.SSLError):
            self.end_headers()
            if self.command != "HEAD":
                for piece in self._pieces(answer.body):
                    self.wfile.write(piece)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        # containerd first tries to get a token in this way (Distribution documentation, "OAuth2 token authentication").
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(HTTPStatus.METHOD_NOT_ALLOWED)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: requests are recorded instead."""

    def _pieces(self, body: bytes) -> Iterator[bytes]:
        if self.registry.pace is None or ".s3." not in self.headers.get("Host", ""):
            yield body
            return
        for start in range(0, len(body), PIECE):
            self.registry.pace()
            yield body[start : start + PIECE]

    def _login(self) -> tuple[str | None, Token | None]:
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return None, None
        login = base64.b64decode(value).decode()
        username, _, password = login.partition(":")
        token = self.registry.aws.find_token(password)
        return login, token if username == "AWS" else None

    def _answer(self, host: str, login: str | None, token: Token | None) -> Answer:
        if ".s3." in host:
            return self._layer()
        if host not in self.registry.owners:
            return Answer(404)
        for piece, fault in self.registry.faults.items():
            if piece in self.path:
                return fault
        account, region = self.registry.owners[host]
        refusal = self._refuse_public(host, login, token) if account == PUBLIC else _refuse(host, region, token)
        return refusal or self._content(account, region, token)

    def _refuse_public(self, host: str, login: str | None, token: Token | None) -> Answer | None:
        if self.path.startswith("/token/"):
            if login is not None and (token is None or token.service != "ecr-public" or _dead(token)):
                return Answer(400, json.dumps({"message": EXPIRED}).encode())
            return Answer(200, json.dumps({"token": "anonymous" if token is None else "known"}).encode())
        if self.headers.get("Authorization", "").startswith("Bearer "):
            return None
        realm = f'Bearer realm="https://{host}/token/",service="{host}",scope="aws"'
        return Answer(401, headers=(("Www-Authenticate", realm),))

    def _content(self, account: str, region: str, token: Token | None) -> Answer:
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/]+)", self.path)
        if not found:
            return Answer(200)
        repository, kind, reference = found.groups()
        key = (account, region, repository)
        if key not in self.registry.policies:
            what = f"The repository with name '{repository}' does not exist in the registry with id '{account}'"
            return error(404, "NAME_UNKNOWN", what)
        action = "ecr:BatchGetImage" if kind == "manifests" else "ecr:GetDownloadUrlForLayer"
        if token and account != PUBLIC and (refusal := self.registry.refusal(token.identity, key, action)):
            return error(403, "DENIED", refusal)
        path = f"/v2/{account}/{region}/{repository}/{kind}/{reference}"
        if kind == "blobs" and self.command == "GET":
            ticket = secrets.token_hex(16)
            self.registry.tickets[ticket] = path
            where = f"https://{bucket(region)}/{reference}?X-Amz-Signature={ticket}"
            return Answer(307, headers=(("Location", where),))
        # The engine sends several such headers, in any order.
        accept = ", ".join(self.headers.get_all("Accept", []))
        answer = self.registry.backend(self.command, path, headers={"Accept": accept})
        if kind == "manifests" and answer.status == 404:
            return error(404, "MANIFEST_UNKNOWN", "Requested image not found")
        kept = ("content-type", "content-length", "docker-content-digest")
        headers = tuple((name, value) for name, value in answer.headers if name in kept)
        return Answer(answer.status, answer.body, headers)

    def _layer(self) -> Answer:
        if "Authorization" in self.headers:
            what = "Only one auth mechanism allowed"
            return Answer(400, f"<Error><Code>InvalidArgument</Code><Message>{what}</Message></Error>".encode())
        self.registry.layer_is_asked_for()
        path = self.registry.tickets.get(self.path.rpartition("=")[2])
        if path is None or self.registry.layers == "refused":
            return Answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
        answer = self.registry.backend("GET", path)
        if self.registry.layers == "garbage":
            return Answer(200, answer.body[::-1])
        if self.registry.layers == "reset":
            return Answer(200, answer.body[:100], (("Content-Length", str(len(answer.body))), ("Connection", "close")))
        return answer


def _refuse(host: str, region: str, token: Token | None) -> Answer | None:
    if token is None:
        realm = f'Basic realm="https://{host}/",service="ecr.amazonaws.com"'
        return Answer(401, b"Not Authorized", (("Www-Authenticate", realm),))
    if _dead(token) or token.region != region or token.service != "ecr":
        return error(403, "DENIED", EXPIRED)
    return None


def _dead(token: Token) -> bool:
    return token.expires_at <= time.time()


def error(status: int, code: str, message: str) -> Answer:
    """Return an error as Amazon ECR's registries do (OCI Distribution Specification, "Error Codes")."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Answer(status, body, (("Content-Type", "application/json"),))
