"""Fixtures of the provider's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stand.hosts import ACCOUNT, REGION
from tests.upstream.suite import Suite

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """Provide the provider's tests as they are."""
    directory: Path = tmp_path_factory.mktemp("provider")
    return Suite.fetch(directory)


@pytest.fixture(scope="session")
def ecr_suite(suite: Suite) -> Suite:
    """Provide the provider's tests with all images in Amazon ECR."""
    return suite.at(f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com")
