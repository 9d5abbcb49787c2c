"""Finds out from the engine why a container failed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ecr_docker_operator.errors import container_killed, other_platform

if TYPE_CHECKING:
    from docker.api.client import APIClient

# Exit code after the signal KILL: 128 + 9 (Docker documentation, "docker run", "Exit status").
KILLED = 137
OOM_SECONDS = 2
# Go's names. Engines other than Docker's may use other names, which are not compared.
ARCHITECTURES = {"386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x"}
# An engine of the second architecture runs images for the first.
COMPATIBLE = {("386", "amd64"), ("arm", "arm64")}


def exit_reason(client: APIClient, found: dict[str, Any], exit_code: int) -> str | None:
    """Return why a container ended with *exit_code*; ``None`` if the reason is not known.

    :param found: the engine's description of the container (Docker Engine API, "Inspect a container").
    """
    image = found["Config"]["Image"]
    if exit_code == KILLED:
        limit = found["HostConfig"]["Memory"]
        return container_killed(image, out_of_memory=_out_of_memory(client, found["Id"]), limit=limit)
    made_for, engine = client.inspect_image(found["Image"]), client.version()
    pair = (made_for["Architecture"], engine["Arch"])
    other_architecture = pair[0] != pair[1] and ARCHITECTURES.issuperset(pair) and pair not in COMPATIBLE
    if other_architecture or made_for["Os"] != engine["Os"]:
        platforms = f"{made_for['Os']}/{made_for['Architecture']}", f"{engine['Os']}/{engine['Arch']}"
        return other_platform(image, *platforms)
    return None


def _out_of_memory(client: APIClient, container: Any) -> bool:
    # The engine may report the end before the reason.
    deadline = time.monotonic() + OOM_SECONDS
    while not client.inspect_container(container)["State"]["OOMKilled"]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
