"""Every sentence this package can fail with.

A message says what was wanted, what was answered, and what to do next; never a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from docker.errors import APIError, ImageNotFound
from docker.utils.utils import parse_repository_tag

from ecr_docker_operator.compat import AirflowException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_docker_operator.credentials import AwsIdentity
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
    def no_default_region(cls, identity: AwsIdentity, error: Exception) -> EcrInputError:
        """Return the error for a default region that cannot be looked up."""
        answer = _sentence(str(error))
        return cls(f"region_name: no default region could be looked up for {identity}. {answer} Set it.")

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
        """Return the error for an alias of which it is not said what it stands for, or one that is not named."""
        if not registry_host:
            return cls(
                "registry_host: registry_id and region_name say which registry such a host stands for; name it, or "
                "leave them away, for an image's own host tells its registry."
            )
        return cls(f"registry_host: {registry_host!r} needs registry_id and region_name, to say which registry it is.")

    @classmethod
    def image_retention(cls, value: object) -> EcrInputError:
        """Return the error for a retention that is no length of time, or none that has passed once."""
        return cls(f"image_retention: expected a positive timedelta, such as timedelta(days=7), got {value!r}.")

    @classmethod
    def image_retention_of_swarm(cls) -> EcrInputError:
        """Return the error for a retention of images that lie where nothing can be removed from here."""
        return cls(
            "image_retention: the images of a Swarm lie on its nodes, whose engines the task does not reach; "
            "leave image_retention away, or set it to None."
        )

    @classmethod
    def tls_files(cls, answer: str) -> EcrInputError:
        """Return the error for TLS files of the engine that docker-py does not find."""
        return cls(
            f"tls_ca_cert, tls_client_cert, tls_client_key: {_sentence(answer)} "
            "Check that the worker has files at these paths."
        )


class EcrTokenError(EcrError):
    """AWS was asked for an authorization token and gave none."""

    @classmethod
    def from_aws(cls, registry: EcrRegistry, identity: AwsIdentity, error: Exception) -> EcrTokenError:
        """Return the error for what botocore raised."""
        answer = _sentence(_reason(error))
        return cls(f"{_no_token(registry, identity)} {answer} {_token_step(registry, error, answer)}".rstrip())

    @classmethod
    def unreadable(cls, registry: EcrRegistry, identity: AwsIdentity) -> EcrTokenError:
        """Return the error for an answer that holds no token, or none of the documented form."""
        return cls(
            f"{_no_token(registry, identity)} AWS answered without a token of the form 'user:password' in base64. "
            "Check what answers at the endpoint URL, if one is configured."
        )

    def for_image(self, image: str) -> EcrTokenError:
        """Return the same error with the name of the image for which the token was wanted."""
        return type(self)(f"{image}: not pulled. {self}")


def _no_token(registry: EcrRegistry, identity: AwsIdentity) -> str:
    return f"{registry}: no authorization token for {identity.describe()}."


def _reason(error: Exception) -> str:
    # botocore says neither which of its attempts at a connection failed, nor how.
    if "resolve" in str(getattr(error, "kwargs", {}).get("error", "")).lower():
        return f"{error} (the name was not resolved)"
    return str(error)


def _token_step(registry: EcrRegistry, error: Exception, answer: str) -> str:
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        code, status = type(error).__name__, 0
    else:
        code, status = response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
    step = _TOKEN_STEPS.get(code, _NOT_NOW if status >= SERVER_ERROR else "")
    if isinstance(step, dict):
        step = next(step for text, step in step.items() if text in answer)
    actions = f"{registry.service}:GetAuthorizationToken"
    if registry.registry_id is None:
        actions += " and sts:GetServiceBearerToken"
    return step.format(actions=actions, registry=registry, vpc=_vpc(registry))


def _vpc(registry: EcrRegistry) -> str:
    # In China, VPC endpoints of Amazon ECR and AWS STS are called otherwise than that of S3.
    prefix = "cn." if registry.partition == "aws-cn" else ""
    return f"{prefix}com.amazonaws.{registry.region_name}"


SERVER_ERROR = 500
_DEAD_KEY = "Check the access key that was used; it may be deleted, or of another partition than {registry}."
_EXPIRED = "Renew that session's credentials."
_NOT_NOW = "The task can be tried again once AWS answers."
_CLOCK = "Check the worker's clock, which AWS compares with its own."
_ENDPOINT = "Check the way to AWS: without internet, a VPC endpoint {vpc}.%s with a private name is needed."
_NO_WAY = {"//sts.": _ENDPOINT % "sts", "": _ENDPOINT % "ecr.api"}
_SIGNATURE = {
    "Signature expired": _CLOCK,
    "Signature not yet current": _CLOCK,
    "": "Check the secret key that belongs to that access key.",
}
_SSO = "Log in with 'aws sso login' where the worker runs, or give it a role."
# Code of AWS's answer, or class of botocore's own errors -> next step; where it depends on a piece of the answer, all.
_TOKEN_STEPS: dict[str, str | dict[str, str]] = {
    "AccessDenied": "Let the role's trust policy name that identity, and allow it sts:AssumeRole.",
    "AccessDeniedException": "Allow {actions} on resource '*' to that user or role.",
    "ConnectTimeoutError": _NO_WAY,
    "CredentialRetrievalError": "Check what gives the worker its credentials; it did not answer, or not with any.",
    "EndpointConnectionError": _NO_WAY,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidClientTokenId": _DEAD_KEY,
    "InvalidSignatureException": _SIGNATURE,
    "NoCredentialsError": "Give the worker a role, or name a connection with credentials in aws_conn_id.",
    "PartialCredentialsError": "Complete the credentials; a key id and a secret key belong together.",
    "ProfileNotFound": "Add the profile on the worker, or name another in the AWS connection.",
    "ProxyConnectionError": "Check the proxy that the worker's environment or botocore_config names.",
    "ReadTimeoutError": "The task can be tried again; read_timeout in botocore_config is how long it waits.",
    "RequestExpired": _CLOCK,
    "SSLError": "Name the file with the certificates of whoever answers in AWS's place in verify.",
    "SSOTokenLoadError": _SSO,
    "ServerException": _NOT_NOW,
    "SignatureDoesNotMatch": _SIGNATURE,
    "ThrottlingException": "Let fewer tasks pull at once, or ask AWS for a higher quota.",
    "TokenRetrievalError": _SSO,
    "UnauthorizedSSOTokenError": _SSO,
    "UnrecognizedClientException": _DEAD_KEY,
}


class EcrPullError(EcrError):
    """The engine was asked to pull an image from Amazon ECR and could not."""

    @classmethod
    def from_engine(cls, image: str, registry: EcrRegistry, identity: AwsIdentity, answer: str) -> EcrPullError:
        """Return the error for what the engine answered, over HTTP or inside the pull stream."""
        lowered = answer.lower()
        step = next((step for text, step in _PULL_STEPS if text in lowered), "")
        owner = f"account {registry.registry_id}" if registry.registry_id else "its owner"
        step = step.format(region=registry.region_name, vpc=_vpc(registry), host=registry.host, owner=owner)
        whose = f"{registry} for {identity.describe()}"
        error = cls(f"{image}: not pulled from {whose}. {_sentence(answer)} {step}".rstrip())
        error.token_expired = _EXPIRED_ANSWER in lowered
        return error

    @classmethod
    def from_registry(cls, image: str, registry: EcrRegistry, identity: AwsIdentity, answer: str) -> EcrPullError:
        """Return the error for what the registry answered to a question alone, as the engine words it in a pull."""
        code, _, _ = answer.partition(":")
        name, at, digest = image.partition("@")
        repository, tag = parse_repository_tag(name)
        in_full = f"{repository}{at}{digest}" if at else f"{repository}:{tag or 'latest'}"
        words = _PULL_WORDS.get(code, "").format(repository=repository, image=in_full)
        return cls.from_engine(image, registry, identity, words + answer)

    token_expired = False
    """Whether the registry said that the token has expired."""


# Code of the registry's answer -> what the engine puts before it (moby, distribution/errors.go, notFoundError).
_PULL_WORDS = {
    "denied": "pull access denied for {repository}, repository does not exist or may require 'docker login': ",
    "manifest unknown": "manifest for {image} not found: ",
    "name unknown": "repository {repository} not found: ",
}
NO_CONFIGURATION = "the engine could not read the image's configuration, and does not say why"
_NO_SPACE = "no space left on device"
_PULL_ACTIONS = "ecr:BatchGetImage and ecr:GetDownloadUrlForLayer"
_EXPIRED_ANSWER = "authorization token has expired"
_AGAIN = "The task can be tried again."
_ENGINES_WAY = (
    "Check the way from the engine's host to the registry: without internet, the VPC endpoints "
    "{vpc}.ecr.dkr, with a private DNS name, and com.amazonaws.{region}.s3 are needed."
)
_NOT_ADMITTED = f"Check that the repository exists, and that {_PULL_ACTIONS} are allowed on it."
_UNKNOWN = "The registry does not know the token: check that the host is the registry that was meant."
# The engine's wording differs with its version and image store, so these are pieces of it, sharpest first.
_PULL_STEPS = (
    (_EXPIRED_ANSWER, "A new token fared no better: check the worker's clock, and that the region is the registry's."),
    (
        "no resource-based policy allows",
        f"The repository is another account's: {{owner}} has to allow {_PULL_ACTIONS} in the repository's policy.",
    ),
    ("no identity-based policy allows", f"Allow {_PULL_ACTIONS} on the repository to that user or role."),
    (
        "not authorized to perform",
        f"Allow {_PULL_ACTIONS} on the repository to that user or role, and in its policy if it is another account's.",
    ),
    ("name unknown", "Check the repository's name, and that this is its account and region."),
    ("manifest unknown", "Check the tag or digest."),
    ("no matching manifest", "Push an image for the platform of the engine, too."),
    ("no basic auth credentials", "The engine sent no login; please report this with the versions in use."),
    ("toomanyrequests", f"The registry is throttling. {_AGAIN}"),
    ("<code>accessdenied</code>", "S3 refused the layer: check the policy of the VPC endpoint for S3."),
    (_NO_SPACE, "Free disk space on the engine's host, for instance with 'docker image prune'."),
    ("x509:", "Give the engine the certificate of who answers there, in /etc/docker/certs.d/{host}/ca.crt."),
    (
        NO_CONFIGURATION,
        "Check that ecr:GetDownloadUrlForLayer is allowed on the repository, and that the engine's host reaches S3.",
    ),
    ("no such host", _ENGINES_WAY),
    ("i/o timeout", _ENGINES_WAY),
    ("connection refused", _ENGINES_WAY),
    ("client.timeout exceeded", _ENGINES_WAY),
    ("verification failed", f"What arrived is not what was asked for. {_AGAIN}"),
    ("unexpected eof", f"The transfer broke off. {_AGAIN}"),
    ("connection reset", f"The transfer broke off. {_AGAIN}"),
    ("unexpected http status: 5", f"The registry failed. {_AGAIN}"),
    ("500 internal server error", f"The registry failed. {_AGAIN}"),
    ("pull access denied", _NOT_ADMITTED),
    ("403 forbidden", _NOT_ADMITTED),
    ("unauthorized", _UNKNOWN),
    ("parsing http 400 response", _UNKNOWN),
)


class EcrEngineError(EcrError):
    """The Docker engine cannot be connected to, or the connection was lost."""

    @classmethod
    def not_connected(cls, answers: Mapping[str, str], *, untried: bool = False) -> EcrEngineError:
        """Return the error for engines that did not let us in.

        :param answers: URL of each engine that was tried, and what came of it.
        :param untried: whether there are further URLs, which were not tried.
        """
        sentences = [_not_connected(url, answer) for url, answer in answers.items()]
        if untried:
            sentences.append("The next URL of docker_url is tried only if api_version is left away.")
        return cls(" ".join(sentences))

    @classmethod
    def lost(cls, url: str, answer: str) -> EcrEngineError:
        """Return the error for an engine that went away, or does not answer any more."""
        step = "See the engine's own log; the task can be tried again."
        if "timed out" in answer.lower():
            step = "The task can be tried again; timeout is how many seconds it waits."
        return cls(f"{url}: the connection to the Docker engine was lost. {_sentence(answer)} {step}")

    def for_image(self, image: str) -> EcrEngineError:
        """Return the same error with the name of the image that was being pulled."""
        return type(self)(f"{image}: not pulled. {self}")


def _not_connected(url: str, answer: str) -> str:
    lowered = answer.lower()
    step = next((step for text, step in _ENGINE_STEPS if text in lowered), "")
    return f"{url}: not connected to the Docker engine. {_sentence(answer)} {step}".rstrip()


_NO_ENGINE = "Start the engine there, or name in docker_url where it is."
_CLIENT_CERTIFICATE = (
    "The engine did not accept the worker's certificate, or got none: name one in tls_client_cert, and its key in "
    "tls_client_key, that is valid today and signed by an authority of the engine's tlscacert."
)
_NO_NAME = "Check the host's name in docker_url, and the worker's DNS."
_PEM = "Check that tls_ca_cert, tls_client_cert and tls_client_key are files in PEM format."
_NO_TLS = "That port does not speak TLS: correct it, or leave tls_ca_cert, tls_client_cert and tls_client_key away."
_NAME_OF_ENGINE = "Name the engine in docker_url by a host name that its certificate has; tls_hostname has no effect."
# The system's words, Go's and OpenSSL's, whose spelling differs with the version; sharpest first.
_ENGINE_STEPS = (
    ("no such file or directory", _NO_ENGINE),
    ("connection refused", _NO_ENGINE),
    ("permission denied", "Add the worker's user to the group that owns the socket; as a rule, that is docker."),
    ("name or service not known", _NO_NAME),
    ("name resolution", _NO_NAME),
    ("timed out", "Check that the worker may reach that host and port, for instance in its security groups."),
    (
        "http request to an https server",
        "Set tls_ca_cert, tls_client_cert and tls_client_key; TLS is used only with all three.",
    ),
    ("hostname mismatch", _NAME_OF_ENGINE),
    ("ip address mismatch", _NAME_OF_ENGINE),
    (
        "certificate verify failed",
        (
            "Name the certificate of the authority that signed the engine's in tls_ca_cert, beside tls_client_cert and "
            "tls_client_key; where REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE is set, that file is used instead."
        ),
    ),
    ("bad certificate", _CLIENT_CERTIFICATE),
    ("certificate required", _CLIENT_CERTIFICATE),
    ("unknown ca", _CLIENT_CERTIFICATE),
    ("certificate expired", _CLIENT_CERTIFICATE),
    (
        "eof occurred",
        "The engine ended the connection without a word; it may not have accepted the certificate in tls_client_cert.",
    ),
    ("key values mismatch", "Check that tls_client_key is the key of the certificate in tls_client_cert."),
    ("wrong version number", _NO_TLS),
    ("record layer failure", _NO_TLS),
    ("certificate or crl found", _PEM),
    ("pem lib", _PEM),
)


class EcrStartError(EcrError, APIError):
    """The engine could not create or start the container; also an ``APIError``, as DockerOperator raises it."""

    @classmethod
    def from_engine(cls, what: str, error: APIError) -> EcrStartError:
        """Return the error for what the engine answered.

        :param what: name of the image, or id of the container.
        """
        answer = str(error.explanation or error)
        lowered = answer.lower()
        step = next((step for text, step in _PULL_STEPS if text in lowered), "") if _NO_SPACE in lowered else ""
        if isinstance(error, ImageNotFound):
            step = "See what removes images from this engine while tasks need them."
        sentence = f"{what}: the container was not started. {_sentence(answer)} {step}".rstrip()
        return cls(sentence, error.response, error.explanation)

    def __str__(self) -> str:
        # APIError's would put the HTTP status and the engine's URL around it.
        return str(self.args[0])


def container_killed(image: str, *, out_of_memory: bool, limit: int) -> str:
    """Return why a container was killed.

    :param limit: of its memory, in bytes; 0 is none.
    """
    if not out_of_memory:
        unsaid = "the engine does not report that it was out of memory"
        return f"{image}: the container was killed (exit code 137); {unsaid}. See who stopped it."
    if limit:
        bound = f"its limit of {limit / 2**20:g} MiB"
        return f"{image}: the container was killed (exit code 137): it was out of memory, at {bound}. Raise mem_limit."
    return (
        f"{image}: the container was killed (exit code 137): its host was out of memory. Give the host more, "
        "or the container a mem_limit."
    )


def container_of_other_platform(image: str, made_for: str, engine: str) -> str:
    """Return why a container could not run a program, which the system calls an exec format error."""
    return (
        f"{image}: the image is for {made_for}, and the engine runs {engine}, where its programs end with 'exec format "
        f"error' unless they are emulated. Push an image for {engine}, too."
    )


class EcrKilledError(EcrError):
    """The task was killed before its container started."""

    @classmethod
    def before_start(cls) -> EcrKilledError:
        """Return the error for a container that is not started any more."""
        return cls("The task was killed before its container started, so it is not started any more.")


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
