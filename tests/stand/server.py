"""An HTTP server of the stand in a separate thread."""

from __future__ import annotations

import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

SECONDS_TO_NOTICE_THE_END = 0.005


class Server(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1, or on a listening socket; ends with ``stop``."""

    # Accept many simultaneous connections: refused ones would retry only after a second or more.
    request_queue_size = 1024

    def __init__(
        self,
        handler: type[BaseHTTPRequestHandler],
        *,
        tls: ssl.SSLContext | None = None,
        listening: socket.socket | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), handler, bind_and_activate=listening is None)
        if listening:
            self.socket.close()
            self.socket = listening
            self.server_address = listening.getsockname()
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self._thread = threading.Thread(target=self.serve_forever, args=(SECONDS_TO_NOTICE_THE_END,))
        self._thread.start()

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection, without Nagle's algorithm, which delays the body of an answer by 40 ms."""
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the error, unless a client hung up: tests of time-outs and lost connections do."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Stop serving and close the socket."""
        self.shutdown()
        self.server_close()
        self._thread.join()
