"""Which hosts are registries of Amazon ECR, and which only look like one.

The rows come from the tests of the ECR credential helper, the Kubernetes provider, the login action and the ECS
agent, and from the endpoints that AWS documents.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import botocore
import pytest

from ecr_docker_operator.ecr.registry import PARTITIONS, EcrRegistry, find_partition

A, B = "123456789012", "210987654321"

PRIVATE = [
    # host, account, region, partition, FIPS
    (f"{A}.dkr.ecr.us-west-2.amazonaws.com", A, "us-west-2", "aws", False),
    (f"{A}.dkr.ecr-fips.us-west-2.amazonaws.com", A, "us-west-2", "aws", True),
    (f"{A}.dkr-ecr.us-west-2.on.aws", A, "us-west-2", "aws", False),
    (f"{A}.dkr-ecr-fips.us-west-2.on.aws", A, "us-west-2", "aws", True),
    (f"{A}.dkr.ecr.us-gov-east-1.amazonaws.com", A, "us-gov-east-1", "aws-us-gov", False),
    (f"{A}.dkr.ecr-fips.us-gov-west-1.amazonaws.com", A, "us-gov-west-1", "aws-us-gov", True),
    (f"{A}.dkr-ecr.us-gov-east-1.on.aws", A, "us-gov-east-1", "aws-us-gov", False),
    (f"{A}.dkr-ecr-fips.us-gov-east-1.on.aws", A, "us-gov-east-1", "aws-us-gov", True),
    (f"{B}.dkr.ecr.cn-north-1.amazonaws.com.cn", B, "cn-north-1", "aws-cn", False),
    (f"{B}.dkr.ecr.cn-northwest-1.amazonaws.com.cn", B, "cn-northwest-1", "aws-cn", False),
    (f"{B}.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", B, "cn-north-1", "aws-cn", False),
    (f"{B}.dkr.ecr.cn-north-1.on.amazonwebservices.com.cn", B, "cn-north-1", "aws-cn", False),
    (f"{B}.dkr.ecr.us-iso-east-1.c2s.ic.gov", B, "us-iso-east-1", "aws-iso", False),
    (f"{B}.dkr.ecr-fips.us-iso-east-1.c2s.ic.gov", B, "us-iso-east-1", "aws-iso", True),
    (f"{A}.dkr-ecr.us-iso-west-1.on.aws.ic.gov", A, "us-iso-west-1", "aws-iso", False),
    (f"{A}.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", A, "us-isob-east-1", "aws-iso-b", False),
    (f"{A}.dkr-ecr.us-isob-east-1.on.aws.scloud", A, "us-isob-east-1", "aws-iso-b", False),
    (f"{A}.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", A, "eu-isoe-west-1", "aws-iso-e", False),
    (f"{A}.dkr-ecr.eu-isoe-west-1.on.cloud-aws.adc-e.uk", A, "eu-isoe-west-1", "aws-iso-e", False),
    (f"{A}.dkr.ecr.us-isof-east-1.csp.hci.ic.gov", A, "us-isof-east-1", "aws-iso-f", False),
    (f"{A}.dkr-ecr.us-isof-south-1.on.aws.hci.ic.gov", A, "us-isof-south-1", "aws-iso-f", False),
    (f"{A}.dkr.ecr.eusc-de-east-1.amazonaws.eu", A, "eusc-de-east-1", "aws-eusc", False),
    (f"{A}.dkr.ecr-fips.eusc-de-east-1.amazonaws.eu", A, "eusc-de-east-1", "aws-eusc", True),
    (f"{A}.dkr-ecr.eusc-de-east-1.amazonwebservices.eu", A, "eusc-de-east-1", "aws-eusc", False),
    (f"{A}.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu", A, "eusc-de-east-1", "aws-eusc", False),
    # An account keeps its leading zero.
    ("012345678901.dkr.ecr.eu-west-3.amazonaws.com", "012345678901", "eu-west-3", "aws", False),
    ("876820548815.dkr.ecr.cn-north-1.amazonaws.com.cn", "876820548815", "cn-north-1", "aws-cn", False),
    ("012345678901.dkr-ecr.eu-north-1.on.aws", "012345678901", "eu-north-1", "aws", False),
    # An unknown region is still valid, in the partition of its suffix.
    (f"{A}.dkr.ecr.lala-land-1.amazonaws.com", A, "lala-land-1", "aws", False),
    (f"{A}.dkr.ecr-fips.lala-land-1.amazonaws.com", A, "lala-land-1", "aws", True),
    (f"{A}.dkr.ecr.lala-land-1.amazonaws.com.cn", A, "lala-land-1", "aws-cn", False),
    (f"{A}.dkr-ecr.lala-land-1.on.aws", A, "lala-land-1", "aws", False),
    (f"{A}.dkr-ecr-fips.lala-land-1.on.aws", A, "lala-land-1", "aws", True),
    (f"{A}.dkr-ecr.lala-land-1.on.amazonwebservices.com.cn", A, "lala-land-1", "aws-cn", False),
    # Case and port do not matter.
    (f"{A}.DKR.ECR.US-WEST-2.AMAZONAWS.COM", A, "us-west-2", "aws", False),
    (f"{A}.dkr.ecr.us-west-2.amazonaws.com:443", A, "us-west-2", "aws", False),
]

PUBLIC = ["public.ecr.aws", "ecr-public.aws.com", "PUBLIC.ECR.AWS", "public.ecr.aws:443"]

LOOK_ALIKES = [
    "",
    "docker.io",
    "gcr.io",
    "registry.gitlab.com",
    "not.ecr.io",
    "foobar",
    "localhost:5000",
    "private-registry.example.com",
    # Additional text in front.
    f"evil-{A}.dkr.ecr.us-west-2.amazonaws.com",
    f"evil.{A}.dkr.ecr.us-west-2.amazonaws.com",
    f" {A}.dkr.ecr.us-west-2.amazonaws.com",
    f"user@{A}.dkr.ecr.us-west-2.amazonaws.com",
    "evilpublic.ecr.aws",
    "evil.public.ecr.aws",
    # Additional text at the end.
    f"{A}.dkr.ecr.us-west-2.amazonaws.com.evil.example",
    f"{A}.dkr.ecr.us-west-2.amazonaws.com.fake.example.com",
    f"{A}.dkr.ecr-fips.us-gov-west-1.amazonaws.com.fake.example.com",
    f"{B}.dkr.ecr.cn-north-1.amazonaws.com.cn.fake.example.com.cn",
    f"{B}.dkr.ecr.cn-north-1.on.aws.com.cn",
    f"{A}.dkr.ecr.us-west-2.amazonaws.comXcn",
    f"{A}.dkr.ecr.us-west-2.amazonaws.com.",
    f"{A}.dkr.ecr.us-west-2.amazonaws.com\n",
    f"{A}.dkr.ecr.us-west-2.amazonaws.com ",
    f"{A}.dkr.ecr.us-west-2.amazonaws.com:",
    f"{A}.dkr.ecr.us-west-2.amazonaws.com:evil",
    f"{A}.dkr.ecr.us-west-2.amazonaws.com:443@evil.example",
    "public.ecr.aws.fake.example.com",
    "public.ecr.aws\n",
    # Invalid account.
    f"{A}3.dkr.ecr.us-west-2.amazonaws.com",
    f"{A[:-1]}.dkr.ecr.us-west-2.amazonaws.com",
    "12345678901A.dkr.ecr.us-west-2.amazonaws.com",
    "\N{ARABIC-INDIC DIGIT ONE}23456789012.dkr.ecr.us-west-2.amazonaws.com",
    ".dkr.ecr.not-real.amazonaws.com",
    "ecr-fips.amazonaws.com",
    # Invalid region.
    f"{A}.dkr.ecr.lala-land-1!.amazonaws.com",
    f"{A}.dkr.ecr.#lala-land-1.amazonaws.com",
    f"{A}.dkr.ecr.a.b.c.amazonaws.com",
    f"{A}.dkr.ecr..amazonaws.com",
    f"{A}.dkr.ecr.amazonaws.com",
    # Unknown suffix.
    f"{A}.dkr.ecr.lala-land-1.amazonaws.hacker.com",
    f"{A}.dkr.ecr.lala-land-1.hacker.com",
    f"{A}.dkr.ecr.lala-land-1.amazonaws.lol",
    f"{A}.dkr.ecr.lala-land-1.awsamazon.com",
    f"{A}.dkr.ecr.us-iso-east-1.amazonaws.gov",
    f"{A}.dkr.ecr.us-west-2.localhost.localstack.cloud:4566",
    "vpce-0123.dkr.ecr.us-west-2.vpce.amazonaws.com",
    # Mixed parts.
    f"{A}.dog.ecr.lala-land-1.amazonaws.com",
    f"{A}.dkr.cat.lala-land-1.amazonaws.com",
    f"{A}.lala-land-1.amazonaws.com",
    f"{A}.ecr.us-west-2.amazonaws.com",
    f"{A}.ecr-dkr.us-west-2.on.aws",
    f"{A}.dkr-ecr.us-west-2.amazonaws.com",
    f"{A}.dkr.ecr.us-west-2.on.aws",
    f"{A}.dkr.starport.us-west-2.amazonaws.com",
    f"{A}xdkr.ecr.us-west-2.amazonaws.com",
    "api.ecr.us-west-2.amazonaws.com",
    # Careless case folding turns a Kelvin sign into "k", and a long s into "s".
    f"{A}.d\N{KELVIN SIGN}r.ecr.us-west-2.amazonaws.com",
    f"{A}.dkr.ecr.us-west-2.amazonaw\N{LATIN SMALL LETTER LONG S}.com",
]


@pytest.mark.parametrize(("host", "account", "region", "partition", "fips"), PRIVATE, ids=[row[0] for row in PRIVATE])
def test_private_host(host: str, account: str, region: str, partition: str, fips: bool) -> None:
    """Account, region, partition and FIPS are read from the host; the host itself is kept unchanged."""
    expected = EcrRegistry(host, region, account, partition=partition, fips=fips)
    assert expected == EcrRegistry.parse(host)
    assert expected.service == "ecr"


@pytest.mark.parametrize("host", PUBLIC)
def test_public_host(host: str) -> None:
    """ECR Public belongs to no account, and its tokens come from us-east-1."""
    expected = EcrRegistry(host, "us-east-1", registry_id=None)
    assert expected == EcrRegistry.parse(host)
    assert expected.service == "ecr-public"


@pytest.mark.parametrize("host", LOOK_ALIKES, ids=ascii)
def test_look_alike(host: str) -> None:
    """A host that differs from Amazon ECR's in any character is not a registry."""
    assert EcrRegistry.parse(host) is None


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", f"{A}.dkr.ecr.eu-west-1.amazonaws.com"),
        ("us-gov-west-1", f"{A}.dkr.ecr.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", f"{A}.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-iso-east-1", f"{A}.dkr.ecr.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", f"{A}.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"),
        ("eu-isoe-west-1", f"{A}.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk"),
        ("us-isof-east-1", f"{A}.dkr.ecr.us-isof-east-1.csp.hci.ic.gov"),
        ("eusc-de-east-1", f"{A}.dkr.ecr.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_host_of_account_and_region(region: str, host: str) -> None:
    """The host of an account and a region has its partition's suffix, and parses to the same registry."""
    registry = EcrRegistry.private(A, region)
    assert host == registry.host
    assert registry == EcrRegistry.parse(host)


@pytest.mark.parametrize(
    "region", ["lala-land-1", "eu-west", "", "eu-west-1\n", "us-west-2.evil.example", "aws-global"]
)
def test_region_of_no_partition(region: str) -> None:
    """A region outside all partitions has no registry."""
    assert find_partition(region) is None
    with pytest.raises(ValueError, match="^" + re.escape(region) + "$"):
        EcrRegistry.private(A, region)


def test_partitions_are_botocores() -> None:
    """Partitions, their region patterns and their suffixes match the installed botocore."""
    theirs = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text())["partitions"]
    expected = {p["id"]: (p["outputs"]["dnsSuffix"], p["regionRegex"].replace(r"\-", "-")) for p in theirs}
    ours = {p.name: (p.suffix, f"^{p.region}$".replace("eusc-de", "eusc-(de)")) for p in PARTITIONS}
    # Until boto3 1.37.27, the European Sovereign Cloud is missing.
    assert ours.keys() - expected.keys() <= {"aws-eusc"}
    assert expected == {name: ours[name] for name in ours.keys() & expected.keys()}
    for partition in theirs:
        suffix = partition["outputs"]["dualStackDnsSuffix"].replace("api.", "on.", 1)
        # Older botocores repeat the plain suffix where they know no other.
        known = next((p.suffix, *p.dual_stack) for p in PARTITIONS if p.name == partition["id"])
        assert suffix in known
        for region in partition["regions"]:
            if not region.endswith("-global"):
                found = find_partition(region)
                assert found is not None
                assert found.name == partition["id"]
