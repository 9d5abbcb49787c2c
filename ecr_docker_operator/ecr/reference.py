"""Image references: their parts, and the Amazon ECR registry of an image.

Based only on the image's name and the operator's parameters. No input or output.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ecr_docker_operator.ecr.registry import EcrRegistry, find_partition
from ecr_docker_operator.errors import EcrInputError

if TYPE_CHECKING:
    from collections.abc import Callable


def split_image(image: str) -> tuple[str | None, str]:
    """Return the registry host in *image*, or ``None``, and the rest of the name.

    The part before the first slash is a host if it contains a dot or a colon, or is ``localhost`` (Docker
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


def validate_name(image: str | None) -> None:
    """Check that *image* is not empty; ``None`` means that it is not rendered yet.

    :raises EcrInputError: if it is empty.
    """
    if image is not None and not image.strip():
        raise EcrInputError.empty_image(image)


def validate(image: str | None, registry_id: str | None, region_name: str | None) -> None:
    """Check the values that are known; ``None`` means not set, or not rendered yet.

    :raises EcrInputError: if a value is invalid, or contradicts another.
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
        raise EcrInputError.other_registry_id(image, str(registry), registry_id)
    # The host of ECR Public has no region, so no region contradicts it.
    if region_name and registry.registry_id and region_name != registry.region_name:
        raise EcrInputError.other_region_name(image, str(registry), region_name)


def resolve(
    image: str,
    registry_id: str | None,
    region_name: str | None,
    default_region: Callable[[], str | None],
) -> tuple[str, EcrRegistry | None]:
    """Return the image's full name and its registry; ``None`` if the image is not in Amazon ECR.

    :param default_region: returns the default region; called only if neither the image nor *region_name* gives one.
    :raises EcrInputError: if the values contradict each other, or do not identify a registry.
    """
    validate(image, registry_id, region_name)
    host, _ = split_image(image)
    registry = EcrRegistry.parse(host) if host else None
    if registry or not registry_id:
        return image, registry
    if host and not region_name:
        # Do not use the default region here: a registry_id in default_args would send tokens to any host.
        raise EcrInputError.no_region_of_alias(image, registry_id)
    region_name = region_name or default_region()
    if not region_name:
        raise EcrInputError.no_region(image, registry_id)
    validate(None, None, region_name)
    registry = EcrRegistry.private(registry_id, region_name, host=host)
    return (image if host else f"{registry.host}/{image}"), registry
