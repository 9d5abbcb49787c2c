"""Cases of the registry: it refuses the token or the identity, lacks the image, or fails."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecr_docker_operator import EcrPullError
from tests.reliability.case import HOST, Case, Scene, while_set
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION
from tests.stand.images import build, digest
from tests.stand.registry import EXPIRED, Answer, error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.stand.registry import LayerService

NOT_PULLED = "{image}: not pulled from {registry} for {worker}."
DENIED = "pull access denied for {host}/{repository}, repository does not exist or may require 'docker login': denied:"
ACTIONS = "ecr:BatchGetImage and ecr:GetDownloadUrlForLayer"
token_expired = while_set(lambda scene: scene.stand.aws, "lifetime", 0)
NO_BETTER = "A new token did not help: check the worker's clock, and that the region is the registry's."
UNKNOWN = "The registry does not know the token: check that the host is the registry that you mean."
DOWNLOAD = "error pulling image configuration: download failed after attempts=*:"


@contextmanager
def wrong_region(scene: Scene) -> Iterator[None]:
    """Let an alias be said to stand for a registry in another region than it does."""
    host = "registry.example.com"
    scene.image = f"{host}/{scene.repository}:1"
    scene.words.update(host=host, registry=f"Amazon ECR registry {ACCOUNT} in {OTHER_REGION}")
    scene.push(host=host)
    yield
    scene.push(host=host, region=OTHER_REGION)


def registry_answers(piece: str, answer: Answer) -> Callable[[Scene], AbstractContextManager[None]]:
    """Return what lets the registry answer requests whose path has *piece* with *answer*."""

    @contextmanager
    def breaks(scene: Scene) -> Iterator[None]:
        scene.push()
        scene.stand.registry.faults[piece] = answer
        yield
        scene.stand.registry.faults.clear()

    return breaks


def layers_are(service: LayerService) -> Callable[[Scene], AbstractContextManager[None]]:
    """Return what lets S3 serve layers in this way."""
    return while_set(lambda scene: scene.stand.registry, "layers", service)


@contextmanager
def not_admitted(scene: Scene) -> Iterator[None]:
    """Let the image be another account's, which does not admit the worker's."""
    host = HOST.replace(ACCOUNT, OTHER_ACCOUNT)
    scene.image = f"{host}/{scene.repository}:1"
    scene.words.update(host=host, registry=f"Amazon ECR registry {OTHER_ACCOUNT} in {REGION}", owner=OTHER_ACCOUNT)
    scene.push(account=OTHER_ACCOUNT)
    yield
    scene.stand.registry.policies[OTHER_ACCOUNT, REGION, scene.repository].add(ACCOUNT)


@contextmanager
def no_repository(scene: Scene) -> Iterator[None]:
    """Let there be no such repository."""
    scene.stand.registry.serve(HOST, ACCOUNT, REGION)
    yield
    scene.push()


@contextmanager
def no_tag(scene: Scene) -> Iterator[None]:
    """Let the repository have no such tag."""
    scene.stand.push(scene.repository, "other")
    yield
    scene.push()


@contextmanager
def no_digest(scene: Scene) -> Iterator[None]:
    """Let the repository have no image with such a digest."""
    scene.stand.push(scene.repository, "other")
    image = build()
    scene.image = f"{HOST}/{scene.repository}@{digest(image.manifest)}"
    yield
    scene.stand.push(scene.repository, "1", image=image)


def identity_may_not(action: str) -> Answer:
    """Return Amazon ECR's refusal of an identity that its own policies allow too little."""
    return error(
        403,
        "DENIED",
        f"User: arn:aws:iam::{ACCOUNT}:user/worker is not authorized to perform: {action} on resource: "
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app because no identity-based policy allows the {action} action",
    )


def _case(name: str, answer: str, step: str, breaks: Callable[[Scene], AbstractContextManager[None]]) -> Case:
    return Case(name, f"{NOT_PULLED} {answer}. {step}".rstrip(), breaks, EcrPullError)


CASES = [
    _case("expired token", f"{DENIED} {EXPIRED[:-1]}", NO_BETTER, token_expired),
    _case(
        "invalid token",
        "unauthorized: authentication required",
        UNKNOWN,
        registry_answers(
            "/manifests/",
            Answer(
                401,
                b"Not Authorized",
                (("Www-Authenticate", f'Basic realm="https://{HOST}/",service="ecr.amazonaws.com"'),),
            ),
        ),
    ),
    _case(
        "garbled token",
        "error parsing HTTP 400 response body: invalid character 'B' looking for beginning of value: "
        '"Bad Request\\n"',
        UNKNOWN,
        registry_answers("/manifests/", Answer(400, b"Bad Request\n")),
    ),
    Case(
        "token of another region",
        f"{NOT_PULLED} {DENIED} {EXPIRED} {NO_BETTER}",
        wrong_region,
        EcrPullError,
        {"registry_id": ACCOUNT, "region_name": OTHER_REGION},
    ),
    _case(
        "no ecr:BatchGetImage",
        f"{DENIED} User: {{user}} is not authorized to perform: ecr:BatchGetImage on resource: * because no "
        "identity-based policy allows the ecr:BatchGetImage action",
        f"Allow {ACTIONS} on the repository to that user or role.",
        registry_answers("/manifests/", identity_may_not("ecr:BatchGetImage")),
    ),
    _case(
        "no ecr:GetDownloadUrlForLayer",
        f"{DOWNLOAD} denied: User: {{user}} is not authorized to perform: ecr:GetDownloadUrlForLayer on resource: * "
        "because no identity-based policy allows the ecr:GetDownloadUrlForLayer action",
        f"Allow {ACTIONS} on the repository to that user or role.",
        registry_answers("/blobs/", identity_may_not("ecr:GetDownloadUrlForLayer")),
    ),
    _case(
        "another account's repository without a policy",
        f"{DENIED} User: {{user}} is not authorized to perform: ecr:BatchGetImage on resource: "
        "arn:aws:ecr:{region}:{owner}:repository/{repository} because no resource-based policy allows the "
        "ecr:BatchGetImage action",
        f"The repository is another account's: account {{owner}} has to allow {ACTIONS} in the repository's policy.",
        not_admitted,
    ),
    _case(
        "repository missing",
        "repository {host}/{repository} not found: name unknown: The repository with name '{repository}' does not "
        "exist in the registry with id '{account}'",
        "Check the repository's name, and that this is its account and region.",
        no_repository,
    ),
    _case(
        "tag missing",
        "manifest for {image} not found: manifest unknown: Requested image not found",
        "Check the tag or digest.",
        no_tag,
    ),
    _case(
        "digest missing",
        "manifest for {image} not found: manifest unknown: Requested image not found",
        "Check the tag or digest.",
        no_digest,
    ),
    _case(
        "429",
        "toomanyrequests: Rate exceeded",
        "The registry limits the rate of requests. The task can be tried again.",
        registry_answers("/manifests/", error(429, "TOOMANYREQUESTS", "Rate exceeded")),
    ),
    _case(
        "500",
        "received unexpected HTTP status: 500 Internal Server Error",
        "The registry failed. The task can be tried again.",
        registry_answers("/manifests/", Answer(500, b"")),
    ),
    _case(
        "connection reset inside a layer",
        f"{DOWNLOAD} unexpected EOF",
        "The transfer broke off. The task can be tried again.",
        layers_are("reset"),
    ),
    _case(
        "garbage inside a layer",
        "error pulling image configuration: image config verification failed for digest sha256:*",
        "What arrived is not what was asked for. The task can be tried again.",
        layers_are("garbage"),
    ),
    _case(
        "layers refused by S3",
        f"{DOWNLOAD} error parsing HTTP 403 response body: invalid character '<' looking for beginning of value: "
        '"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"',
        "S3 refused the layer: check the policy of the VPC endpoint for S3.",
        layers_are("refused"),
    ),
]
