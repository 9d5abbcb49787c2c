"""A small HTTP engine that pulls nothing and records each request with its login."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

import pytest
from docker.errors import APIError

from tests.stand.server import Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from types import TracebackType


REFUSED = "this engine runs nothing"


def execute(task: Any) -> None:
    """Execute a task on this engine, which pulls, then refuses to create the container."""
    with pytest.raises(APIError, match=REFUSED):
        task.execute({})


@dataclass(frozen=True)
class Asked:
    """One request: method, path without the API version, query, body, and its ``X-Registry-Auth``."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: dict[str, Any] = field(repr=False)
    login: dict[str, str] | None
    """Decoded; ``None`` if the request carried no login."""


class RecordingEngine:
    """The paths of the Docker Engine API that a pull, a login and a service need."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.present: set[str] = set()
        """Names of the images that the engine has."""
        self.stream: list[dict[str, Any]] = [{"status": "Pulling"}, {"status": "Done"}]
        """Items of the stream that answers a pull."""
        self.piece = 0
        """Size of the pieces of that stream in bytes; 0: one item per piece."""
        self.pull_status, self.pull_answer = 200, ""
        """Status of a pull, and the message that replaces the stream for an error status."""
        self.raw: dict[str, bytes] = {}
        """Path -> answer, with its head, after which the engine hangs up."""
        self.once: tuple[int, str] | None = None
        """Status and message, or stream item, that answers only the next pull."""
        self.answers = dict(_ANSWERS)
        """Path -> status and answer, for all other requests; a tuple is a stream of items."""
        self._tls = tls

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"engine": self})
        self._server = Server(handler, tls=self._tls)
        self.url = f"tcp://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop()

    def pulls(self) -> list[Asked]:
        """Return the pulls."""
        return [asked for asked in self.asked if asked.path == "/images/create"]

    def passwords(self) -> list[str | None]:
        """Return the password of each pull; ``None`` for an anonymous pull."""
        logins = [asked.login or {} for asked in self.pulls()]
        return [login.get("password") or login.get("Password") for login in logins]


class _Handler(BaseHTTPRequestHandler):
    engine: ClassVar[RecordingEngine]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = re.sub(r"^/v[0-9.]+", "", url.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        header = self.headers.get("X-Registry-Auth")
        login = json.loads(base64.urlsafe_b64decode(header)) if header else None
        body = json.loads(content) if content else {}
        self.engine.asked.append(Asked(self.command, path, parse_qs(url.query), body, login))
        if path in self.engine.raw:
            self.wfile.write(self.engine.raw[path])
            self.close_connection = True
        elif path == "/images/create" and self.engine.once:
            (status, message), self.engine.once = self.engine.once, None
            if status < 400:
                self._stream([json.loads(message)])
            else:
                self._answer(status, {"message": message})
        elif path == "/images/create" and self.engine.pull_status < 400:
            self._stream(self.engine.stream)
        elif path == "/images/create":
            self._answer(self.engine.pull_status, {"message": self.engine.pull_answer})
        elif path == "/images/json" and path not in self.engine.answers:
            name = parse_qs(url.query).get("filters", [""])[0]
            self._answer(200, [{"Id": image} for image in self.engine.present if json.dumps(image) in name])
        else:
            self._answer(*self.engine.answers.get(path, (404, {"message": f"no such path: {path}"})))

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: requests are recorded instead."""

    def _answer(self, status: int, answer: Any) -> None:
        if isinstance(answer, tuple):
            self._stream(answer)
            return
        raw = isinstance(answer, bytes)
        content = answer if raw else (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.docker.raw-stream" if raw else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, items: Sequence[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pieces = [json.dumps(item).encode() + b"\r\n" for item in items]
        if self.engine.piece:
            content = b"".join(pieces)
            pieces = [content[at : at + self.engine.piece] for at in range(0, len(content), self.engine.piece)]
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


_ANSWERS: dict[str, tuple[int, Any]] = {
    "/_ping": (200, "OK"),
    "/version": (200, {"ApiVersion": "1.41"}),
    "/auth": (200, {"Status": "Login Succeeded"}),
    "/services/create": (201, {"ID": "service"}),
    "/containers/create": (500, {"message": REFUSED}),
}
