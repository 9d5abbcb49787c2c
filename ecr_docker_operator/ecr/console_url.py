"""The web page of an image's repository.

The URL of a repository has had this form since Amazon ECR introduced public registries. The URL of a single image is
not documented and has changed, so the link for a tag or digest leads to its repository. No input or output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from ecr_docker_operator.ecr.reference import repository_of, split_image

if TYPE_CHECKING:
    from ecr_docker_operator.ecr.registry import EcrRegistry

# Partition -> domain of its console; the region goes in front ("AWS Management Console endpoints and quotas" in the AWS
# General Reference; for the European Sovereign Cloud, the AWS CLI's "console"). AWS publishes none for ISO partitions.
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-eusc": "console.amazonaws-eusc.eu",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_GALLERY = "https://gallery.ecr.aws"


def console_url(image: str, registry: EcrRegistry) -> str | None:
    """Return the URL of the image's repository in the AWS console, or in the Amazon ECR Public Gallery.

    :param image: full name, with the host of *registry*.
    :return: ``None`` if AWS publishes no console for the registry's partition, or the image has no page.
    """
    _, rest = split_image(image)
    repository = quote(repository_of(rest))
    if registry.registry_id is None:
        # Without a slash, the name lacks the alias of its registry.
        return f"{_GALLERY}/{repository}" if "/" in repository else None
    domain = _CONSOLES.get(registry.partition)
    if domain is None:
        return None
    return f"https://{registry.region_name}.{domain}/ecr/repositories/private/{registry.registry_id}/{repository}"
