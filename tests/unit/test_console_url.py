"""The console page of an image: partition, account, region and repository."""

from __future__ import annotations

import pytest

from ecr_docker_operator.ecr.console_url import console_url
from ecr_docker_operator.ecr.reference import resolve, split_image
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT

PRIVATE = f"ecr/repositories/private/{ACCOUNT}"


def page_of(
    image: str, registry_id: str | None = None, region_name: str | None = None, registry_host: str | None = None
) -> str | None:
    """Return the page of an image as the operator's parameters name it."""
    name, registry = resolve(image, registry_id, region_name, registry_host, lambda: None)
    assert registry
    return console_url(name, registry)


@pytest.mark.parametrize(
    ("host", "page"),
    [
        ("dkr.ecr.eu-west-1.amazonaws.com", "https://eu-west-1.console.aws.amazon.com"),
        ("dkr.ecr-fips.us-east-2.amazonaws.com", "https://us-east-2.console.aws.amazon.com"),
        ("dkr-ecr.eu-west-1.on.aws", "https://eu-west-1.console.aws.amazon.com"),
        ("DKR.ECR.EU-WEST-1.AMAZONAWS.COM", "https://eu-west-1.console.aws.amazon.com"),
        ("dkr.ecr.us-gov-west-1.amazonaws.com", "https://us-gov-west-1.console.amazonaws-us-gov.com"),
        ("dkr-ecr-fips.us-gov-east-1.on.aws", "https://us-gov-east-1.console.amazonaws-us-gov.com"),
        ("dkr.ecr.cn-north-1.amazonaws.com.cn", "https://cn-north-1.console.amazonaws.cn"),
        ("dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn", "https://cn-northwest-1.console.amazonaws.cn"),
        ("dkr.ecr.eusc-de-east-1.amazonaws.eu", "https://eusc-de-east-1.console.amazonaws-eusc.eu"),
    ],
)
def test_console(host: str, page: str) -> None:
    """Each partition has its own console, for all of its host names."""
    assert page_of(f"{ACCOUNT}.{host}/app:1") == f"{page}/{PRIVATE}/app"


@pytest.mark.parametrize(
    "host",
    [
        "dkr.ecr.us-iso-east-1.c2s.ic.gov",
        "dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
        "dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk",
        "dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
    ],
)
def test_no_console(host: str) -> None:
    """If AWS publishes no console for a partition, there is no page."""
    assert page_of(f"{ACCOUNT}.{host}/app:1") is None


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("app", "app"),
        ("app:1", "app"),
        ("team/app:v1.0", "team/app"),
        ("team/app@sha256:" + 64 * "0", "team/app"),
        ("team/app:v1.0@sha256:" + 64 * "0", "team/app"),
        ("a_b/c-d.e__f:1", "a_b/c-d.e__f"),
    ],
)
def test_repository(name: str, repository: str) -> None:
    """An image with tag or digest links to its repository, and the name cannot leave the page's path."""
    host = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com:443"
    assert page_of(f"{host}/{name}") == f"https://eu-west-1.console.aws.amazon.com/{PRIVATE}/{repository}"


@pytest.mark.parametrize(
    ("image", "registry_id", "region_name", "page"),
    [
        ("report:1", OTHER_ACCOUNT, "us-west-2", "https://us-west-2.console.aws.amazon.com"),
        ("report:1", OTHER_ACCOUNT, "cn-north-1", "https://cn-north-1.console.amazonaws.cn"),
        (
            "localhost:5000/report:1",
            OTHER_ACCOUNT,
            "us-gov-west-1",
            "https://us-gov-west-1.console.amazonaws-us-gov.com",
        ),
    ],
)
def test_parameters(image: str, registry_id: str, region_name: str, page: str) -> None:
    """If the host does not name the registry, the parameters do."""
    found = page_of(image, registry_id, region_name, split_image(image)[0])
    assert found == f"{page}/ecr/repositories/private/{OTHER_ACCOUNT}/report"


@pytest.mark.parametrize("host", ["public.ecr.aws", "ecr-public.aws.com", "public.ecr.aws:443"])
def test_gallery(host: str) -> None:
    """Public images link to the gallery, under the alias of their registry."""
    assert page_of(f"{host}/docker/library/busybox:1") == "https://gallery.ecr.aws/docker/library/busybox"


def test_no_alias() -> None:
    """A public image without the alias of its registry has no page; it cannot be pulled, either."""
    assert page_of("public.ecr.aws/busybox:1") is None
