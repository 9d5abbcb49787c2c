"""Image references: their parts, and the Amazon ECR registry of an image.

Based only on the image's name and the operator's parameters. No input or output.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ecr_docker_operator.ecr.registry import EcrRegistry, find_partition
from ecr_docker_operator.errors import EcrInputError

if TYPE_CHECKING:
    from collections.abc import Callable


# The grammar of image references (package reference of the Distribution project, which Docker uses).
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGESTS = (r"sha256:[0-9a-f]{64}", r"sha384:[0-9a-f]{96}", r"sha512:[0-9a-f]{128}")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[A-Fa-f0-9:]+\])(?::[0-9]{{1,5}})?"
MAX_REPOSITORY = 255
"""Most characters of a repository's name."""


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


def literal(value: Any) -> str | None:
    """Return *value* if it is a text that is known before rendering, else ``None``."""
    if isinstance(value, str) and not any(mark in value for mark in ("{{", "{%", "{#")):
        return value
    return None


def validate_image(image: Any) -> None:
    """Check that *image* can be a name in any registry: a text without blanks and control characters.

    :raises EcrInputError: if it cannot.
    """
    if not isinstance(image, str) or not image or not image.isprintable() or any(map(str.isspace, image)):
        raise EcrInputError.image(image)


def validate(
    image: str | None, registry_id: str | None, region_name: str | None, registry_host: str | None = None
) -> None:
    """Check the values that are known; ``None`` means not set, or not rendered yet.

    An image that is not in Amazon ECR is not checked, because it is DockerOperator's.

    :raises EcrInputError: if a value is invalid, or contradicts another.
    """
    if registry_id is not None and not _matches(r"[0-9]{12}", registry_id):
        raise EcrInputError.registry_id(registry_id)
    if region_name is not None and (not isinstance(region_name, str) or find_partition(region_name) is None):
        raise EcrInputError.region_name(region_name)
    if registry_host is not None and not _can_be_alias(registry_host):
        raise EcrInputError.bad_alias(registry_host)
    if image is None:
        return
    _validate_name(image, registry_host, is_on_ecr=registry_id is not None)
    registry = find_registry(split_image(image)[0], None)
    if registry is None:
        return
    if registry_id and registry_id != registry.registry_id:
        raise EcrInputError.other_registry_id(image, str(registry), registry_id)
    # The host of ECR Public has no region, so no region contradicts it.
    if region_name and registry.registry_id and region_name != registry.region_name:
        raise EcrInputError.other_region_name(image, str(registry), region_name)


def find_alias(registry_host: str | None, registry_id: str | None, region_name: str | None) -> EcrRegistry | None:
    """Return the registry that *registry_host* stands for; ``None`` without one.

    :raises EcrInputError: if *registry_id* or *region_name* is missing, or a value is invalid.
    """
    if registry_host is None:
        return None
    require_registry_of_alias(registry_host, registry_id, region_name)
    validate(None, registry_id, region_name, registry_host)
    return EcrRegistry.private(str(registry_id), str(region_name), host=registry_host)


def require_registry_of_alias(registry_host: Any, registry_id: Any, region_name: Any) -> None:
    """Check that *registry_host* has both other parameters beside it, rendered or not.

    :raises EcrInputError: if one is missing.
    """
    if registry_host is not None and (registry_id is None or region_name is None):
        raise EcrInputError.incomplete_alias(registry_host)


def resolve(
    image: str,
    registry_id: str | None,
    region_name: str | None,
    registry_host: str | None,
    default_region: Callable[[], str | None],
) -> tuple[str, EcrRegistry | None]:
    """Return the image's full name and its registry; ``None`` if the image is not in Amazon ECR.

    :param default_region: returns the default region; called only if neither the image nor *region_name* gives one.
    :raises EcrInputError: if a value is invalid or contradicts another, or the values do not identify a registry.
    """
    validate_image(image)
    alias = find_alias(registry_host, registry_id, region_name)
    validate(image, registry_id, region_name, registry_host)
    host, _ = split_image(image)
    if host:
        return image, find_registry(host, alias)
    if not registry_id:
        return image, None
    registry = alias
    if registry is None:
        region_name = region_name or default_region()
        if not region_name:
            raise EcrInputError.no_region(image, registry_id)
        validate(None, None, region_name)
        registry = EcrRegistry.private(registry_id, region_name)
    return f"{registry.host}/{image}", registry


def find_registry(host: str | None, alias: EcrRegistry | None) -> EcrRegistry | None:
    """Return the Amazon ECR registry at *host*, which may be that of *alias*; ``None`` for other hosts."""
    if not host:
        return None
    if alias and host.lower() == alias.host.lower():
        return alias
    return EcrRegistry.parse(host)


def _validate_name(image: str, registry_host: str | None, *, is_on_ecr: bool) -> None:
    """Check the name of an image in Amazon ECR.

    :param is_on_ecr: whether an image without a host is in Amazon ECR.
    """
    # Without blanks, which would hide the host.
    name = "".join(image.split())
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", name)
    host, rest = split_image(name[scheme.end() :] if scheme else name)
    if host and (EcrRegistry.parse(host) or (registry_host and host.lower() == registry_host.lower())):
        if scheme:
            raise EcrInputError.scheme(image)
    elif host or scheme:
        return
    elif _is_only_a_registry(image, registry_host):
        raise EcrInputError.no_repository(image)
    elif not is_on_ecr:
        return
    validate_image(image)
    if not rest:
        raise EcrInputError.no_repository(image)
    repository = repository_of(rest)
    tag, digest = rest.removeprefix(repository).partition("@")[::2]
    if not _matches(_REPOSITORY, repository) or len(repository) > MAX_REPOSITORY:
        raise EcrInputError.repository(image, repository)
    if tag and not _matches(_TAG, tag[1:]):
        raise EcrInputError.tag(image, tag[1:])
    if "@" in rest and not any(_matches(form, digest) for form in _DIGESTS):
        raise EcrInputError.digest(image, digest)


def _is_only_a_registry(image: str, registry_host: str | None) -> bool:
    without_digest = image.partition("@")[0]
    # What follows a colon may be a port, or a tag.
    hosts = (without_digest, without_digest.rpartition(":")[0])
    return any(host and (host == registry_host or EcrRegistry.parse(host)) for host in hosts)


def _can_be_alias(host: Any) -> bool:
    return _matches(_HOST, host) and split_image(f"{host}/image")[0] == host and EcrRegistry.parse(host) is None


def _matches(form: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(form, value) is not None
