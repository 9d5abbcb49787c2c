"""Tables of next steps after a failure, one for each source of errors.

``python -m tests.troubleshooting`` writes them to ``dags/TROUBLESHOOTING.md``.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Hint(NamedTuple):
    """One row: if an answer contains all *pieces*, ignoring case, *step* says what to do."""

    pieces: tuple[str, ...]
    step: str
    """Format string; :func:`next_step` fills in the names in braces."""


def next_step(table: tuple[Hint, ...], answer: str, **names: str) -> str:
    """Return the step of the first row in *table* that matches *answer*; empty if none does.

    :param names: values for the names in braces, such as ``region``.
    """
    row = find(table, answer)
    return row.step.format(**names) if row else ""


def find(table: tuple[Hint, ...], answer: str) -> Hint | None:
    """Return the first row in *table* that matches *answer*; ``None`` if none does."""
    lowered = answer.lower()
    return next((row for row in table if all(piece.lower() in lowered for piece in row.pieces)), None)


TOKEN_EXPIRED = "authorization token has expired"  # noqa: S105 - a message
"""The registry's message for an authorization token that is older than 12 hours."""
TOKEN_REFUSED = "The registry refused the token, although AWS gives the image to this identity"  # noqa: S105 - likewise
"""Our message if the registry refuses an image, but AWS says that the identity may pull it."""
LAYER_REFUSED = "A layer was refused, although AWS gives it to this identity"
"""The same for a layer, which Amazon ECR redirects to Amazon S3."""
NO_TOKEN = "AWS answered without a token of the form 'user:password' in base64"  # noqa: S105 - likewise
"""Our message for an answer without a valid token (Amazon ECR API Reference, "AuthorizationData")."""
NO_END = "no complete answer within"
"""Our message for an answer of AWS that starts in time, but does not end (aws/calls.py)."""
NO_HEADER = "An access key or session token has a character that HTTP does not allow, such as a line break"
"""Our message in place of http.client's, which shows the credential (aws/calls.py)."""
UNREADABLE_SETTINGS = "The credentials or settings cannot be used"
"""Our message in front of an error of Python's, raised before AWS is called (aws/calls.py)."""
UNREADABLE_ANSWER = "An answer cannot be read"
"""The same, raised by the call."""
NO_PLATFORM = "There is no image for the platform that the engine runs"
"""Our message for :data:`OTHER_PLATFORM`."""
NO_CONFIGURATION = "the engine could not read the image's configuration, and does not say why"
"""Our message if the engine returns no platform for an image (Docker Engine API, "Get image information")."""

_PULL_ACTIONS = "ecr:BatchGetImage and ecr:GetDownloadUrlForLayer"
_RETRY = "The task can be tried again."
_CLOCK = "Check the worker's clock, which AWS compares with its own."
_EXPIRED = "Renew that session's credentials."
_DEAD_KEY = "Check the access key that was used; it may be deleted, or of another partition than {registry}."
_ENDPOINT = "Check the way to AWS: without internet, a VPC endpoint {vpc}.%s with a private name is needed."
_SSO = "Log in with 'aws sso login' where the worker runs, or give it a role."
_OIDC = (
    "Check that an OIDC provider in IAM has the issuer and the audience of the web identity's token, and that the "
    "token is fresh."
)
_PROFILE = "Correct the profile in ~/.aws/config or ~/.aws/credentials, where the worker runs."
_FILE = "Check that the worker has this file, which its AWS settings name, such as AWS_WEB_IDENTITY_TOKEN_FILE."
_NOT_AWS = "Check what answers in place of AWS: a proxy, a login page, or the endpoint URL if one is configured."
_THROTTLED = "Let fewer tasks pull at once, or ask AWS for a higher quota."

# AWS's error codes are in parentheses; the rest is botocore's text. Messages that quote another one come first.
AWS = (
    Hint(
        ("Error when retrieving credentials from",),
        "Check what gives the worker its credentials: it did not answer, or answered without any.",
    ),
    Hint(("Error when retrieving token from",), _SSO),
    Hint(("Error loading SSO Token",), _SSO),
    Hint(("The SSO session associated with this profile",), _SSO),
    Hint(("(AccessDeniedException)",), "Allow {actions} on resource '*' to that user or role."),
    Hint(
        ("(AccessDenied)", "AssumeRoleWithWebIdentity"),
        "Let the role's trust policy name the OIDC provider, and the service account that the worker runs as, and "
        "allow it sts:AssumeRoleWithWebIdentity.",
    ),
    Hint(
        ("(AccessDenied)", "AssumeRoleWithSAML"),
        "Let the role's trust policy name the SAML provider, and allow it sts:AssumeRoleWithSAML.",
    ),
    Hint(("(InvalidIdentityToken)",), _OIDC),
    Hint(("(IDPRejectedClaim)",), _OIDC),
    Hint(("(IDPCommunicationError)",), f"AWS does not reach the OIDC provider. {_RETRY}"),
    Hint(
        ("(ExpiredTokenException)", "AssumeRoleWithWebIdentity"),
        "Check what renews the web identity's token.",
    ),
    Hint(("(AccessDenied)",), "Let the role's trust policy name that identity, and allow it sts:AssumeRole."),
    Hint(("(ExpiredToken)",), _EXPIRED),
    Hint(("(ExpiredTokenException)",), _EXPIRED),
    Hint(("(InvalidClientTokenId)",), _DEAD_KEY),
    Hint(("(UnrecognizedClientException)",), _DEAD_KEY),
    Hint(("Signature expired",), _CLOCK),
    Hint(("Signature not yet current",), _CLOCK),
    Hint(("(RequestExpired)",), _CLOCK),
    Hint(("(InvalidSignatureException)",), "Check the secret key that belongs to that access key."),
    Hint(("(SignatureDoesNotMatch)",), "Check the secret key that belongs to that access key."),
    Hint(("(ThrottlingException)",), _THROTTLED),
    Hint(("(ServerException)",), "The task can be tried again once AWS answers."),
    Hint(
        ("Unable to locate credentials",),
        "Give the worker a role, or name a connection with credentials in aws_conn_id.",
    ),
    Hint(("Partial credentials found", "assume-role"), _PROFILE),
    Hint(("Partial credentials found",), "Complete the credentials: a key id and a secret key belong together."),
    Hint(
        ("The config profile", "could not be found"),
        "Add the profile on the worker, or name another in the AWS connection.",
    ),
    Hint(("Unable to parse config file",), _PROFILE),
    Hint((NO_HEADER,), "Correct it where the worker or the AWS connection gets its credentials from."),
    Hint(
        ("Failed to connect to proxy URL",),
        "Check the proxy that is set in the worker's environment or in botocore_config.",
    ),
    Hint((NO_END,), f"Check what answers in place of AWS or slows it down: a proxy or the network. {_RETRY}"),
    Hint(
        ("Read timeout on endpoint URL",),
        "The task can be tried again; read_timeout in botocore_config is how long it waits.",
    ),
    Hint(
        ("SSL validation failed", "[Errno"),
        "Check that verify, or AWS_CA_BUNDLE, names a file with certificates that the worker has.",
    ),
    Hint(("SSL validation failed",), "Set verify to the file with the certificates of the proxy that answers for AWS."),
    Hint(("Could not connect to the endpoint URL", "//sts."), _ENDPOINT % "sts"),
    Hint(("Could not connect to the endpoint URL",), _ENDPOINT % "ecr.api"),
    Hint(("Connect timeout on endpoint URL", "//sts."), _ENDPOINT % "sts"),
    Hint(("Connect timeout on endpoint URL",), _ENDPOINT % "ecr.api"),
    Hint(("No such file or directory",), _FILE),
    Hint(("Is a directory",), _FILE),
    Hint(("Permission denied",), _FILE),
    Hint(("profile",), _PROFILE),
    Hint(
        ("unexpected keyword argument",),
        "Correct that key, in config_kwargs of the AWS connection or in botocore_config.",
    ),
    Hint(
        ("Unknown region",),
        "Upgrade boto3: 1.37.27 is the first that knows the endpoints of the European Sovereign Cloud.",
    ),
    Hint(
        ("Invalid endpoint",), "Correct the endpoint URL, in the AWS connection, in AWS_ENDPOINT_URL or ~/.aws/config."
    ),
    Hint(("HTTP status 3",), _NOT_AWS),
    Hint(("HTTP status 5",), "The task can be tried again once AWS answers."),
    Hint((NO_TOKEN,), _NOT_AWS),
    Hint(("<html",), _NOT_AWS),
    Hint(("<!doctype",), _NOT_AWS),
    Hint(("Unable to parse response",), _NOT_AWS),
    Hint(("Connection was closed before",), _NOT_AWS),
    Hint((UNREADABLE_ANSWER,), f"{_NOT_AWS[:-1]}, and what gives the worker its credentials."),
    Hint(
        (UNREADABLE_SETTINGS,),
        "Check the AWS connection's fields and extra, botocore_config, ~/.aws, and what gives the worker its "
        "credentials.",
    ),
)

_NOT_THERE = "Check the repository's name, and that this is its account and region."
_CACHE = (
    "If it belongs to a pull-through cache, a first pull by tag creates it, for which ecr:BatchImportUpstreamImage and "
    "ecr:CreateRepository have to be allowed."
)
_ADMIT = f"The repository is another account's: {{owner}} has to allow {_PULL_ACTIONS} in the repository's policy."
_UPSTREAM = "Check the secret in the pull-through cache rule: the upstream registry does not accept it."
_LAYER = "Push the image again: a layer of it is missing."

_S3 = "S3 refused the layer: check the policy of the VPC endpoint for S3."
_NOT_ACCEPTED = (
    "check the worker's clock, the policy of the VPC endpoint {vpc}.ecr.dkr and, for an alias host, registry_id and "
    "region_name."
)

# AWS's answer about an image: error and failure codes of BatchGetImage and GetDownloadUrlForLayer (Amazon ECR API
# Reference).
IMAGE = (
    Hint((TOKEN_REFUSED,), f"A new token did not help: {_NOT_ACCEPTED}"),
    Hint((LAYER_REFUSED,), _S3),
    Hint((TOKEN_EXPIRED,), f"A new token did not help: {_NOT_ACCEPTED}"),
    Hint(("no resource-based policy allows",), _ADMIT),
    Hint(("no identity-based policy allows",), f"Allow {_PULL_ACTIONS} on the repository to that user or role."),
    Hint(
        ("(AccessDeniedException)",),
        f"Allow {_PULL_ACTIONS} on the repository to that user or role, and in its policy if it is another account's.",
    ),
    Hint(("(RepositoryNotFoundException)",), f"{_NOT_THERE} {_CACHE}"),
    Hint(("(ImageNotFound)",), "Check the tag or digest; a lifecycle policy may have removed the image."),
    Hint(("(ImageTagDoesNotMatchDigest)",), "Correct the digest, or omit the tag."),
    Hint(("(InvalidImageTag)",), "Correct the tag."),
    Hint(("(InvalidImageDigest)",), "Correct the digest: 'sha256:' and 64 digits."),
    Hint(("(MissingDigestAndTag)",), "Name a tag or a digest."),
    Hint(("(ImageReferencedByManifestList)",), "Pull the list of images that it belongs to."),
    Hint(("(ImageInaccessible)",), "Check whether the image is archived; restore it, or push it again."),
    Hint(("(KmsError)",), "Check that the KMS key of the repository is enabled, and that Amazon ECR may use it."),
    Hint(("(UpstreamAccessDenied)",), _UPSTREAM),
    Hint(("(UnableToGetUpstreamImageException)",), _UPSTREAM),
    Hint(("(UnableToGetUpstreamLayerException)",), _UPSTREAM),
    Hint(
        ("(UpstreamTooManyRequests)",),
        f"The upstream registry limits the rate of requests: give the pull-through cache rule a login. {_RETRY}",
    ),
    Hint(("(UpstreamUnavailable)",), f"The upstream registry does not answer. {_RETRY}"),
    Hint(("(LayersNotFoundException)",), _LAYER),
    Hint(("(LayerInaccessibleException)",), _LAYER),
    Hint(("(InvalidParameterException)",), "Correct the image's name."),
    Hint(("(LimitExceededException)",), _THROTTLED),
    Hint(("(ServerException)",), f"AWS failed. {_RETRY}"),
)

_ENGINES_WAY = (
    "Check the way from the engine's host to the registry: without internet, the VPC endpoints "
    "{vpc}.ecr.dkr, with a private DNS name, and com.amazonaws.{region}.s3 are needed."
)
_NO_SPACE = Hint(
    ("no space left on device",), "Free disk space on the engine's host, for instance with 'docker image prune'."
)
_FAILED = f"The registry failed. {_RETRY}"
_BROKEN = f"The transfer broke off. {_RETRY}"
_DAMAGED = f"What arrived is not what was asked for. {_RETRY}"

OTHER_PLATFORM = ("no matching manifest", "no match for platform", "cannot be used on this platform")
"""Engine messages for an image that has no variant for the engine's platform."""

# Problems that only the engine can see; its messages depend on its version and image store.
REGISTRY = (
    Hint((NO_PLATFORM,), "Push an image for the platform of the engine, too."),
    Hint(("no basic auth credentials",), "The engine sent no login. Please report this with the versions you use."),
    Hint(("toomanyrequests",), f"The registry limits the rate of requests. {_RETRY}"),
    Hint(("429 Too Many Requests",), f"The registry limits the rate of requests. {_RETRY}"),
    Hint(("<code>AccessDenied</code>",), _S3),
    Hint((".s3.", "403 Forbidden"), _S3),
    _NO_SPACE,
    Hint(
        ("x509:",),
        "Give the engine the certificate of the server that answers, in /etc/docker/certs.d/{host}/ca.crt.",
    ),
    Hint(
        (NO_CONFIGURATION,),
        "Check that ecr:GetDownloadUrlForLayer is allowed on the repository, and that the engine's host reaches S3.",
    ),
    Hint(("no such host",), _ENGINES_WAY),
    Hint(("i/o timeout",), _ENGINES_WAY),
    Hint(("connection refused",), _ENGINES_WAY),
    Hint(("Client.Timeout exceeded",), _ENGINES_WAY),
    Hint(("verification failed",), _DAMAGED),
    Hint(("failed commit on ref", "failed precondition"), _DAMAGED),
    Hint(("does not match expected",), _DAMAGED),
    Hint(("unexpected EOF",), _BROKEN),
    Hint(("connection reset",), _BROKEN),
    Hint(("unexpected HTTP status: 5",), _FAILED),
    Hint((": 5", "unexpected status"), _FAILED),
    Hint(("500 Internal Server Error",), _FAILED),
)

UNEXPLAINED = "Check the repository's name, the tag or digest, and that the identity may pull it."
"""The step after a refusal that AWS cannot explain."""

REFUSAL = re.compile(
    r"access denied|\bdenied:|\bunauthorized\b|\bforbidden\b|\bnot found\b|\b(?:name|manifest|blob) unknown\b|authoriz"
    r"|\bbad request\b|\b40[0134]\b",
    re.IGNORECASE,
)
"""Engine messages for an image that the registry refused or does not have; AWS then gives the reason."""

_URL = "Correct docker_url: such as unix:///run/docker.sock, tcp://host:2376 or ssh://user@host."
_NO_DOCKER = f"Something else than a Docker engine answers there. {_URL}"
_NO_ENGINE = "Start the engine there, or set docker_url to where it is."
_CLIENT_CERTIFICATE = (
    "The engine did not accept the worker's certificate, or got none: set tls_client_cert, and its key in "
    "tls_client_key, to one that is valid today and signed by an authority of the engine's tlscacert."
)
_UNREACHABLE = "Check that the worker may reach that host and port, for instance in its security groups."
_NO_NAME = "Check the host's name in docker_url, and the worker's DNS."
_PEM = "Check that tls_ca_cert, tls_client_cert and tls_client_key are files in PEM format."
_NO_TLS = "That port does not use TLS: correct it, or omit tls_ca_cert, tls_client_cert and tls_client_key."
_OTHER_NAME = "Use a host name in docker_url that is in the engine's certificate; tls_hostname has no effect."

# Why an engine could not be reached: messages of the system, Go and OpenSSL, which depend on the version.
ENGINE = (
    Hint(("No such file or directory",), _NO_ENGINE),
    Hint(("Connection refused",), _NO_ENGINE),
    Hint(("Permission denied",), "Add the worker's user to the group that owns the socket, usually docker."),
    Hint(("Name or service not known",), _NO_NAME),
    Hint(("name resolution",), _NO_NAME),
    Hint(("Install paramiko",), "Install docker[ssh] where the worker runs."),
    Hint(
        ("known_hosts",),
        "Add the host's key to the file known_hosts in ~/.ssh of the worker's user, for instance with ssh-keyscan.",
    ),
    Hint(
        ("host key for server",),
        "The host's key is another one than in ~/.ssh/known_hosts of the worker's user: find out why, and correct it.",
    ),
    Hint(
        ("authentication",), "Give the worker's user a key that user@host in docker_url accepts, without a passphrase."
    ),
    Hint(("SSH protocol banner",), "Check that user@host:port in docker_url is an SSH server."),
    Hint(("Unable to connect to port",), _NO_ENGINE),
    Hint(("Connection reset",), "Check what is between the worker and that host and port: it ended the connection."),
    Hint(("No route to host",), _UNREACHABLE),
    Hint(("Network is unreachable",), _UNREACHABLE),
    Hint(("Timeout value",), "Correct timeout: a number of seconds above 0."),
    Hint(("bind address",), _URL),
    Hint(("protocol is",), _URL),
    Hint(("connection adapters",), _URL),
    Hint(("parse",), _URL),
    Hint(("Port out of range",), _URL),
    Hint(("Port could not be",), _URL),
    Hint(("Invalid IPv6 URL",), _URL),
    Hint(("Invalid URL",), _URL),
    Hint(("label",), _URL),
    Hint(("<html",), _NO_DOCKER),
    Hint(("<!doctype",), _NO_DOCKER),
    Hint(("Expecting value",), _NO_DOCKER),
    Hint(("ApiVersion",), _NO_DOCKER),
    Hint(("timed out",), _UNREACHABLE),
    Hint(
        ("HTTP request to an HTTPS server",),
        "Set tls_ca_cert, tls_client_cert and tls_client_key: TLS is used only with all three.",
    ),
    Hint(("hostname mismatch",), _OTHER_NAME),
    Hint(("IP address mismatch",), _OTHER_NAME),
    Hint(
        ("certificate verify failed",),
        "Set tls_ca_cert to the certificate of the authority that signed the engine's, beside tls_client_cert and "
        "tls_client_key; where REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE is set, that file is used instead.",
    ),
    Hint(("bad certificate",), _CLIENT_CERTIFICATE),
    Hint(("certificate required",), _CLIENT_CERTIFICATE),
    Hint(("unknown ca",), _CLIENT_CERTIFICATE),
    Hint(("certificate expired",), _CLIENT_CERTIFICATE),
    Hint(
        ("EOF occurred",),
        "The engine ended the connection without a word; it may not have accepted the certificate in tls_client_cert.",
    ),
    Hint(("key values mismatch",), "Check that tls_client_key is the key of the certificate in tls_client_cert."),
    Hint(("wrong version number",), _NO_TLS),
    Hint(("record layer failure",), _NO_TLS),
    Hint(("certificate or crl found",), _PEM),
    Hint(("PEM lib",), _PEM),
    Hint(("Client Error",), _NO_DOCKER),
    Hint(("fetching server API version",), _NO_DOCKER),
)

# Why a connection to an engine was lost.
LOST = (
    Hint(("timed out",), "The task can be tried again; timeout is how many seconds it waits."),
    Hint(("",), "See the engine's own log; the task can be tried again."),
)

# Why a container was not created or started.
START = (
    _NO_SPACE,
    Hint(("No such image",), "Find out what removes images from this engine while tasks need them."),
)
