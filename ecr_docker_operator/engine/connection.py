"""The connection to the engine: which engine it is, why others could not be reached, and that it was lost."""

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

# The last two while an answer is read: as a whole, or as a stream.
_LOST = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)


def engine_url(client: APIClient) -> str:
    """Return the URL of the engine that *client* is connected to, as ``docker_url`` would name it."""
    # docker-py gives sockets, pipes and SSH a base URL that names none of them; its adapter for it knows.
    adapter: Any = client.get_adapter(client.base_url)
    for scheme, attribute in (("unix", "socket_path"), ("npipe", "npipe_path"), ("ssh", "ssh_host")):
        if place := getattr(adapter, attribute, None):
            # Of "unix://run/docker.sock", docker-py makes "/run//docker.sock".
            return f"{scheme}://{place.replace('//', '/')}"
    return re.sub(r"^https?://", "tcp://", client.base_url)


class RefusalLog:
    """A logger that keeps the errors it is given.

    DockerHook tries one URL after the other, logs why an engine could not be used, and in the end raises that none
    could. The reasons are only in its log.

    :param log: where everything is logged.
    :param urls: the engines, in the order in which DockerHook tries them.
    """

    def __init__(self, log: Any, urls: str | list[str]) -> None:
        self._log = log
        self._urls = [urls] if isinstance(urls, str) else urls
        self._refusals: list[Exception] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def error(self, message: str, *args: Any, **kwargs: Any) -> None:
        """Log an error, and keep it if it is docker-py's."""
        self._refusals += [arg for arg in args if isinstance(arg, DockerException)]
        self._log.error(message, *args, **kwargs)

    @contextmanager
    def errors_explained(self) -> Iterator[None]:
        """Turn an error of DockerHook's about its engines into ours, which says for each engine what to do.

        :raises EcrEngineError: if no engine can be connected to.
        """
        try:
            yield
        except AirflowException:
            if len(self._refusals) < len(self._urls):  # about a connection of Airflow's
                raise
            raise self._not_connected() from self._refusals[-1]
        except requests.RequestException as error:
            # A connection for another registry logs in there while the client is made.
            if isinstance(error, APIError) and "/_ping" not in str(error):
                raise
            self._refusals.append(error)
            raise self._not_connected() from error

    def _not_connected(self) -> EcrEngineError:
        answers = {url: _words(error) for url, error in zip(self._urls, self._refusals, strict=False)}
        return EcrEngineError.not_connected(answers, untried=len(self._refusals) < len(self._urls))


@contextmanager
def lost_connection_explained(url: str) -> Iterator[None]:
    """Turn the errors of a lost connection to the engine at *url* into ours.

    :raises EcrEngineError: if the connection is lost inside.
    """
    try:
        yield
    except _LOST as error:
        raise EcrEngineError.lost(url, _words(error)) from error


def _words(error: BaseException) -> str:
    """Return what the system, TLS or the engine said, without the words of the layers in between."""
    while not isinstance(error, APIError):
        inner = error.__cause__ or error.__context__ or next((a for a in error.args if isinstance(a, Exception)), None)
        if inner is None:
            break
        error = inner
    if isinstance(error, APIError):
        return str(error.explanation or error)
    if isinstance(error, ssl.SSLError):
        # Without OpenSSL's code before it, and Python's line number behind it.
        return re.sub(r"^\[.*?\] | \(_ssl\.c:\d+\)$", "", str(error))
    return (isinstance(error, OSError) and error.strerror) or str(error)
