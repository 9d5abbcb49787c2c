"""The provider's tests that run containers: ``@task.docker`` on the stand's engine, from the stand's registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functions import needs_functions
from tests.stand.hosts import REGION
from tests.upstream.comparison import assert_same, assert_whole
from tests.upstream.python_image import build_python
from tests.upstream.suite import DECORATORS, SOCKET

if TYPE_CHECKING:
    from tests.stand import Stand
    from tests.upstream.suite import Record, Suite

pytestmark = pytest.mark.stand

# The image that the provider's tests pull from Docker Hub.
REPOSITORY, TAG = "python", "3.9-slim"
# Provider 4.5.0 and 4.6.1 both have 39 such tests that do not skip themselves.
AT_LEAST = 38


@pytest.fixture(scope="module")
def image(running_stand: Stand) -> str:
    """Provide an image with Python in the stand's registry, and on the engine under its short name."""
    stand = running_stand
    stand.aws.reset()
    name = stand.push(REPOSITORY, TAG, image=build_python())
    token = stand.aws.issue("ecr", REGION, stand.worker)
    stand.engine.client.pull(name, auth_config={"username": "AWS", "password": token.password})
    stand.engine.client.tag(name, REPOSITORY, TAG)
    stand.engine.client.remove_image(name)
    return name


@pytest.fixture(scope="module")
def plain(suite: Suite, running_stand: Stand, image: str) -> Record:
    """Provide the outcomes with the provider's own classes and the image on the engine."""
    assert image
    return _run(suite, running_stand, swapped=False)


@needs_functions
def test_provider_passes_its_own_tests(plain: Record) -> None:
    """Each test runs and passes with the provider's own classes, so the comparison covers all tests."""
    assert_whole(plain, at_least=AT_LEAST)
    assert plain.counts == {}


def test_ours_pass_the_provider_tests_by_one_pull(ecr_suite: Suite, stand: Stand, plain: Record, image: str) -> None:
    """Each test has the same outcome with our classes, and all share one pull with one token."""
    assert not stand.engine.has(image)

    swapped = _run(ecr_suite, stand, swapped=True)

    assert_same(swapped, plain)
    assert ecr_suite.decorators >= 15
    assert swapped.counts.get("decorators", 0) >= 30
    assert stand.engine.has(image)
    assert len(stand.aws.token_calls()) == 1
    (token,) = stand.aws.tokens
    # containerd asks for the manifest without a login first.
    assert set(stand.registry.logins()) == {f"AWS:{token.password}", *([None] if stand.kind.containerd_store else [])}


def _run(suite: Suite, stand: Stand, *, swapped: bool) -> Record:
    # One test connects to the engine's default socket path: in its mount namespace, that is the stand's socket.
    script = 'mount -t tmpfs none /run && ln -s "$0" /run/docker.sock && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, stand.engine.url.removeprefix("unix://")]
    return suite.run(DECORATORS, SOCKET, swapped=swapped, environment=stand.environment, prefix=prefix)
