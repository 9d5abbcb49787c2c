"""Finds the Amazon ECR registry of a host name.

No input or output, and no boto3. Host names are from "Amazon ECR endpoints and quotas" in the AWS General Reference;
partitions and their DNS suffixes are from botocore's ``partitions.json``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PUBLIC_HOSTS = ("public.ecr.aws", "ecr-public.aws.com")

# GetAuthorizationToken of ECR Public works only in this region (ECR Public API Reference).
PUBLIC_REGION = "us-east-1"


@dataclass(frozen=True)
class Partition:
    """A group of AWS regions with its own DNS suffixes."""

    name: str
    region: str
    """Regular expression for its region names."""
    suffix: str
    """DNS suffix of the registries' plain host names."""
    dual_stack: tuple[str, ...]
    """DNS suffixes of the registries' dual-stack host names."""

    def has(self, region_name: str) -> bool:
        """Return whether *region_name* has the form of this partition's regions."""
        return re.fullmatch(self.region, region_name, re.ASCII) is not None


PARTITIONS = (
    Partition("aws", r"(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+", "amazonaws.com", ("on.aws",)),
    Partition("aws-us-gov", r"us-gov-\w+-\d+", "amazonaws.com", ("on.aws",)),
    Partition("aws-cn", r"cn-\w+-\d+", "amazonaws.com.cn", ("on.amazonwebservices.com.cn",)),
    Partition("aws-iso", r"us-iso-\w+-\d+", "c2s.ic.gov", ("on.aws.ic.gov",)),
    Partition("aws-iso-b", r"us-isob-\w+-\d+", "sc2s.sgov.gov", ("on.aws.scloud",)),
    Partition("aws-iso-e", r"eu-isoe-\w+-\d+", "cloud.adc-e.uk", ("on.cloud-aws.adc-e.uk",)),
    Partition("aws-iso-f", r"us-isof-\w+-\d+", "csp.hci.ic.gov", ("on.aws.hci.ic.gov",)),
    # AWS has published the dual-stack name of the European Sovereign Cloud in two spellings.
    Partition(
        "aws-eusc",
        r"eusc-de-\w+-\d+",
        "amazonaws.eu",
        ("on.amazonwebservices.eu", "amazonwebservices.eu"),
    ),
)

_REGION = r"(?P<region>[a-z0-9]+(?:-[a-z0-9]+)+)"
_PORT = r"(?::[0-9]+)?"


def _one_of(suffixes: Iterable[str]) -> str:
    return "|".join(re.escape(suffix) for suffix in suffixes)


# ASCII, because with IGNORECASE alone, the Kelvin sign would match "k".
_FORMS = tuple(
    re.compile(
        rf"(?P<id>[0-9]{{12}})\.{service}(?P<fips>-fips)?\.{_REGION}\.(?P<suffix>{_one_of(suffixes)}){_PORT}",
        re.ASCII | re.IGNORECASE,
    )
    for service, suffixes in (
        # The ECR credential helper also accepts the dual-stack suffix of China with the plain form.
        (r"dkr\.ecr", [*(p.suffix for p in PARTITIONS), "on.amazonwebservices.com.cn"]),
        (r"dkr-ecr", [suffix for p in PARTITIONS for suffix in p.dual_stack]),
    )
)
_PUBLIC = re.compile(rf"(?:{_one_of(PUBLIC_HOSTS)}){_PORT}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class EcrRegistry:
    """An Amazon ECR registry, private or public."""

    host: str
    """Host name as in the image, with its port."""
    region_name: str
    """Region whose API issues the registry's tokens."""
    registry_id: str | None
    """AWS account that owns the registry, 12 digits; ``None`` for ECR Public."""
    partition: str = "aws"
    """Name of the partition, as in botocore."""
    fips: bool = False
    """Whether the host is a FIPS endpoint; the token then comes from a FIPS endpoint, too."""

    @classmethod
    def parse(cls, host: str) -> EcrRegistry | None:
        """Return the registry at *host*; ``None`` if it is not an Amazon ECR host.

        The whole name must match, so that look-alikes are refused. Case and port are ignored.
        """
        if _PUBLIC.fullmatch(host):
            return cls(host, PUBLIC_REGION, registry_id=None)
        for form in _FORMS:
            if match := form.fullmatch(host):
                region_name = match["region"].lower()
                return cls(
                    host,
                    region_name,
                    match["id"],
                    partition=_partition(region_name, match["suffix"].lower()),
                    fips=match["fips"] is not None,
                )
        return None

    @classmethod
    def private(cls, registry_id: str, region_name: str, *, host: str | None = None) -> EcrRegistry:
        """Return the private registry of an account and region, at *host* (default: its plain host name).

        :raises ValueError: if *region_name* matches no partition; see :func:`find_partition`.
        """
        partition = find_partition(region_name)
        if partition is None:
            raise ValueError(region_name)
        host = host or f"{registry_id}.dkr.ecr.{region_name}.{partition.suffix}"
        return cls(host, region_name, registry_id, partition=partition.name)

    @property
    def service(self) -> str:
        """Name in botocore of the AWS service that issues the tokens."""
        return "ecr" if self.registry_id else "ecr-public"

    @property
    def hint_names(self) -> dict[str, str]:
        """Values for the names in the steps of :mod:`ecr_docker_operator.hints`."""
        # In China, the VPC endpoints of Amazon ECR and AWS STS have a prefix, but that of S3 has none.
        prefix = "cn." if self.partition == "aws-cn" else ""
        return {
            "registry": str(self),
            "host": self.host,
            "region": self.region_name,
            "owner": f"account {self.registry_id}" if self.registry_id else "its owner",
            "vpc": f"{prefix}com.amazonaws.{self.region_name}",
        }

    def __str__(self) -> str:
        if self.registry_id is None:
            return "Amazon ECR Public"
        return f"Amazon ECR registry {self.registry_id} in {self.region_name}"


def find_partition(region_name: str) -> Partition | None:
    """Return the partition of *region_name*; ``None`` if it matches none."""
    return next((p for p in PARTITIONS if p.has(region_name)), None)


def _partition(region_name: str, suffix: str) -> str:
    # Commercial regions and GovCloud share their suffixes, so the region decides.
    found = [p for p in PARTITIONS if suffix in (p.suffix, *p.dual_stack)]
    return next((p for p in found if p.has(region_name)), found[0]).name
