"""Each failure has one clear error message, and the same task succeeds once the fault is fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability.case import Scene
from tests.reliability.cases import CASES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.reliability.case import Case
    from tests.stand import Stand

pytestmark = pytest.mark.stand


@pytest.mark.parametrize(
    "case", [case for cases in CASES.values() for case in cases], ids=lambda case: case.name.replace(" ", "-")
)
def test_case(case: Case, stand: Stand, tmp_path: Path) -> None:
    """The task fails with one sentence without a token, and the next try succeeds once the fault is fixed."""
    if case.over_tls and not stand.kind.listens_with_tls:
        pytest.skip("This Podman listens on its socket only.")
    with Scene(stand, tmp_path) as scene:
        with case.broken(scene), pytest.raises(case.error) as caught:
            scene.run()
        assert case.matches(caught.value, scene), f"{caught.value}\nis not\n{case.pattern(scene)}"
        assert [token for token in stand.aws.tokens if token.password in str(caught.value)] == []
        if not (case.lasts_with_containerd and stand.kind.containerd_store):
            scene.run()


def test_custom_endpoint_of_a_fips_registry(stand: Stand, tmp_path: Path) -> None:
    """A FIPS registry with a custom endpoint, which botocore once refused, gets its token from that endpoint."""
    with Scene(stand, tmp_path) as scene:
        host = scene.image.partition("/")[0].replace("ecr", "ecr-fips")
        scene.image = scene.push(host=host)
        scene.run()
    assert len(stand.aws.token_calls()) == 1
