"""A docker-py client that logs in to Amazon ECR by itself."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from docker.api.client import APIClient
from docker.errors import APIError, ImageNotFound, InvalidVersion, NotFound

from ecr_docker_operator.aws.token import collection_paused
from ecr_docker_operator.ecr import reference
from ecr_docker_operator.ecr.reference import repository_of, split_image
from ecr_docker_operator.engine.connection import (
    engine_url,
    lost_connection_explained,
    odd_answers_explained,
    require_docker,
)
from ecr_docker_operator.engine.container import exit_reason
from ecr_docker_operator.engine.logins import EcrAuthConfig, check_upstream, logins_removed_from_errors
from ecr_docker_operator.engine.progress import log_progress
from ecr_docker_operator.engine.pull import ImageRequest
from ecr_docker_operator.engine.retention import record_pull_time
from ecr_docker_operator.errors import EcrEngineError, EcrKilledError, EcrStartError

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import PreparedRequest

    from ecr_docker_operator.aws.identity import AwsIdentity
    from ecr_docker_operator.ecr.registry import EcrRegistry

log = logging.getLogger(__name__)

# How often to pull again an image that was removed before its container was created.
PULLS = 3
# How long, and how often, to retry a list of images, in seconds.
LIST_SECONDS, LIST_PAUSE = 5.0, 0.1
# Paths of the Docker Engine API that create or start a container or a service.
_STARTS = re.compile(r"/(?:containers|services)/create(?:\?|$)|/containers/[^/]+/start(?:\?|$)")


def _not_killed() -> bool:
    return False


class EcrClient(APIClient):
    """docker-py's ``APIClient``, except that it pulls images from Amazon ECR with a fresh token.

    Methods, parameters and results are docker-py's. Requests for images in other registries do not change.
    """

    take_kill: Callable[[], bool] = staticmethod(_not_killed)
    """Returns whether the task was killed, and resets that; if so, no container or service is started."""
    started = False
    """Whether a container has started since the last image was looked up or pulled."""
    for_operator = False
    """Whether DockerOperator logs the items of this client's streams."""
    records_pull_times = False
    """Whether to make the engine record when it pulls an image."""

    @classmethod
    def from_api_client(
        cls,
        client: APIClient,
        *,
        identity: AwsIdentity,
        alias: EcrRegistry | None = None,
        take_kill: Callable[[], bool] = _not_killed,
        for_operator: bool = False,
        records_pull_times: bool = False,
    ) -> EcrClient:
        """Turn *client* into an EcrClient, in place, and return it.

        :param identity: AWS identity that requests tokens.
        :param alias: Amazon ECR registry behind a host that is not one of Amazon ECR's.
        :raises EcrUpstreamError: if docker-py no longer keeps its logins in ``_auth_configs``.
        """
        check_upstream()
        # In place, so that its connection to the engine stays the same.
        client.__class__ = cls
        ours = cast("EcrClient", client)
        ours.take_kill = take_kill
        ours.for_operator = for_operator
        ours.records_pull_times = records_pull_times
        ours._auth_configs = EcrAuthConfig(  # noqa: SLF001 - guarded above, and by a contract test
            getattr(ours, "_auth_configs", {}),
            identity=identity,
            alias=alias,
            credstore_env=getattr(ours, "credstore_env", None),
        )
        return ours

    @property
    def engine_url(self) -> str:
        """URL of the engine that this client is connected to."""
        return engine_url(self)

    @property
    def uses_containerd_store(self) -> bool:
        """Whether the engine uses containerd's image store (Docker documentation, "containerd image store")."""
        status = self.info().get("DriverStatus") or []  # type: ignore[no-untyped-call]
        return ["driver-type", "io.containerd.snapshotter.v1"] in status

    def send(self, request: PreparedRequest, **kwargs: Any) -> Any:
        """Send a request to the engine, and nowhere else: a redirection is not followed.

        :raises EcrEngineError: if the connection is lost, the engine does not answer in time, or what answers is no
            Docker engine.
        :raises EcrKilledError: if the task was killed, and the request would start a container or a service.
        """
        if request.method == "POST" and _STARTS.search(request.path_url) and self.take_kill():
            raise EcrKilledError
        with lost_connection_explained(self.engine_url), logins_removed_from_errors():
            response = super().send(request, **{**kwargs, "allow_redirects": False})
            require_docker(response, self.engine_url)
        return response

    def reload_config(self, *args: Any, **kwargs: Any) -> None:
        """Read the worker's own logins again."""
        logins = self._auth_configs
        super().reload_config(*args, **kwargs)  # type: ignore[no-untyped-call] # replaces ours
        logins.reload(self._auth_configs)
        self._auth_configs = logins

    def pull(self, repository: str, *args: Any, **kwargs: Any) -> Any:
        """Pull an image; for an operator, the stream yields lines for DockerOperator to log.

        With ``stream=True``, errors may also be raised while the stream is read.

        :raises EcrTokenError: if AWS returns no token.
        :raises EcrPullError: if the engine reports an error.
        :raises EcrEngineError: if the connection to the engine is lost.
        """
        self.started = False
        logs = bool(self.for_operator and kwargs.get("stream") and kwargs.get("decode"))
        request = partial(super().pull, repository, *args, **kwargs)
        return self._ask(_with_tag(repository, *args, **kwargs), request, partial(self._pull, request, logs=logs))

    def _pull(self, request: Callable[[], Any], image: ImageRequest, *, logs: bool) -> Any:
        pull = partial(image.send, partial(image.pull, request))
        answer = log_progress(pull, partial(self._find_digest, image.image)) if logs else pull()
        if not self.records_pull_times:
            return answer
        if isinstance(answer, Iterator):
            return self._recorded(image.image, answer)
        self._record_pull_time(image.image)
        return answer

    def _find_digest(self, image: str) -> str:
        """Return the digest of an image on the engine; empty if it is not known, or not the only one."""
        try:
            found = self.inspect_image(image)["RepoDigests"]
        except Exception as error:  # noqa: BLE001 - the image was pulled, so the task can run
            log.debug("%s: its digest is not known: %r", image, error)
            return ""
        digests = {
            digest for name, _, digest in (name.partition("@") for name in found) if name == repository_of(image)
        }
        return digests.pop() if len(digests) == 1 else ""

    def _recorded(self, image: str, items: Iterator[Any]) -> Iterator[Any]:
        yield from items
        self._record_pull_time(image)

    def _record_pull_time(self, image: str) -> None:
        try:
            record_pull_time(self, image)
        except Exception as error:  # noqa: BLE001 - the image was pulled, so the task can run
            log.warning("%s: the engine did not record when it was pulled: %s", image, error)

    def inspect_distribution(self, image: str, auth_config: dict[str, str] | None = None) -> Any:
        """Return information about an image from its registry; *auth_config* is used as it is, without a retry.

        :raises EcrTokenError: if AWS returns no token.
        :raises EcrPullError: if the registry refuses the image.
        """
        request = partial(super().inspect_distribution, image, auth_config)
        return self._ask(image, request, partial(self._inspect, request, renew=auth_config is None))

    @staticmethod
    def _inspect(request: Callable[[], Any], image: ImageRequest, *, renew: bool) -> Any:
        def inspect() -> Any:
            with image.errors_explained(), collection_paused:
                return request()

        return image.send(inspect) if renew else inspect()

    def create_service(self, task_template: Any, *args: Any, **kwargs: Any) -> Any:
        """Create a Swarm service, after the manager's engine has checked its image.

        For every problem with an image, Swarm reports only "No such image", once a node has tried to pull. So the
        manager first requests the image from the registry (Docker Engine API, "Get image information from the
        registry"). Both requests use the same login, so the nodes get one that works.

        :raises EcrTokenError: if AWS returns no token.
        :raises EcrPullError: if the registry refuses the image.
        :raises EcrKilledError: if the task was killed in the meantime.
        """
        request = partial(super().create_service, task_template, *args, **kwargs)
        image = _service_image(task_template)
        return self._ask(image, request, partial(self._create_service, request, super().inspect_distribution))

    def _create_service(self, request: Callable[[], Any], inspect: Callable[[str], Any], image: ImageRequest) -> Any:
        def create() -> Any:
            with logins_removed_from_errors(), ExitStack() as held:
                with image.errors_explained(), collection_paused:
                    held.enter_context(self._auth_configs.hold_login(split_image(image.image)[0]))
                    self._try_to_inspect(image.image, inspect)
                return request()

        service = image.send(create)
        if self.take_kill():
            # It was created after the kill, so on_kill does not know about it.
            self.remove_service(service["ID"])
            raise EcrKilledError
        return service

    @staticmethod
    def _try_to_inspect(image: str, inspect: Callable[[str], Any]) -> None:
        try:
            inspect(image)
        except (APIError, InvalidVersion, EcrEngineError) as error:
            if isinstance(error, EcrEngineError) and error.other_answer is None:
                raise
            if isinstance(error, APIError) and error.is_client_error():
                raise
            # Nodes may reach a registry that their manager cannot reach.
            log.warning("%s: its registry could not be asked before the service is created: %s", image, error)

    def service_logs(self, service: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the log of a service; for an operator, output of a terminal is split into lines.

        docker-py yields a terminal's output byte by byte, and DockerSwarmOperator logs each item as a line.
        """
        items = super().service_logs(service, *args, **kwargs)
        return _by_line(items) if self.for_operator and kwargs.get("is_tty") else items

    def images(self, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """List images, and retry if one of them is removed in the meantime.

        In that case, containerd's image store answers that a part of the image was not found.
        """
        self.started = False
        request = partial(super().images, name, *args, **kwargs)
        with odd_answers_explained(self.engine_url):
            return self._ask(name or "", request, lambda _: _asked_again(request))

    def create_container(self, image: str, *args: Any, **kwargs: Any) -> Any:
        """Create a container; if its image was removed since it was pulled, pull it again.

        DockerOperator checks whether the engine has the image, then creates the container. In between, another task's
        ``image_retention`` or a ``docker image prune`` may remove the image.

        :raises EcrStartError: if the engine does not create the container.
        :raises EcrError: if the image has to be pulled again, as :meth:`pull` does.
        """
        request = partial(super().create_container, image, *args, **kwargs)
        return self._ask(image, request, partial(self._create_container, request))

    def _create_container(self, request: Callable[[], Any], image: ImageRequest) -> Any:
        for pulls_left in reversed(range(PULLS + 1)):
            try:
                with odd_answers_explained(self.engine_url):
                    return _with("Id", request())
            except APIError as error:
                if not pulls_left or not _image_is_gone(error):
                    raise EcrStartError.refused(image.image, error) from error
            log.warning("%s: the image was removed before its container was created; pulling it again.", image.image)
            self._pull_again(image.image)
        raise AssertionError

    def _pull_again(self, image: str) -> None:
        # Same log lines as DockerOperator's. If the pull fails, it ends the group itself.
        log.info("::group::Pulling docker image %s", image)
        for item in self.pull(image, stream=True, decode=True):
            if "id" not in item:
                log.info("%s", item.get("status"))
        log.info("::endgroup::")

    def start(self, container: Any, *args: Any, **kwargs: Any) -> None:
        """Start a container.

        :raises EcrStartError: if the engine does not start the container.
        """
        try:
            super().start(container, *args, **kwargs)
            self.started = True
        except APIError as error:
            if image := self._ecr_image_of(container):
                raise EcrStartError.refused(image, error) from error
            raise

    def wait(self, container: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for a container to end; if the reason for a failure is known, add it to the result as ``Error``.

        The engine uses the same field for errors while it waits (Docker Engine API, "Wait for a container"), and
        DockerOperator shows it.
        """
        with odd_answers_explained(self.engine_url):
            result = _with("StatusCode", super().wait(container, *args, **kwargs))
            if result["StatusCode"] == 0 or result.get("Error"):
                return result
        try:
            found = self.inspect_container(container)
            on_ecr = self._auth_configs.find_registry_of(found["Config"]["Image"])
            reason = exit_reason(self, found, result["StatusCode"]) if on_ecr else None
        except Exception as error:  # noqa: BLE001 - explaining a failure must not cause another
            log.debug("%s: the reason of its end is not known: %r", container, error)
            return result
        return {**result, "Error": {"Message": reason}} if reason else result

    def _ask(self, image: str, request: Callable[[], Any], ecr_request: Callable[[ImageRequest], Any]) -> Any:
        """Send *request*, or *ecr_request* if *image* is in Amazon ECR."""
        logins: EcrAuthConfig = self._auth_configs
        if image:
            reference.validate(image, None, None, logins.alias.host if logins.alias else None)
        registry = logins.find_registry_of(image)
        if registry is None:
            return request()
        return ecr_request(ImageRequest(image, registry, logins.identity, self.engine_url))

    def _ecr_image_of(self, container: Any) -> str | None:
        try:
            image = str(self.inspect_container(container)["Config"]["Image"])
        except Exception as error:  # noqa: BLE001 - must not hide the failure that is being explained
            log.debug("%s: its image is not known: %r", container, error)
            return None
        return image if self._auth_configs.find_registry_of(image) else None


def _with(key: str, answer: Any) -> Any:
    """Return an answer that has *key*, which DockerOperator needs."""
    if not isinstance(answer, dict) or key not in answer:
        raise KeyError(key)
    return answer


def _asked_again(request: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LIST_SECONDS
    while True:
        try:
            return request()
        except NotFound:
            if time.monotonic() > deadline:
                raise
        time.sleep(LIST_PAUSE)


def _image_is_gone(error: APIError) -> bool:
    # For an image that is being removed, containerd's store names the missing part, and Podman does not answer 404.
    parts = ("parent snapshot", "content digest", "image not known", "layer not known")
    return isinstance(error, ImageNotFound) or any(part in str(error.explanation) for part in parts)


def _with_tag(repository: str, tag: str | None = None, *_: Any, **__: Any) -> str:
    if not tag:
        return repository
    return f"{repository}{'@' if tag.startswith('sha256:') else ':'}{tag}"


def _service_image(task_template: Any) -> str:
    if not isinstance(task_template, Mapping):
        return ""
    return str((task_template.get("ContainerSpec") or {}).get("Image") or "")


def _by_line(items: Iterator[bytes]) -> Iterator[bytes]:
    line = b""
    for item in items:
        line += item
        if len(item) > 1 or item == b"\n":
            yield line.rstrip(b"\r\n")
            line = b""
    if line:
        yield line
