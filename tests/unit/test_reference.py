"""An image's full name and registry, from its name and the operator's parameters, and invalid values."""

from __future__ import annotations

import re

import pytest

from ecr_docker_operator import EcrInputError
from ecr_docker_operator.ecr.reference import resolve, split_image, validate, validate_name

A = "123456789012"
HOST = f"{A}.dkr.ecr.eu-west-1.amazonaws.com"
REGISTRY = f"Amazon ECR registry {A} in eu-west-1"


def nobody_asks() -> str | None:
    """Fail if the default region is looked up."""
    pytest.fail("the default region was asked for")


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("app", None),
        ("app:1", None),
        ("team/app:1", None),
        ("app@sha256:0123", None),
        ("docker.io/library/busybox", "docker.io"),
        ("localhost/app", "localhost"),
        ("localhost:5000/app:1", "localhost:5000"),
        (f"{HOST}/team/app:1", HOST),
        (f"{HOST}:443/app@sha256:0123", f"{HOST}:443"),
        (f"{A}.dkr.ecr.us-west-2.amazonaws.com/public.ecr.aws/foo:latest", f"{A}.dkr.ecr.us-west-2.amazonaws.com"),
    ],
)
def test_host_of_image(image: str, host: str | None) -> None:
    """The host is the part before the first slash, if it can be a host."""
    assert host == split_image(image)[0]


@pytest.mark.parametrize(
    "image",
    [
        f"{HOST}/app",
        f"{HOST}/app:1",
        f"{HOST}:443/app:1",
        f"{HOST}/team/sub/app@sha256:{'0' * 64}",
        f"{HOST}/docker-hub/library/busybox:1",
        f"{HOST}/public.ecr.aws/foo:latest",
    ],
    ids=["no-tag", "tag", "port", "digest-nested", "pull-through-cache", "public-name-in-path"],
)
def test_image_on_private_registry(image: str) -> None:
    """The name is kept, and the registry is read from its host, whatever follows the host."""
    name, registry = resolve(image, None, None, nobody_asks)
    assert name == image
    assert registry is not None
    assert (registry.registry_id, registry.region_name) == (A, "eu-west-1")


@pytest.mark.parametrize(
    "image", ["busybox", "docker.io/library/busybox", f"{HOST}.evil.example/app", "localhost:5000/a"]
)
@pytest.mark.parametrize("region", [None, "eu-west-1"])
def test_image_elsewhere(image: str, region: str | None) -> None:
    """Without a registry id, an image is in Amazon ECR only if its host is."""
    assert (image, None) == resolve(image, None, region, nobody_asks)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", HOST),
        ("cn-north-1", f"{A}.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-east-1", f"{A}.dkr.ecr.us-gov-east-1.amazonaws.com"),
        ("eusc-de-east-1", f"{A}.dkr.ecr.eusc-de-east-1.amazonaws.eu"),
    ],
)
@pytest.mark.parametrize("image", ["app", "team/app:1", "app@sha256:0123"])
def test_image_without_host(image: str, region: str, host: str) -> None:
    """With a registry id, an image without a host is in that registry, with its partition's suffix."""
    name, registry = resolve(image, A, region, nobody_asks)
    assert name == f"{host}/{image}"
    assert registry is not None
    assert (registry.host, registry.registry_id, registry.region_name) == (host, A, region)


def test_image_without_host_in_default_region() -> None:
    """Without a region, the default region is used."""
    name, _ = resolve("app", A, None, lambda: "eu-west-1")
    assert name == f"{HOST}/app"


@pytest.mark.parametrize("image", ["localhost:5000/app", "registry.example.com/app:1", f"{HOST}.evil.example/app"])
def test_image_on_alias(image: str) -> None:
    """With a registry id, a host outside Amazon ECR is an alias of that registry, and the image keeps its name."""
    name, registry = resolve(image, A, "eu-west-1", nobody_asks)
    assert name == image
    assert registry is not None
    assert (registry.host, registry.registry_id, registry.region_name) == (split_image(image)[0], A, "eu-west-1")


def test_parameters_that_agree() -> None:
    """Parameters may repeat the values of the host."""
    name, registry = resolve(f"{HOST}/app", A, "eu-west-1", nobody_asks)
    assert name == f"{HOST}/app"
    assert registry is not None


def test_region_beside_public_image() -> None:
    """A region, perhaps from default_args, does not contradict ECR Public, whose host has none."""
    _, registry = resolve("public.ecr.aws/docker/library/busybox", None, "eu-west-1", nobody_asks)
    assert registry is not None
    assert registry.region_name == "us-east-1"


@pytest.mark.parametrize(
    ("image", "registry_id", "region", "sentence"),
    [
        (
            None,
            "12345678901",
            None,
            "registry_id: expected an AWS account of 12 digits, such as '012345678901', got '12345678901'.",
        ),
        (
            None,
            "1234567890123",
            None,
            "registry_id: expected an AWS account of 12 digits, such as '012345678901', got '1234567890123'.",
        ),
        (
            None,
            "12345678901\n",
            None,
            r"registry_id: expected an AWS account of 12 digits, such as '012345678901', got '12345678901\n'.",
        ),
        (
            None,
            None,
            "eu-west",
            "region_name: no AWS partition has a region like 'eu-west'; expected one such as 'eu-west-1'.",
        ),
        (
            None,
            "",
            None,
            "registry_id: expected an AWS account of 12 digits, such as '012345678901', got ''.",
        ),
        (
            None,
            None,
            "",
            "region_name: no AWS partition has a region like ''; expected one such as 'eu-west-1'.",
        ),
        (
            None,
            None,
            "mars-north-1",
            "region_name: no AWS partition has a region like 'mars-north-1'; expected one such as 'eu-west-1'.",
        ),
        (
            f"https://{HOST}/app:1",
            None,
            None,
            f"image: 'https://{HOST}/app:1' starts with a scheme; omit 'https://' and write '{HOST}/app:1'.",
        ),
        (
            f"{HOST}/app:1",
            "210987654321",
            None,
            f"registry_id: '210987654321' contradicts the image '{HOST}/app:1', which is in {REGISTRY}; "
            "omit registry_id, or correct one of the two.",
        ),
        (
            "public.ecr.aws/app:1",
            A,
            None,
            f"registry_id: '{A}' contradicts the image 'public.ecr.aws/app:1', which is in Amazon ECR Public; "
            "omit registry_id, or correct one of the two.",
        ),
        (
            f"{HOST}/app:1",
            None,
            "us-west-2",
            f"region_name: 'us-west-2' contradicts the image '{HOST}/app:1', which is in {REGISTRY}; "
            "omit region_name, or correct one of the two.",
        ),
    ],
)
def test_bad_input(image: str | None, registry_id: str | None, region: str | None, sentence: str) -> None:
    """The error for an invalid value starts with the parameter and ends with what to do."""
    with pytest.raises(EcrInputError, match=f"^{re.escape(sentence)}$"):
        validate(image, registry_id, region)


@pytest.mark.parametrize("image", ["", " ", "\n"])
def test_no_name(image: str) -> None:
    """An image needs a name."""
    with pytest.raises(
        EcrInputError, match=f"^image: expected a name such as 'repository:tag', got {re.escape(repr(image))}.$"
    ):
        validate_name(image)


def test_no_region_of_alias() -> None:
    """An alias needs an explicit region; the default region is not used."""
    sentence = (
        "region_name: the host of the image 'docker.io/library/busybox' is not one of Amazon ECR's, and "
        f"registry_id {A} alone does not say which registry it is; set region_name, or omit registry_id."
    )
    with pytest.raises(EcrInputError, match=f"^{re.escape(sentence)}$"):
        resolve("docker.io/library/busybox", A, None, nobody_asks)


def test_no_region_anywhere() -> None:
    """A registry id needs a region from somewhere."""
    sentence = (
        f"region_name: the region of the image 'app:1' in account {A} is not known; "
        "set region_name, or a region in the AWS connection or in AWS_DEFAULT_REGION."
    )
    with pytest.raises(EcrInputError, match=f"^{re.escape(sentence)}$"):
        resolve("app:1", A, None, lambda: None)


def test_bad_default_region() -> None:
    """A default region is checked like an explicit one."""
    with pytest.raises(EcrInputError, match=r"^region_name: no AWS partition has a region like 'nowhere'"):
        resolve("app", A, None, lambda: "nowhere")
