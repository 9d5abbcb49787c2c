"""Cases of the registry: it refuses the token or the identity, does not have the image, or fails."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecr_docker_operator import EcrPullError
from ecr_docker_operator.hints import TOKEN_REFUSED
from tests.reliability.case import HOST, Case, Scene, while_set
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION
from tests.stand.images import build, digest
from tests.stand.registry import Answer, error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.stand.registry import LayerService

NOT_PULLED = "{image}: not pulled from {registry} for {worker}."
ACTIONS = "ecr:BatchGetImage and ecr:GetDownloadUrlForLayer"
token_expired = while_set(lambda scene: scene.stand.aws, "lifetime", 0)
NO_BETTER = (
    "A new token did not help: check the worker's clock, the policy of the VPC endpoint com.amazonaws.{region}.ecr.dkr "
    "and, for an alias host, registry_id and region_name."
)
NO_IMAGE = "Requested image not found (ImageNotFound)"
CHECK_TAG = "Check the tag or digest; a lifecycle policy may have removed the image."
NOT_THERE = (
    "The repository with name '{repository}' does not exist in the registry with id '{account}' "
    "(RepositoryNotFoundException). Check the repository's name, and that this is its account and region. If it "
    "belongs to a pull-through cache, a first pull by tag creates it, for which ecr:BatchImportUpstreamImage and "
    "ecr:CreateRepository have to be allowed."
)


ALIAS = "registry.example.com"


@contextmanager
def wrong_region(scene: Scene) -> Iterator[None]:
    """Give an alias the wrong region."""
    scene.image = f"{ALIAS}/{scene.repository}:1"
    scene.words.update(host=ALIAS, registry=f"Amazon ECR registry {ACCOUNT} in {OTHER_REGION}")
    scene.push(host=ALIAS)
    yield
    scene.push(host=ALIAS, region=OTHER_REGION)


def registry_answers(piece: str, answer: Answer) -> Callable[[Scene], AbstractContextManager[None]]:
    """Make the registry answer requests whose path contains *piece* with *answer*."""

    @contextmanager
    def breaks(scene: Scene) -> Iterator[None]:
        scene.push()
        scene.stand.registry.faults[piece] = answer
        yield
        scene.stand.registry.faults.clear()

    return breaks


def layers_are(service: LayerService) -> Callable[[Scene], AbstractContextManager[None]]:
    """Make S3 serve layers in this way."""
    return while_set(lambda scene: scene.stand.registry, "layers", service)


@contextmanager
def not_admitted(scene: Scene) -> Iterator[None]:
    """Use an image of another account, whose policy does not admit the worker."""
    host = HOST.replace(ACCOUNT, OTHER_ACCOUNT)
    scene.image = f"{host}/{scene.repository}:1"
    scene.words.update(host=host, registry=f"Amazon ECR registry {OTHER_ACCOUNT} in {REGION}", owner=OTHER_ACCOUNT)
    scene.push(account=OTHER_ACCOUNT)
    yield
    scene.stand.registry.policies[OTHER_ACCOUNT, REGION, scene.repository].add(ACCOUNT)


@contextmanager
def no_repository(scene: Scene) -> Iterator[None]:
    """Use a repository that does not exist."""
    scene.stand.registry.serve(HOST, ACCOUNT, REGION)
    yield
    scene.push()


@contextmanager
def no_tag(scene: Scene) -> Iterator[None]:
    """Use a tag that does not exist."""
    scene.stand.push(scene.repository, "other")
    yield
    scene.push()


@contextmanager
def no_digest(scene: Scene) -> Iterator[None]:
    """Use a digest that does not exist."""
    scene.stand.push(scene.repository, "other")
    image = build()
    scene.image = f"{HOST}/{scene.repository}@{digest(image.manifest)}"
    yield
    scene.stand.push(scene.repository, "1", image=image)


def identity_may_not(action: str) -> Callable[[Scene], AbstractContextManager[None]]:
    """Remove the permission for *action* from the identity."""
    return while_set(lambda scene: scene.stand.registry, "not_allowed", {action})


def _not_allowed(action: str, kind: str) -> str:
    return (
        f"User: {{user}} is not authorized to perform: {action} on resource: arn:aws:ecr:{{region}}:{{owner}}:"
        f"repository/{{repository}} because no {kind}-based policy allows the {action} action (AccessDeniedException)"
    )


def _case(name: str, answer: str, step: str, breaks: Callable[[Scene], AbstractContextManager[None]]) -> Case:
    return Case(name, f"{NOT_PULLED} {answer}. {step}".rstrip(), breaks, EcrPullError)


CASES = [
    _case("expired token", TOKEN_REFUSED, NO_BETTER, token_expired),
    _case(
        "invalid token",
        TOKEN_REFUSED,
        NO_BETTER,
        registry_answers(
            "/manifests/",
            Answer(
                401,
                b"Not Authorized",
                (("Www-Authenticate", f'Basic realm="https://{HOST}/",service="ecr.amazonaws.com"'),),
            ),
        ),
    ),
    _case("garbled token", TOKEN_REFUSED, NO_BETTER, registry_answers("/manifests/", Answer(400, b"Bad Request\n"))),
    Case(
        "token of another region",
        f"{NOT_PULLED} {NOT_THERE}",
        wrong_region,
        EcrPullError,
        {"registry_host": ALIAS, "registry_id": ACCOUNT, "region_name": OTHER_REGION},
    ),
    _case(
        "no ecr:BatchGetImage",
        _not_allowed("ecr:BatchGetImage", "identity"),
        f"Allow {ACTIONS} on the repository to that user or role.",
        identity_may_not("ecr:BatchGetImage"),
    ),
    _case(
        "no ecr:GetDownloadUrlForLayer",
        _not_allowed("ecr:GetDownloadUrlForLayer", "identity"),
        f"Allow {ACTIONS} on the repository to that user or role.",
        identity_may_not("ecr:GetDownloadUrlForLayer"),
    ),
    _case(
        "another account's repository without a policy",
        _not_allowed("ecr:BatchGetImage", "resource"),
        f"The repository is another account's: account {{owner}} has to allow {ACTIONS} in the repository's policy.",
        not_admitted,
    ),
    Case("repository missing", f"{NOT_PULLED} {NOT_THERE}", no_repository, EcrPullError),
    _case("tag missing", NO_IMAGE, CHECK_TAG, no_tag),
    _case("digest missing", NO_IMAGE, CHECK_TAG, no_digest),
    # AWS cannot explain the other failures, and engines word them differently.
    _case(
        "429",
        "*",
        "The registry limits the rate of requests. The task can be tried again.",
        registry_answers("/manifests/", error(429, "TOOMANYREQUESTS", "Rate exceeded")),
    ),
    _case(
        "500",
        "*500 Internal Server Error",
        "The registry failed. The task can be tried again.",
        registry_answers("/manifests/", Answer(500, b"")),
    ),
    _case(
        "connection reset inside a layer",
        "*unexpected EOF",
        "The transfer broke off. The task can be tried again.",
        layers_are("reset"),
    ),
    # containerd's store keeps the bytes that arrived, and fails on them again at every try.
    Case(
        "garbage inside a layer",
        f"{NOT_PULLED} *sha256:*. What arrived is not what was asked for. The task can be tried again.",
        layers_are("garbage"),
        EcrPullError,
        lasts_with_containerd=True,
    ),
    _case(
        "layers refused by S3",
        "*",
        "S3 refused the layer: check the policy of the VPC endpoint for S3.",
        layers_are("refused"),
    ),
]
