"""The connection to the engine: its URL, and the errors when it fails or is lost."""

from __future__ import annotations

import re
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from docker.errors import APIError, DockerException, InvalidConfigFile, StreamParseError
from docker.utils.utils import parse_host

from ecr_docker_operator.compat import AirflowException
from ecr_docker_operator.errors import EcrEngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.api.client import APIClient

# The last two occur while an answer is read, as a whole or as a stream.
_LOST = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)


_NO_PING = "Failed to ping host"
"""The start of DockerHook's message if something else than "OK" is the answer to its first request."""
_REDIRECTION, _NOT_MODIFIED, _ERROR = 300, 304, 400


def engine_url(client: APIClient) -> str:
    """Return the URL of the engine that *client* is connected to, in the form of ``docker_url``."""
    # For sockets, pipes and SSH, the place is not in docker-py's base URL, but in its adapter.
    adapter: Any = client.get_adapter(client.base_url)
    for scheme, attribute in (("unix", "socket_path"), ("npipe", "npipe_path"), ("ssh", "ssh_host")):
        if place := getattr(adapter, attribute, None):
            # docker-py turns "unix://run/docker.sock" into "/run//docker.sock".
            return f"{scheme}://{place.replace('//', '/')}"
    return re.sub(r"^https?://", "tcp://", client.base_url)


class EngineUrls(list[str]):
    """URLs of engines, in the order in which DockerHook tries them.

    DockerHook goes on with the next URL only after docker-py's own errors. After others, it can start again at *first*.
    """

    first = 0
    """Number of URLs that an iteration leaves out."""
    last = -1
    """Place of the URL that was tried last; -1 if DockerHook iterates over a copy, as it does with TLS."""

    @classmethod
    def of(cls, docker_url: str | list[str] | None) -> EngineUrls:
        """Return the URLs in *docker_url*, which may be one, several or none."""
        return cls([docker_url] if isinstance(docker_url, str) else docker_url or [])

    def __iter__(self) -> Iterator[str]:
        for place in range(self.first, len(self)):
            self.last = place
            yield self[place]


class RefusalLog:
    """A logger that also keeps the errors that are logged.

    DockerHook tries each URL in turn, and logs why an engine could not be used. Its final error does not include these
    reasons.

    :param log: the logger to write to.
    :param urls: URLs of the engines.
    """

    def __init__(self, log: Any, urls: EngineUrls) -> None:
        self._log = log
        self._urls = urls
        self._refusals: list[Exception] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def error(self, message: str, *args: Any, **kwargs: Any) -> None:
        """Log an error, and keep it if it comes from docker-py; raise it if it is about the worker's own file."""
        for arg in args:
            if isinstance(arg, InvalidConfigFile):
                raise arg
        self._refusals += [arg for arg in args if isinstance(arg, DockerException)]
        self._log.error(message, *args, **kwargs)

    def connect(self, connect: Callable[[], APIClient]) -> APIClient:
        """Return the client of *connect*, which tries the URLs in turn.

        :raises EcrEngineError: if it cannot connect to any engine, with the reason and next step for each.
        """
        try:
            while True:
                self._urls.last = -1
                try:
                    return connect()
                except Exception as error:
                    if isinstance(error, AirflowException) and len(self._refusals) == len(self._urls) > 0:
                        raise self._not_connected() from self._refusals[-1]
                    if not _is_about_an_engine(error, self._urls[len(self._refusals)]):
                        raise
                    self._refusals.append(error)
                    self._urls.first = len(self._refusals)
                    if not 0 <= self._urls.last < len(self._urls) - 1:
                        raise self._not_connected() from error
                    url = self._urls[self._urls.last]
                    self._log.error("Failed to establish connection to Docker host %s: %s", url, error)
        finally:
            self._urls.first = 0

    def _not_connected(self) -> EcrEngineError:
        answers = {self._urls[place]: _words(error) for place, error in enumerate(self._refusals)}
        return EcrEngineError.not_connected(answers, untried=len(self._refusals) < len(self._urls))


def _is_about_an_engine(error: Exception, url: str) -> bool:
    # Others may be about the login for another registry, which also happens while DockerHook connects.
    if isinstance(error, APIError):
        return "/_ping" in str(error)
    if isinstance(error, OSError):  # also the errors of requests
        return True
    # docker-py expects that an error is a JSON object, and fails while it reads another.
    if str(error).startswith(_NO_PING) or isinstance(error.__context__, requests.HTTPError):
        return True
    return type(error).__module__.startswith("paramiko.") or (isinstance(error, ValueError) and not is_readable(url))


def is_readable(url: str) -> bool:
    """Return whether docker-py can read *url*, which says nothing about an engine there."""
    try:
        parse_host(url)
    except (ValueError, DockerException):
        return False
    return True


@contextmanager
def lost_connection_explained(url: str) -> Iterator[None]:
    """Replace errors of a lost connection to the engine at *url*.

    :raises EcrEngineError: if the connection is lost inside.
    """
    try:
        yield
    except _LOST as error:
        raise EcrEngineError.lost(url, _words(error)) from error


def require_docker(response: requests.Response, url: str) -> None:
    """Check that the engine at *url* answered, which sends errors as JSON (Docker Engine API, "Errors").

    :raises EcrEngineError: if it was something else, such as a proxy or a login page.
    """
    status = response.status_code
    if status < _REDIRECTION or status == _NOT_MODIFIED:
        if "text/html" not in response.headers.get("Content-Type", ""):
            return
        said = response.text
    elif status < _ERROR:
        said = f"a redirection to {response.headers.get('Location')}"
    elif _is_error_of_docker(response):
        return
    else:
        said = response.text
    raise EcrEngineError.not_docker(url, f"{status} {response.reason}: {said}")


@contextmanager
def odd_answers_explained(url: str) -> Iterator[None]:
    """Replace errors of Python's and docker-py's for an answer of another form than a Docker engine's.

    :raises EcrEngineError: if there is such an error inside.
    """
    try:
        yield
    except (StreamParseError, ValueError, KeyError) as error:  # not TypeError, which is about the caller's arguments
        raise EcrEngineError.not_docker(url, f"{type(error).__name__}: {error}") from error


def _is_error_of_docker(response: requests.Response) -> bool:
    try:
        answer = response.json()
    except ValueError:
        return False
    return isinstance(answer, dict) and isinstance(answer.get("message"), str)


def _words(error: BaseException) -> str:
    """Return the message of the system, TLS or engine, without the layers around it."""
    inner: BaseException | None = error
    while inner and not isinstance(error, APIError):
        # Others only show how Python found out.
        if isinstance(inner, OSError | DockerException | urllib3.exceptions.HTTPError):
            error = inner
        inner = inner.__cause__ or inner.__context__ or next((a for a in inner.args if isinstance(a, Exception)), None)
    if isinstance(error, APIError):
        return str(error.explanation or error)
    if isinstance(error, ssl.SSLError):
        # Without OpenSSL's code at the start and Python's line number at the end.
        return re.sub(r"^\[.*?\] | \(_ssl\.c:\d+\)$", "", str(error))
    return (isinstance(error, OSError) and error.strerror) or str(error)
