"""Every sentence this package can fail with.

A message says what was wanted, what was answered, and what to do next; never a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecr_docker_operator.compat import AirflowException

if TYPE_CHECKING:
    from ecr_docker_operator.registry import EcrRegistry


class EcrError(AirflowException):
    """Base of all errors of this package."""


class EcrInputError(EcrError):
    """A parameter or an image name cannot be right; nothing was contacted."""

    @classmethod
    def registry_id(cls, value: str) -> EcrInputError:
        """Return the error for a registry id that is no AWS account."""
        return cls(f"registry_id: expected an AWS account of 12 digits, such as '012345678901', got {value!r}.")

    @classmethod
    def region_name(cls, value: str) -> EcrInputError:
        """Return the error for a region whose name has the form of no partition's."""
        return cls(f"region_name: no AWS partition has a region like {value!r}; expected one such as 'eu-west-1'.")

    @classmethod
    def empty_image(cls, image: str) -> EcrInputError:
        """Return the error for an image without a name."""
        return cls(f"image: expected a name such as 'repository:tag', got {image!r}.")

    @classmethod
    def scheme(cls, image: str) -> EcrInputError:
        """Return the error for an image that is written as a URL."""
        scheme, _, rest = image.partition("://")
        return cls(f"image: {image!r} starts with a scheme; leave '{scheme}://' away and write {rest!r}.")

    @classmethod
    def other_registry_id(cls, image: str, registry: EcrRegistry, registry_id: str) -> EcrInputError:
        """Return the error for a registry id that contradicts the image's host."""
        return cls(
            f"registry_id: {registry_id!r} contradicts the image {image!r}, which is in {registry}; "
            "leave registry_id away, or correct one of the two."
        )

    @classmethod
    def other_region_name(cls, image: str, registry: EcrRegistry, region_name: str) -> EcrInputError:
        """Return the error for a region that contradicts the image's host."""
        return cls(
            f"region_name: {region_name!r} contradicts the image {image!r}, which is in {registry}; "
            "leave region_name away, or correct one of the two."
        )

    @classmethod
    def no_region(cls, image: str, registry_id: str) -> EcrInputError:
        """Return the error for a registry id whose region nobody names."""
        return cls(
            f"region_name: nothing says in which region of account {registry_id} the image {image!r} is; "
            "set region_name, or a region in the AWS connection or in AWS_DEFAULT_REGION."
        )

    @classmethod
    def no_region_of_alias(cls, image: str, registry_id: str) -> EcrInputError:
        """Return the error for a registry id whose region is open, beside a host that is not Amazon ECR's."""
        return cls(
            f"region_name: the host of the image {image!r} is not one of Amazon ECR's, and registry_id {registry_id} "
            "alone does not say which registry it is; set region_name, or leave registry_id away."
        )

    @classmethod
    def bad_alias(cls, registry_host: str) -> EcrInputError:
        """Return the error for an alias that is no host, or one that Amazon ECR has itself."""
        return cls(
            f"registry_host: expected the host, perhaps with a port, of a registry that is not Amazon ECR's by its "
            f"name, such as 'registry.example.com:5000', got {registry_host!r}."
        )

    @classmethod
    def alias_without_registry(cls, registry_host: str) -> EcrInputError:
        """Return the error for an alias of which it is not said what it stands for."""
        return cls(f"registry_host: {registry_host!r} needs registry_id and region_name, to say which registry it is.")


class EcrTokenError(EcrError):
    """AWS was asked for an authorization token and gave none."""

    @classmethod
    def from_aws(cls, registry: EcrRegistry, identity: object, error: Exception) -> EcrTokenError:
        """Return the error for what botocore raised."""
        response = getattr(error, "response", None)
        code = response["Error"]["Code"] if isinstance(response, dict) else type(error).__name__
        actions = f"{registry.service}:GetAuthorizationToken"
        if registry.registry_id is None:
            actions += " and sts:GetServiceBearerToken"
        step = _TOKEN_STEPS.get(code, "").format(actions=actions, registry=registry)
        return cls(f"{registry}: no authorization token for {identity}. {_sentence(str(error))} {step}".rstrip())

    @classmethod
    def unreadable(cls, registry: EcrRegistry, identity: object) -> EcrTokenError:
        """Return the error for an answer that holds no token, or none of the documented form."""
        return cls(
            f"{registry}: no authorization token for {identity}. AWS answered without a token of the form "
            "'user:password' in base64. Check what answers at the endpoint URL, if one is configured."
        )

    def for_image(self, image: str) -> EcrTokenError:
        """Return the same error with the name of the image for which the token was wanted."""
        return type(self)(f"{image}: not pulled. {self}")


_DEAD_KEY = "Check the access key that was used; it may be deleted, or of another partition than {registry}."
_NO_WAY = "Check the way to AWS: without internet, a VPC endpoint for ecr.api is needed."
_TOKEN_STEPS = {
    "AccessDenied": "Let the role's trust policy name that identity, and allow it sts:AssumeRole.",
    "AccessDeniedException": "Allow {actions} on resource '*' to that user or role.",
    "ExpiredToken": "Renew that session's credentials.",
    "ExpiredTokenException": "Renew that session's credentials.",
    "InvalidClientTokenId": _DEAD_KEY,
    "InvalidSignatureException": "Check the worker's clock and the secret key.",
    "NoCredentialsError": "Give the worker a role, or name a connection with credentials in aws_conn_id.",
    "PartialCredentialsError": "Complete the credentials; a key id and a secret key belong together.",
    "ProfileNotFound": "Add the profile on the worker, or name another in the AWS connection.",
    "ThrottlingException": "Let fewer tasks pull at once, or ask AWS for a higher quota.",
    "UnrecognizedClientException": _DEAD_KEY,
    "ConnectTimeoutError": _NO_WAY,
    "EndpointConnectionError": _NO_WAY,
    "ProxyConnectionError": "Check the proxy that the worker's environment or botocore_config names.",
    "ReadTimeoutError": "The task can be tried again; read_timeout in botocore_config is how long it waits.",
    "ServerException": "The task can be tried again once AWS answers.",
    "SignatureDoesNotMatch": "Check the worker's clock and the secret key.",
    "SSLError": "Name the file with the certificates of whoever answers in AWS's place in verify.",
}


class EcrPullError(EcrError):
    """The engine was asked to pull an image from Amazon ECR and could not."""

    @classmethod
    def from_engine(cls, image: str, registry: EcrRegistry, answer: str) -> EcrPullError:
        """Return the error for what the engine answered, over HTTP or inside the pull stream."""
        lowered = answer.lower()
        step = next((step for text, step in _PULL_STEPS if text in lowered), "")
        return cls(f"{image}: not pulled from {registry}. {_sentence(answer)} {step}".rstrip())


# The engine's wording differs with its version and image store, so these are pieces of it, sharpest first.
_PULL_STEPS = (
    (
        "authorization token has expired",
        "The token was made for this pull: check the worker's clock and that the region is the registry's.",
    ),
    (
        "not authorized to perform",
        (
            "Allow ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository; if another account owns it, "
            "the owner must allow them in the repository's policy."
        ),
    ),
    ("name unknown", "Check the repository's name, and that this is its account and region."),
    ("manifest unknown", "Check the tag or digest."),
    ("no basic auth credentials", "The engine sent no login; please report this with the versions in use."),
    ("toomanyrequests", "The registry is throttling; the task can be tried again."),
    ("pull access denied", "Check that the repository exists and that its policy allows this identity."),
    ("403 forbidden", "Check that the repository exists and that its policy allows this identity."),
    ("unauthorized", "Check that the host is the registry that registry_id and region_name name."),
)


class EcrUpstreamError(EcrError):
    """A part of docker-py that this package leans on has moved."""

    @classmethod
    def moved(cls, part: str, installed: str) -> EcrUpstreamError:
        """Return the error for a part that is gone from the *installed* version."""
        return cls(
            f"docker {installed}: {part} is gone, through which the login of a pull is given. "
            "Upgrade ecr-docker-operator, or install an earlier docker."
        )


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
