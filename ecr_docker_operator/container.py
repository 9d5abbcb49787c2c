"""A container that fails says why, where its engine knows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ecr_docker_operator.errors import container_killed, container_of_other_platform
from ecr_docker_operator.method import ClientMethod

if TYPE_CHECKING:
    from docker.api.client import APIClient

log = logging.getLogger(__name__)

# Of a process that was ended by the signal KILL: 128 + 9 (Docker documentation, "docker run", "Exit status").
KILLED = 137
# As Go names them. What is spelled otherwise, by engines other than Docker's, is not compared.
ARCHITECTURES = {"386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x"}


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
            log.error("%s", reason)
            return {**result, "Error": {"Message": reason}}
        return result

    def _reason(self, container: Any, exit_code: int) -> str | None:
        if exit_code == 0:
            return None
        found = self._client.inspect_container(container)
        image, host = found["Config"]["Image"], found["HostConfig"]
        if exit_code == KILLED:
            return container_killed(image, out_of_memory=found["State"]["OOMKilled"], limit=host["Memory"])
        made_for, engine = self._client.inspect_image(found["Image"]), self._client.version()
        if made_for["Architecture"] != engine["Arch"] and {made_for["Architecture"], engine["Arch"]} <= ARCHITECTURES:
            runs = f"{engine['Os']}/{engine['Arch']}"
            return container_of_other_platform(image, f"{made_for['Os']}/{made_for['Architecture']}", runs)
        return None
