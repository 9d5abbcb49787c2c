"""The connection to the engine: its URL, and the errors when it fails or is lost."""

from __future__ import annotations

import re
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from docker.errors import APIError, DockerException

from ecr_docker_operator.compat import AirflowException
from ecr_docker_operator.errors import EcrEngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker.api.client import APIClient

# The last two occur while an answer is read, as a whole or as a stream.
_LOST = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)


def engine_url(client: APIClient) -> str:
    """Return the URL of the engine that *client* is connected to, in the form of ``docker_url``."""
    # For sockets, pipes and SSH, the place is not in docker-py's base URL, but in its adapter.
    adapter: Any = client.get_adapter(client.base_url)
    for scheme, attribute in (("unix", "socket_path"), ("npipe", "npipe_path"), ("ssh", "ssh_host")):
        if place := getattr(adapter, attribute, None):
            # docker-py turns "unix://run/docker.sock" into "/run//docker.sock".
            return f"{scheme}://{place.replace('//', '/')}"
    return re.sub(r"^https?://", "tcp://", client.base_url)


class RefusalLog:
    """A logger that also keeps the errors that are logged.

    DockerHook tries each URL in turn, and logs why an engine could not be used. Its final error does not include these
    reasons.

    :param log: the logger to write to.
    :param urls: URLs of the engines, in the order in which DockerHook tries them.
    """

    def __init__(self, log: Any, urls: str | list[str]) -> None:
        self._log = log
        self._urls = [urls] if isinstance(urls, str) else urls
        self._refusals: list[Exception] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def error(self, message: str, *args: Any, **kwargs: Any) -> None:
        """Log an error, and keep it if it comes from docker-py."""
        self._refusals += [arg for arg in args if isinstance(arg, DockerException)]
        self._log.error(message, *args, **kwargs)

    @contextmanager
    def errors_explained(self) -> Iterator[None]:
        """Replace DockerHook's connection error with one that gives the reason and next step for each engine.

        :raises EcrEngineError: if the hook cannot connect to any engine.
        """
        try:
            yield
        except AirflowException:
            if len(self._refusals) < len(self._urls):  # about an Airflow connection
                raise
            raise self._not_connected() from self._refusals[-1]
        except requests.RequestException as error:
            # The login for another registry, which also happens here, may have failed.
            if isinstance(error, APIError) and "/_ping" not in str(error):
                raise
            self._refusals.append(error)
            raise self._not_connected() from error

    def _not_connected(self) -> EcrEngineError:
        answers = {url: _words(error) for url, error in zip(self._urls, self._refusals, strict=False)}
        return EcrEngineError.not_connected(answers, untried=len(self._refusals) < len(self._urls))


@contextmanager
def lost_connection_explained(url: str) -> Iterator[None]:
    """Replace errors of a lost connection to the engine at *url*.

    :raises EcrEngineError: if the connection is lost inside.
    """
    try:
        yield
    except _LOST as error:
        raise EcrEngineError.lost(url, _words(error)) from error


def _words(error: BaseException) -> str:
    """Return the message of the system, TLS or engine, without the layers around it."""
    while not isinstance(error, APIError):
        inner = error.__cause__ or error.__context__ or next((a for a in error.args if isinstance(a, Exception)), None)
        if inner is None:
            break
        error = inner
    if isinstance(error, APIError):
        return str(error.explanation or error)
    if isinstance(error, ssl.SSLError):
        # Without OpenSSL's code at the start and Python's line number at the end.
        return re.sub(r"^\[.*?\] | \(_ssl\.c:\d+\)$", "", str(error))
    return (isinstance(error, OSError) and error.strerror) or str(error)
