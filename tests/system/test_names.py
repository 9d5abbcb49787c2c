"""Names of images: what we refuse is what the engine refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from docker.errors import APIError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ecr_docker_operator import EcrDockerOperator, EcrInputError
from ecr_docker_operator.ecr.reference import resolve
from tests.stand.hosts import ACCOUNT, REGION

if TYPE_CHECKING:
    from docker.api.client import APIClient

    from tests.stand import Stand

pytestmark = pytest.mark.stand

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
NUMBER = 500
_COMPONENTS = (
    *("app", "a1", "a_b", "a__b", "a--b", "a.b"),
    *("a___b", "a..b", "_a", "a-", "A", "é", "..", "", "a b", "x" * 60),
)
_TAGS = ("1", "v1.0", "_x", ".x", "-x", "A", "a/b", "", "é", "a+b", "x" * 128, "x" * 129)
_DIGITS = ("0" * 64, "0" * 63, "a" * 96, "a" * 128, "A" * 64, "g" * 64, "")
_DIGESTS = [f"{name}:{digits}" for name in ("sha256", "sha384", "sha512", "md5", "SHA256") for digits in _DIGITS]


@st.composite
def names(draw: st.DrawFn) -> str:
    """Return a repository with a tag and a digest, any of which may be invalid or missing."""
    name = "/".join(draw(st.lists(st.sampled_from(_COMPONENTS), min_size=1, max_size=3)))
    for mark, parts in ((":", _TAGS), ("@", _DIGESTS)):
        if draw(st.booleans()):
            name += mark + draw(st.sampled_from(parts))
    # One more character at any place.
    place = draw(st.integers(0, len(name)))
    extra: str = draw(st.sampled_from([*[""] * 12, *"a0A_.-:/@ \n"]))
    return name[:place] + extra + name[place:]


def engine_accepts(client: APIClient, image: str, name: str) -> bool:
    """Return whether the engine takes *name* for a name that *image* could have."""
    try:
        client.tag(image, name)
    except APIError as error:
        return "digest reference" in str(error.explanation)
    return True


def we_accept(image: str) -> bool:
    """Return whether we take *image* for a name."""
    try:
        resolve(image, None, None, None, lambda: None)
    except EcrInputError:
        return False
    return True


def test_names_as_on_the_engine(stand: Stand) -> None:
    """Of hundreds of names in Amazon ECR, good and bad, we refuse those that the engine refuses."""
    seen: dict[str, bool] = {}

    @settings(
        max_examples=NUMBER,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(names())
    def collect(name: str) -> None:
        seen.setdefault(f"{HOST}/{name}", we_accept(f"{HOST}/{name}"))

    collect()
    assert NUMBER / 10 < sum(seen.values()) < len(seen) * 0.9
    client = stand.engine.client
    EcrDockerOperator(task_id="task", image=(image := stand.push())).cli.pull(image)
    differences = {name: ours for name, ours in seen.items() if engine_accepts(client, image, name) != ours}
    assert differences == {}
