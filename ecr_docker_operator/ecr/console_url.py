"""The web page of an image's repository.

Pure. A repository's page has had this form since Amazon ECR has public registries beside private ones. The page of a
single image is documented nowhere and has changed since, so a tag or digest leads to its repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from ecr_docker_operator.ecr.reference import repository_of, split_image

if TYPE_CHECKING:
    from ecr_docker_operator.ecr.registry import EcrRegistry

# Partition -> domain of its console, with a region before it ("AWS Management Console endpoints and quotas" in the
# AWS General Reference; that of the European Sovereign Cloud: the AWS CLI's "console"). None is published for ISO.
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-eusc": "console.amazonaws-eusc.eu",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_GALLERY = "https://gallery.ecr.aws"


def console_url(image: str, registry: EcrRegistry) -> str | None:
    """Return the URL of the page of *image*'s repository in the AWS console, or in the Amazon ECR Public Gallery.

    :param image: with the host of *registry*.
    :return: ``None`` if AWS has published no console for the registry's partition, or the image has no such page.
    """
    _, rest = split_image(image)
    repository = quote(repository_of(rest))
    if registry.registry_id is None:
        # The part before the first slash is the alias of the repository's registry.
        return f"{_GALLERY}/{repository}" if "/" in repository else None
    domain = _CONSOLES.get(registry.partition)
    if domain is None:
        return None
    return f"https://{registry.region_name}.{domain}/ecr/repositories/private/{registry.registry_id}/{repository}"
