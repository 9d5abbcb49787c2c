"""An engine that cannot be connected to, or goes away, is a sentence."""

from __future__ import annotations

import re
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from docker.errors import APIError, DockerException

from ecr_docker_operator.compat import AirflowException
from ecr_docker_operator.errors import EcrEngineError, EcrKilledError
from ecr_docker_operator.method import ClientMethod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The last two while an answer is read: as a whole, or as a stream.
_LOST = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)
# Paths of the Docker Engine API by which a container or a service comes into being, or starts.
_STARTS = re.compile(r"/(?:containers|services)/create(?:\?|$)|/containers/[^/]+/start(?:\?|$)")


class Attempts:
    """A logger that keeps the errors it is given.

    DockerHook tries one URL after the other, logs why an engine could not be used, and in the end raises that none
    could. The reasons are nowhere but in its log.

    :param log: where everything is logged.
    :param urls: the engines, in the order in which DockerHook tries them.
    """

    def __init__(self, log: Any, urls: str | list[str]) -> None:
        self._log = log
        self._urls = [urls] if isinstance(urls, str) else urls
        self._failed: list[Exception] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    @property
    def url(self) -> str:
        """URL that is tried, or with which it went well; empty where DockerHook has none at all."""
        return next(iter(self._urls[len(self._failed) :]), "")

    def error(self, message: str, *args: Any, **kwargs: Any) -> None:
        """Log an error, and keep it if it is docker-py's."""
        self._failed += [arg for arg in args if isinstance(arg, DockerException)]
        self._log.error(message, *args, **kwargs)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise what an attempt to connect raises, but as one of our sentences if it is about the engine.

        :raises EcrEngineError: if no engine can be connected to.
        """
        try:
            yield
        except AirflowException:
            if len(self._failed) < len(self._urls):  # about a connection of Airflow's
                raise
            raise self._sentence() from self._failed[-1]
        except requests.RequestException as error:
            # A connection that names another registry logs in there while the client is made.
            if isinstance(error, APIError) and "/_ping" not in str(error):
                raise
            self._failed.append(error)
            raise self._sentence() from error

    def _sentence(self) -> EcrEngineError:
        answers = {url: _answer(error) for url, error in zip(self._urls, self._failed, strict=False)}
        return EcrEngineError.not_connected(answers, untried=len(self._failed) < len(self._urls))


class EcrSend(ClientMethod):
    """The client's ``send``, through which each of its requests goes, except that a lost connection is a sentence.

    :param send: the client's own method (``requests.Session.send``).
    :param url: of the engine.
    :param is_killed: tells whether the task was killed, so that nothing is started any more.
    """

    def __init__(self, send: Callable[..., Any], url: str, is_killed: Callable[[], bool]) -> None:
        super().__init__(send)
        self.url = url
        self._is_killed = is_killed

    def __call__(self, request: requests.PreparedRequest, **kwargs: Any) -> Any:
        """Send a request; parameters and result are those of ``requests.Session.send``.

        :raises EcrEngineError: if the engine cannot be reached any more, or does not answer in time.
        :raises EcrKilledError: if the task was killed, and the request would start something.
        """
        if self._is_killed() and request.method == "POST" and _STARTS.search(request.path_url):
            raise EcrKilledError.before_start()
        with not_lost(self.url):
            return self._method(request, **kwargs)


@contextmanager
def not_lost(url: str) -> Iterator[None]:
    """Raise what a lost connection to the engine at *url* raises as a sentence.

    :raises EcrEngineError: if the connection is lost inside.
    """
    try:
        yield
    except _LOST as error:
        raise EcrEngineError.lost(url, _answer(error)) from error


def _answer(error: BaseException) -> str:
    """Return what the system, TLS or the engine said, without the layers that passed it on."""
    while not isinstance(error, APIError):
        inner = error.__cause__ or error.__context__ or next((a for a in error.args if isinstance(a, Exception)), None)
        if inner is None:
            break
        error = inner
    if isinstance(error, APIError):
        return str(error.explanation or error)
    if isinstance(error, ssl.SSLError):
        # In front OpenSSL's code for it, behind a line number of Python's.
        return re.sub(r"^\[.*?\] | \(_ssl\.c:\d+\)$", "", str(error))
    return (isinstance(error, OSError) and error.strerror) or str(error)
