"""The metadata service of an EC2 instance, which provides the credentials of the instance role.

Version 2 only: requests without a session token fail ("Use the Instance Metadata Service to access instance
metadata" and "Retrieve security credentials from instance metadata" in the Amazon EC2 User Guide).
"""

from __future__ import annotations

import json
import secrets
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar

from tests.stand.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stand.aws import Aws

PRINCIPAL = "ec2.amazonaws.com"
"""The service that assumes the roles of instances."""

_SIX_HOURS = 6 * 3600
_ROLES = "/latest/meta-data/iam/security-credentials/"


@contextmanager
def instance(aws: Aws, role: str) -> Iterator[dict[str, str]]:
    """Run the metadata service of an instance with a role; yield the environment that points to it.

    :param role: ARN of the role, which must trust :data:`PRINCIPAL`.
    """
    session = aws.assume_role(role, f"i-{secrets.token_hex(8)}", PRINCIPAL)
    credentials = {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": _at(0),
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret_key,
        "Token": session.session_token or "",
        "Expiration": _at(_SIX_HOURS),
    }
    name = role.rpartition("/")[2]
    answers = {_ROLES: name, _ROLES + name: json.dumps(credentials)}
    server = Server(type("Handler", (_Handler,), {"answers": answers, "token": secrets.token_urlsafe(40)}))
    try:
        yield {
            "AWS_EC2_METADATA_DISABLED": "false",
            # Patience for a busy machine: by default, one attempt of a second.
            "AWS_METADATA_SERVICE_TIMEOUT": "60",
            "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "5",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        }
    finally:
        server.stop()


def _at(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


class _Handler(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, str]]
    token: ClassVar[str]

    def do_PUT(self) -> None:
        asked = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self._answer(200 if asked else 400, self.token if asked else "")

    def do_GET(self) -> None:
        if self.headers["X-aws-ec2-metadata-token"] != self.token:
            self._answer(401)
        elif self.path in self.answers:
            self._answer(200, self.answers[self.path])
        else:
            self._answer(404)

    def _answer(self, status: int, text: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
