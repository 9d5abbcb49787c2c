"""No object or error of the package shows a token: not as text, not pickled, and not in any frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator
from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.aws.token import fetch_credentials
from ecr_docker_operator.ecr.registry import EcrRegistry
from tests.reliability.places import error, inside, thing
from tests.reliability.scan import Scanner
from tests.stand.aws import AwsError
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.reliability.scan import Findings, Piece
    from tests.stand import Stand

pytestmark = pytest.mark.stand

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


def scan(stand: Stand, pieces: Iterator[Piece]) -> Findings:
    """Scan *pieces* for everything that AWS issued, and for the worker's own key."""
    assert stand.aws.tokens
    return Scanner([stand.worker.secret_key, *(token.password for token in stand.aws.tokens)]).scan(pieces)


def test_objects(stand: Stand) -> None:
    """After a pull, no object involved shows the token, and all that can be pickled are pickled without it."""
    operator = EcrDockerOperator(task_id="task", image=stand.push("objects"))
    operator.execute({})
    client = operator.hook.api_client
    registry = EcrRegistry.private(ACCOUNT, REGION)
    identity = AwsIdentity(None)
    things = {
        "operator": operator,
        "hook": operator.hook,
        "client": client,
        "pull": client.pull,
        "logins": client._auth_configs,  # noqa: SLF001
        "registry": registry,
        "identity": identity,
        "credentials": fetch_credentials(registry, identity),
    }
    found = scan(stand, (piece for name, value in things.items() for piece in thing(name, value)))
    assert found.hits == []
    assert found.pieces == {"repr": 8, "pickle": 5}
    # Credentials hold a token, but exist only during one request.
    del things["credentials"]
    found = scan(stand, (piece for name, value in things.items() for piece in inside(name, value)))
    assert found.hits == []


def missing(stand: Stand) -> None:
    """Pull a tag that does not exist."""
    stand.push("failing")
    run(f"{HOST}/failing:missing")


def refused(stand: Stand) -> None:
    """Pull from another account that does not admit the worker."""
    run(stand.push("theirs", account=OTHER_ACCOUNT))


def layer(stand: Stand) -> None:
    """Pull an image whose layers S3 refuses."""
    stand.registry.layers = "refused"
    run(stand.push("layer"))


def container(stand: Stand) -> None:
    """Run a container that fails."""
    run(stand.push("container"), command="false")


def no_token(stand: Stand) -> None:
    """Fail to get a token."""
    fetch_credentials(EcrRegistry.private(ACCOUNT, REGION), AwsIdentity(None))
    stand.aws.fault = AwsError(400, "AccessDeniedException", "no")
    run(stand.push("no-token"))


def own_code(stand: Stand) -> None:
    """Pull a missing image in your own code."""
    stand.push("failing")
    EcrDockerHook(base_url=stand.engine.url).get_conn().pull(f"{HOST}/failing:missing", stream=True)


def engine_gone(stand: Stand) -> None:
    """Lose the engine during a pull."""
    image = stand.push("gone")
    stand.registry.at_next_layer(stand.engine.kill)
    try:
        run(image)
    finally:
        stand.registry.at_next_layer(None)  # waits until the engine has ended
        stand.engine.start()


def run(image: str, **parameters: Any) -> None:
    """Run a task."""
    EcrDockerOperator(task_id="task", image=image, **parameters).execute({})


@pytest.mark.parametrize("fail", [missing, refused, layer, container, no_token, own_code, engine_gone])
def test_errors(fail: Callable[[Stand], None], stand: Stand) -> None:
    """No frame between the task and the failure holds the token, and no cause of the error does."""
    with pytest.raises(Exception, match=r"not pulled|Docker container failed") as caught:
        fail(stand)
    found = scan(stand, error(fail.__name__, caught.value))
    assert found.hits == []
    assert {"exception with locals", "repr", "pickle"} <= set(found.pieces)
