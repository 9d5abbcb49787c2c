"""Which image is meant, and in which Amazon ECR registry is it?

Pure: decides from the image's name and the operator's parameters alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ecr_docker_operator.errors import EcrInputError
from ecr_docker_operator.registry import EcrRegistry, find_partition

if TYPE_CHECKING:
    from collections.abc import Callable


def split_image(image: str) -> tuple[str | None, str]:
    """Return the registry host that *image* names, ``None`` if it names none, and the rest.

    What is in front of the first slash is a host if it has a dot or a colon or is ``localhost`` (Docker
    documentation, "docker image tag").
    """
    host, slash, rest = image.partition("/")
    if slash and (host == "localhost" or "." in host or ":" in host):
        return host, rest
    return None, image


def repository_of(image: str) -> str:
    """Return *image* without its tag and digest."""
    name = image.partition("@")[0]
    repository, colon, tag = name.rpartition(":")
    return repository if colon and "/" not in tag else name


def check_name(image: str | None) -> None:
    """Check that an image has a name at all; ``None`` is one that is not rendered yet.

    :raises EcrInputError: if it has none.
    """
    if image is not None and not image.strip():
        raise EcrInputError.empty_image(image)


def check(image: str | None, registry_id: str | None, region_name: str | None) -> None:
    """Check the values that are known; ``None`` is a value that is unset, or not rendered yet.

    :raises EcrInputError: for what can be seen to be wrong without asking anybody.
    """
    if registry_id is not None and not re.fullmatch(r"[0-9]{12}", registry_id):
        raise EcrInputError.registry_id(registry_id)
    if region_name is not None and find_partition(region_name) is None:
        raise EcrInputError.region_name(region_name)
    if image is None:
        return
    if "://" in image:
        raise EcrInputError.scheme(image)
    host, _ = split_image(image)
    registry = EcrRegistry.parse(host) if host else None
    if registry is None:
        return
    if registry_id and registry_id != registry.registry_id:
        raise EcrInputError.other_registry_id(image, registry, registry_id)
    # The host of ECR Public says nothing of a region, so no region contradicts it.
    if region_name and registry.registry_id and region_name != registry.region_name:
        raise EcrInputError.other_region_name(image, registry, region_name)


def locate(
    image: str,
    registry_id: str | None,
    region_name: str | None,
    default_region: Callable[[], str | None],
) -> tuple[str, EcrRegistry | None]:
    """Return the image's full name and its registry; ``None`` for an image that is not on Amazon ECR.

    :param default_region: tells where *registry_id* is meant if the image names no host and *region_name* is
        ``None``; asked only then.
    :raises EcrInputError: if the values contradict each other or leave the registry open.
    """
    check(image, registry_id, region_name)
    host, _ = split_image(image)
    registry = EcrRegistry.parse(host) if host else None
    if registry or not registry_id:
        return image, registry
    if host and not region_name:
        # A default region would send a token to whatever host stands beside a registry_id in default_args.
        raise EcrInputError.no_region_of_alias(image, registry_id)
    region_name = region_name or default_region()
    if not region_name:
        raise EcrInputError.no_region(image, registry_id)
    check(None, None, region_name)
    registry = EcrRegistry.private(registry_id, region_name, host=host)
    return (image if host else f"{registry.host}/{image}"), registry
