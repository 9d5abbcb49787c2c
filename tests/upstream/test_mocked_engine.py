"""The provider's tests of operators, Swarm, hook and exceptions, which mock the engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.upstream.comparison import assert_same, assert_whole
from tests.upstream.suite import CONTROL, DECORATORS, SOCKET

if TYPE_CHECKING:
    from tests.stand.aws import Aws
    from tests.upstream.suite import Record, Suite

ARGUMENTS = ("tests/unit", f"--ignore={DECORATORS}", f"--deselect={SOCKET}")

pytestmark = pytest.mark.slow

# Provider 4.5.0 has 111 such tests, 4.6.1 has 120.
AT_LEAST = 110


@pytest.fixture(scope="module")
def plain(suite: Suite) -> Record:
    """Provide the outcomes with the provider's own classes."""
    return suite.run(*ARGUMENTS)


def test_provider_passes_its_own_tests(plain: Record) -> None:
    """Each test runs and passes with the provider's own classes, so the comparison covers all tests."""
    assert_whole(plain, at_least=AT_LEAST)
    assert plain.counts == {}


def test_ours_pass_the_provider_tests(suite: Suite, plain: Record) -> None:
    """Each test has the same outcome with our classes as with the provider's."""
    swapped = suite.run(*ARGUMENTS, swapped=True)

    assert_same(swapped, plain)
    _assert_swapped(swapped)


def test_ours_pass_the_provider_tests_with_images_of_ecr(ecr_suite: Suite, plain: Record, aws: Aws) -> None:
    """The same holds with all images in Amazon ECR; AWS is not called, since no mock needs a login."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}

    swapped = ecr_suite.run(*ARGUMENTS, swapped=True, environment=environment)

    assert_same(swapped, plain)
    _assert_swapped(swapped)
    assert ecr_suite.images >= 40
    assert aws.token_calls() == []

    control = ecr_suite.run(CONTROL, swapped=True, environment=environment)

    # Zero calls prove something only if calls are really counted.
    assert_whole(control, at_least=1)
    assert len(aws.token_calls()) == 1


def _assert_swapped(record: Record) -> None:
    assert record.counts.get("operators", 0) >= 50
    assert record.counts.get("swarm operators", 0) >= 20
    assert record.counts.get("hooks", 0) >= 20
