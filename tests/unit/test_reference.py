"""An image's full name and registry, from its name and the operator's parameters, and invalid values."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ecr_docker_operator import EcrInputError
from ecr_docker_operator.ecr.reference import find_alias, find_registry, resolve, split_image, validate
from ecr_docker_operator.ecr.registry import EcrRegistry

A = "123456789012"
HOST = f"{A}.dkr.ecr.eu-west-1.amazonaws.com"
REGISTRY = f"Amazon ECR registry {A} in eu-west-1"

ALIAS = "localhost:5000"
DIGEST = f"sha256:{'0' * 64}"
ELSEWHERE = [
    "busybox",
    "team/app:1",
    "docker.io/library/busybox",
    "ghcr.io/me/job:1",
    "quay.io/me/job",
    "registry.example.com/Not:Ours",
    f"{HOST}.evil.example/app",
    "localhost:5001/a",
    "https://docker.io/job",
]


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
    name, registry = resolve(image, None, None, None, nobody_asks)
    assert name == image
    assert registry is not None
    assert (registry.registry_id, registry.region_name) == (A, "eu-west-1")


@pytest.mark.parametrize("image", ELSEWHERE)
@pytest.mark.parametrize("region", [None, "eu-west-1"])
def test_image_elsewhere(image: str, region: str | None) -> None:
    """Without a registry id, an image is in Amazon ECR only if its host is."""
    assert (image, None) == resolve(image, None, region, None, nobody_asks)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", HOST),
        ("cn-north-1", f"{A}.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-east-1", f"{A}.dkr.ecr.us-gov-east-1.amazonaws.com"),
        ("eusc-de-east-1", f"{A}.dkr.ecr.eusc-de-east-1.amazonaws.eu"),
    ],
)
@pytest.mark.parametrize("image", ["app", "team/app:1", f"app@sha256:{'0' * 64}"])
def test_image_without_host(image: str, region: str, host: str) -> None:
    """With a registry id, an image without a host is in that registry, with its partition's suffix."""
    name, registry = resolve(image, A, region, None, nobody_asks)
    assert name == f"{host}/{image}"
    assert registry is not None
    assert (registry.host, registry.registry_id, registry.region_name) == (host, A, region)


def test_image_without_host_in_default_region() -> None:
    """Without a region, the default region is used."""
    name, _ = resolve("app", A, None, None, lambda: "eu-west-1")
    assert name == f"{HOST}/app"


@pytest.mark.parametrize("image", ["localhost:5000/app", "LocalHost:5000/app:1"])
def test_image_on_alias(image: str) -> None:
    """The host that registry_host names is an alias of that registry, and the image keeps its name."""
    name, registry = resolve(image, A, "eu-west-1", ALIAS, nobody_asks)
    assert name == image
    assert registry is not None
    assert (registry.host, registry.registry_id, registry.region_name) == (ALIAS, A, "eu-west-1")


def test_image_without_host_on_alias() -> None:
    """With an alias, an image without a host is pulled through it."""
    name, registry = resolve("app:1", A, "eu-west-1", ALIAS, nobody_asks)
    assert name == f"{ALIAS}/app:1"
    assert registry is not None
    assert registry.host == ALIAS


@pytest.mark.parametrize("image", ELSEWHERE[2:])
@pytest.mark.parametrize("alias", [None, ALIAS])
def test_other_hosts_beside_parameters(image: str, alias: str | None) -> None:
    """No other parameter makes a host Amazon ECR's, and its images are not checked."""
    assert (image, None) == resolve(image, A, "eu-west-1", alias, nobody_asks)
    assert (image, None) == resolve(image, A, None, None, nobody_asks)


@pytest.mark.parametrize("image", [f"{HOST}/app:1", "public.ecr.aws/app:1"])
def test_amazon_ecr_beside_alias(image: str) -> None:
    """An alias leaves the hosts of Amazon ECR alone."""
    account = A if image.startswith(A) else None
    validate(image, account, "eu-west-1", ALIAS)
    assert find_registry(split_image(image)[0], EcrRegistry.private(A, "eu-west-1", host=ALIAS)) == EcrRegistry.parse(
        split_image(image)[0] or ""
    )


@pytest.mark.parametrize(
    "alias", ["localhost", "localhost:5000", "registry.example.com", "registry.example.com:443", "[::1]:5000"]
)
def test_host_that_can_be_an_alias(alias: str) -> None:
    """An alias is a host as in an image's name."""
    found = find_alias(alias, A, "eu-west-1")
    assert found is not None
    assert (found.host, found.registry_id, found.region_name) == (alias, A, "eu-west-1")


@pytest.mark.parametrize(
    "alias",
    [
        "",
        " ",
        HOST,
        f"{HOST}:443",
        "public.ecr.aws",
        "registry",
        "registry.example.com/app",
        "https://registry.example.com",
        "a b.example.com",
        "registry.example.com\n",
        "-.example.com",
        "a.example.com:",
        "a.example.com:123456",
        5,
        ["a.example.com"],
    ],
)
def test_host_that_cannot_be_an_alias(alias: Any) -> None:
    """A host of Amazon ECR needs no alias, and what is no host cannot be one."""
    with pytest.raises(EcrInputError, match=r"^registry_host: expected the host, .*, got "):
        find_alias(alias, A, "eu-west-1")


@pytest.mark.parametrize(("registry_id", "region"), [(None, None), (A, None), (None, "eu-west-1")])
def test_incomplete_alias(registry_id: str | None, region: str | None) -> None:
    """An alias needs an account and a region; the default region is not used."""
    sentence = "registry_host: 'localhost:5000' needs registry_id and region_name, to say which registry it is."
    with pytest.raises(EcrInputError, match=f"^{re.escape(sentence)}$"):
        resolve("app", registry_id, region, ALIAS, nobody_asks)


def test_parameters_that_agree() -> None:
    """Parameters may repeat the values of the host."""
    name, registry = resolve(f"{HOST}/app", A, "eu-west-1", None, nobody_asks)
    assert name == f"{HOST}/app"
    assert registry is not None


def test_region_beside_public_image() -> None:
    """A region, perhaps from default_args, does not contradict ECR Public, whose host has none."""
    _, registry = resolve("public.ecr.aws/docker/library/busybox", None, "eu-west-1", None, nobody_asks)
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


@pytest.mark.parametrize(
    "image",
    ["", " ", "\n", "app 1", " app", "app\n", "app\u200b", "\x00", None, 5, True, ["app"], {"image": "app"}, b"app"],
)
def test_no_name_in_any_registry(image: Any) -> None:
    """An image is a text without blanks and control characters."""
    with pytest.raises(
        EcrInputError, match=f"^image: expected a name such as 'repository:tag', got {re.escape(repr(image))}.$"
    ):
        resolve(image, None, None, None, nobody_asks)


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        ("", "names a registry, but no repository in it"),
        (":1", "names a registry, but no repository in it"),
        (":5000", "names a registry, but no repository in it"),
        (f"@{DIGEST}", "names a registry, but no repository in it"),
        ("/", "names a registry, but no repository in it"),
        ("/:1", "has the repository name ''"),
        ("/Job:1", "has the repository name 'Job'"),
        ("/job::1", "has the repository name 'job:'"),
        ("/../job:1", "has the repository name '../job'"),
        ("/job/:1", "has the repository name 'job/'"),
        ("/a//b", "has the repository name 'a//b'"),
        ("/job_", "has the repository name 'job_'"),
        ("/a..b", "has the repository name 'a..b'"),
        ("/a___b", "has the repository name 'a___b'"),
        (f"/{'a' * 256}", "has the repository name 'aaa"),
        ("/jöb", "has the repository name 'jöb'"),
        ("/job:", "has the tag ''"),
        ("/job:-1", "has the tag '-1'"),
        ("/job:.1", "has the tag '.1'"),
        (f"/job:{'a' * 129}", "has the tag 'aaa"),
        ("/job:é", "has the tag 'é'"),
        ("/job@", "has the digest ''"),
        ("/job@sha256:12", "has the digest 'sha256:12'"),
        (f"/job@{DIGEST}0", "has the digest 'sha256:0000"),
        (f"/job@{DIGEST[:-1]}A", "has the digest 'sha256:0000"),
        (f"/job@md5:{'0' * 32}", "has the digest 'md5:0"),
        (f"/job:1@{DIGEST}@{DIGEST}", "has the digest 'sha256:0000"),
        ("/job:1 ", "expected a name such as"),
        ("/job:1\n", "expected a name such as"),
        (" /job:1", "expected a name such as"),
        ("/job\t:1", "expected a name such as"),
    ],
)
@pytest.mark.parametrize(
    ("host", "parameters"),
    [
        (HOST, (None, None, None)),
        (HOST, (A, "eu-west-1", None)),
        ("public.ecr.aws", (None, None, None)),
        (ALIAS, (A, "eu-west-1", ALIAS)),
    ],
    ids=["private", "with-parameters", "public", "alias"],
)
def test_bad_name_on_amazon_ecr(
    host: str, parameters: tuple[str | None, str | None, str | None], rest: str, sentence: str
) -> None:
    """For an image in Amazon ECR, the part of its name that is wrong is named."""
    with pytest.raises(EcrInputError, match=f"^image: .*{re.escape(sentence)}"):
        resolve(f"{host}{rest}", *parameters, nobody_asks)


@pytest.mark.parametrize("image", [f" {HOST}/job:1", f"\n{HOST}/job", f"https://{HOST} /job"])
def test_blanks_do_not_hide_the_host(image: str) -> None:
    """A blank in the host of Amazon ECR is found when the DAG is parsed."""
    with pytest.raises(EcrInputError, match=r"^image: "):
        validate(image, None, None)


@pytest.mark.parametrize("image", ["Job", "job::1", "job:", "job@sha256:12", "/job"])
def test_bad_name_without_host(image: str) -> None:
    """The name of an image in an account's registry is checked; without an account, it is DockerOperator's."""
    assert resolve(image, None, None, None, nobody_asks) == (image, None)
    with pytest.raises(EcrInputError, match=r"^image: .* has the "):
        resolve(image, A, "eu-west-1", None, nobody_asks)


def test_no_region_anywhere() -> None:
    """A registry id needs a region from somewhere."""
    sentence = (
        f"region_name: the region of the image 'app:1' in account {A} is not known; "
        "set region_name, or a region in the AWS connection or in AWS_DEFAULT_REGION."
    )
    with pytest.raises(EcrInputError, match=f"^{re.escape(sentence)}$"):
        resolve("app:1", A, None, None, lambda: None)


def test_bad_default_region() -> None:
    """A default region is checked like an explicit one."""
    with pytest.raises(EcrInputError, match=r"^region_name: no AWS partition has a region like 'nowhere'"):
        resolve("app", A, None, None, lambda: "nowhere")
