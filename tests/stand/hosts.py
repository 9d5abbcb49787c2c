"""The host names of the stand's registries.

All must be known before the engine starts, because it rereads ``/etc/hosts`` only every few seconds.
"""

ACCOUNT = "123456789012"
OTHER_ACCOUNT = "210987654321"
REGION = "eu-west-1"
OTHER_REGION = "us-west-2"

# region -> suffixes of plain and of dual-stack host names (Amazon ECR endpoints, AWS General Reference)
_SUFFIXES = {
    REGION: ("amazonaws.com", "on.aws"),
    OTHER_REGION: ("amazonaws.com", "on.aws"),
    "us-gov-west-1": ("amazonaws.com", "on.aws"),
    "cn-north-1": ("amazonaws.com.cn", "on.amazonwebservices.com.cn"),
    "us-iso-east-1": ("c2s.ic.gov", "on.aws.ic.gov"),
    "eusc-de-east-1": ("amazonaws.eu", "on.amazonwebservices.eu"),
}

PRIVATE_HOSTS = {
    host: (account, region)
    for region, (plain, dual_stack) in _SUFFIXES.items()
    for account in (ACCOUNT, OTHER_ACCOUNT)
    for host in (
        f"{account}.dkr.ecr.{region}.{plain}",
        f"{account}.dkr.ecr-fips.{region}.{plain}",
        f"{account}.dkr-ecr.{region}.{dual_stack}",
        f"{account}.dkr-ecr-fips.{region}.{dual_stack}",
    )
}
PUBLIC_HOSTS = ("public.ecr.aws", "ecr-public.aws.com")
OTHER_HOSTS = ("registry.example.com",)
API_HOSTS = (f"api.ecr.{REGION}.amazonaws.com",)
"""Hosts of the API, for clients without a configurable endpoint."""


def bucket(region: str) -> str:
    """Return the host from which S3 serves the layers of a region's registries."""
    return f"prod-{region}-starport-layer-bucket.s3.{region}.amazonaws.com"


ALL_HOSTS = (
    *PRIVATE_HOSTS,
    *PUBLIC_HOSTS,
    *OTHER_HOSTS,
    *map(bucket, [*_SUFFIXES, "us-east-1"]),
)
