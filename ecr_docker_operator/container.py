"""A container that fails says why, where its engine knows."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, ImageNotFound

from ecr_docker_operator.errors import EcrStartError, container_killed, container_of_other_platform
from ecr_docker_operator.image import split_image
from ecr_docker_operator.method import ClientMethod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.api.client import APIClient

    from ecr_docker_operator.auth import EcrAuthConfig

log = logging.getLogger(__name__)

# Of a process that was ended by the signal KILL: 128 + 9 (Docker documentation, "docker run", "Exit status").
KILLED = 137
OOM_SECONDS = 2
# That often, an image that was removed before its container was created is pulled again.
PULLS = 3
# As Go names them. What is spelled otherwise, by engines other than Docker's, is not compared.
ARCHITECTURES = {"386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x"}
# An image for the first runs on the second.
COMPATIBLE = {("386", "amd64"), ("arm", "arm64")}


class EcrStart(ClientMethod):
    """docker-py's ``APIClient.create_container`` or ``start``, except that a refusal by the engine is a sentence."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Create or start a container; parameters and result are those of the method.

        :raises EcrStartError: if the engine does not.
        """
        try:
            return self._method(*args, **kwargs)
        except APIError as error:
            what = kwargs.get("image") or kwargs.get("container") or args[0]
            raise EcrStartError.from_engine(str(what), error) from error


class EcrCreate(EcrStart):
    """docker-py's ``APIClient.create_container``, except that an image that is gone by then is pulled again.

    DockerOperator looks whether the engine has the image, and then creates the container. In between, another task's
    ``image_retention`` or a ``docker image prune`` may have removed it.

    :param client: whose method it is.
    :param logins: the client's logins.
    """

    def __init__(self, client: APIClient, logins: EcrAuthConfig) -> None:
        super().__init__(client.create_container)
        self._pull: Callable[..., Iterator[Any]] = client.pull
        self._logins = logins

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Create a container; parameters and result are those of ``APIClient.create_container``.

        :raises EcrStartError: if the engine does not; also if the image is gone time and again.
        :raises EcrError: as a pull does, if the image has to be pulled again.
        """
        image = kwargs.get("image") or args[0]
        for _ in range(PULLS):
            try:
                return super().__call__(*args, **kwargs)
            except EcrStartError as error:
                if not (isinstance(error.__cause__, ImageNotFound) and self._logins.registry(split_image(image)[0])):
                    raise
            log.warning("%s: the image was removed before its container was created; pulling it again.", image)
            self._pull_again(image)
        return super().__call__(*args, **kwargs)

    def _pull_again(self, image: str) -> None:
        # As DockerOperator logs a pull; if it fails, the pull itself ends the group.
        log.info("::group::Pulling docker image %s", image)
        for item in self._pull(image, stream=True, decode=True):
            if "id" not in item:
                log.info("%s", item.get("status"))
        log.info("::endgroup::")


class EcrWait(ClientMethod):
    """docker-py's ``APIClient.wait``, except that an exit code gets the reason that the engine has for it.

    The reason is put where the engine itself puts one that it knows at once, into ``Error`` of its answer (Docker
    Engine API, "Wait for a container"), which DockerOperator shows.

    :param client: the client whose method it is.
    """

    def __init__(self, client: APIClient) -> None:
        super().__init__(client.wait)
        self._client = client

    def __call__(self, container: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for *container* to end; parameters and result are those of ``APIClient.wait``."""
        result = self._method(container, *args, **kwargs)
        try:
            reason = self._reason(container, result["StatusCode"])
        except Exception as error:  # noqa: BLE001 - what explains a failure must not become another
            log.debug("%s: nothing known of its end: %r", container, error)
            return result
        if reason and not result.get("Error"):
            return {**result, "Error": {"Message": reason}}
        return result

    def _reason(self, container: Any, exit_code: int) -> str | None:
        if exit_code == 0:
            return None
        found = self._client.inspect_container(container)
        image, host = found["Config"]["Image"], found["HostConfig"]
        if exit_code == KILLED:
            return container_killed(image, out_of_memory=self._out_of_memory(container), limit=host["Memory"])
        made_for, engine = self._client.inspect_image(found["Image"]), self._client.version()
        pair = (made_for["Architecture"], engine["Arch"])
        if pair[0] != pair[1] and ARCHITECTURES.issuperset(pair) and pair not in COMPATIBLE:
            runs = f"{engine['Os']}/{engine['Arch']}"
            return container_of_other_platform(image, f"{made_for['Os']}/{made_for['Architecture']}", runs)
        return None

    def _out_of_memory(self, container: Any) -> bool:
        # The engine may hear of the end before it hears of the reason.
        deadline = time.monotonic() + OOM_SECONDS
        while not self._client.inspect_container(container)["State"]["OOMKilled"]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True
