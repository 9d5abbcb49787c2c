"""What counts as old, what an engine is asked to remove, and what that frees; the rest needs the stand."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from docker.api.client import APIClient

from ecr_docker_operator.ecr.reference import repository_of
from ecr_docker_operator.engine.retention import NOTES, remove_old_images
from tests.recording_engine import RecordingEngine
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/team/app"
OWN = f"{REPOSITORY}:own"
DIGEST = f"{REPOSITORY}@sha256:{'d' * 64}"
NOW = "2026-11-21T12:00:00.123456789Z"
OLD = "2026-11-01T12:00:00.5+01:00"
WEEK = timedelta(days=7)
LAYERS = ["sha256:a", "sha256:b", "sha256:c"]


def chain_ids(layers: list[str]) -> list[str]:
    """Return the ids of the layers, each with those below, as the specification's example computes them."""
    first, second, third = layers
    upon = f"sha256:{hashlib.sha256(f'{first} {second}'.encode()).hexdigest()}"
    return [first, upon, f"sha256:{hashlib.sha256(f'{upon} {third}'.encode()).hexdigest()}"]


CHAIN = chain_ids(LAYERS)


class Engine(RecordingEngine):
    """An engine that has one image besides the task's own."""

    def describe(self, **image: Any) -> None:
        """Say what the image is like, where it is not an old one with one tag."""
        self.present.add(REPOSITORY)
        found = {
            "Id": REPOSITORY,
            "RepoTags": [f"{REPOSITORY}:1"],
            "RepoDigests": [DIGEST],
            "Metadata": {"LastTagTime": OLD},
            "RootFS": {"Layers": LAYERS},
            "Size": 111,
            **image,
        }
        self.answers |= {
            "/info": (200, {"SystemTime": NOW}),
            "/containers/json": (200, []),
            f"/images/{OWN}/json": (200, {"Id": "own"}),
            f"/images/{REPOSITORY}/json": (200, found),
            f"/images/{REPOSITORY}/tag": (201, ""),
            f"/images/{REPOSITORY}/history": (200, []),
            f"/images/{REPOSITORY}": (200, [{"Untagged": DIGEST}, {"Deleted": REPOSITORY}]),
        }

    def clean(self) -> list[str]:
        """Remove what is older than a week; return what was to be changed."""
        client = APIClient(base_url=self.url, version="1.41")
        remove_old_images(client, OWN, WEEK)
        return [f"{asked.method} {asked.path}" for asked in self.asked if asked.method != "GET"]


@pytest.fixture
def holder() -> Iterator[Engine]:
    """Provide an engine with an old image, whose id is the repository's name."""
    with Engine() as engine:
        engine.describe()
        yield engine


@pytest.fixture
def info(caplog: pytest.LogCaptureFixture) -> None:
    """Let what is logged for information be seen, too."""
    caplog.set_level("INFO")


REMOVED = [f"DELETE /images/{REPOSITORY}"]


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        (REPOSITORY, REPOSITORY),
        (f"{REPOSITORY}:1", REPOSITORY),
        (f"{REPOSITORY}@sha256:0", REPOSITORY),
        (f"{REPOSITORY}:1@sha256:0", REPOSITORY),
        ("localhost:5000/app", "localhost:5000/app"),
        ("localhost:5000/app:1", "localhost:5000/app"),
        ("app:1", "app"),
        ("<none>:<none>", "<none>"),
    ],
)
def test_repository_of(image: str, repository: str) -> None:
    """A repository's name is the image's, without tag and digest, but with the port."""
    assert repository_of(image) == repository


def test_old_image(holder: Engine) -> None:
    """An old image is removed by its id, without force."""
    assert holder.clean() == REMOVED
    assert holder.asked[-1].query == {"force": ["False"], "noprune": ["False"]}


@pytest.mark.parametrize("moment", ["2026-11-14T12:00:01Z", NOW, "2027-01-01T00:00:00Z", "2026-11-14T14:00:00+01:00"])
def test_young_image(moment: str, holder: Engine) -> None:
    """An image stays that is younger by the engine's clock, wherever its time zone, or from the future."""
    holder.describe(Metadata={"LastTagTime": moment})
    assert holder.clean() == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"LastTagTime": "0001-01-01T00:00:00Z"},
        {"LastTagTime": "1970-01-01T00:00:00Z"},
        {"LastTagTime": ""},
        {"LastTagTime": None},
        {},
        None,
    ],
)
def test_unknown_time(metadata: Any, holder: Engine) -> None:
    """If the engine does not know when an image was pulled, it stays, and a short-lived tag records the time."""
    holder.describe(Metadata=metadata)
    tag, untag = holder.clean()
    assert tag == f"POST /images/{REPOSITORY}/tag"
    assert untag.startswith(f"DELETE /images/{NOTES}:")


@pytest.mark.parametrize("answer", [{}, {"SystemTime": "0001-01-01T00:00:00Z"}])
def test_engine_without_a_clock(answer: dict[str, str], holder: Engine) -> None:
    """Of an engine that does not tell the time, nothing is removed."""
    holder.answers["/info"] = (200, answer)
    assert REMOVED[0] not in holder.clean()


def test_image_of_a_container(holder: Engine) -> None:
    """An image that has a container stays."""
    holder.answers["/containers/json"] = (200, [{"ImageID": REPOSITORY}])
    assert holder.clean() == []
    assert [asked.query["all"] for asked in holder.asked if asked.path == "/containers/json"] == [["1"]]


def test_own_image(holder: Engine) -> None:
    """The image that the task ran stays."""
    holder.answers[f"/images/{OWN}/json"] = (200, {"Id": REPOSITORY})
    assert holder.clean() == []


def test_own_image_that_is_gone(holder: Engine) -> None:
    """If the task's own image was removed meanwhile, others are removed all the same."""
    holder.answers[f"/images/{OWN}/json"] = (404, {"message": f"No such image: {OWN}"})
    assert holder.clean() == REMOVED


@pytest.mark.parametrize("other", [f"{REPOSITORY}2:1", f"{REPOSITORY}/app:1", "app:1", "team/app@sha256:0"])
def test_image_with_another_name(other: str, holder: Engine) -> None:
    """Of an image that another repository names, too, only the names of this one are removed."""
    tags, digests = ([], [other]) if "@" in other else ([other], [])
    holder.describe(RepoTags=[f"{REPOSITORY}:1", *tags], RepoDigests=[*digests, DIGEST])
    assert holder.clean() == [f"DELETE /images/{REPOSITORY}:1", f"DELETE /images/{DIGEST.replace('@', '%40')}"]


def test_note_that_was_left(holder: Engine) -> None:
    """A tag of ours that a killed worker left is no other repository's, and goes with the image."""
    holder.describe(RepoTags=[f"{REPOSITORY}:1", f"{NOTES}:left"])
    assert holder.clean() == [f"DELETE /images/{NOTES}:left", *REMOVED]


def test_image_without_names(holder: Engine) -> None:
    """What is not named after the repository, perhaps not any more, is not the repository's to remove."""
    holder.describe(RepoTags=None, RepoDigests=None)
    assert holder.clean() == []


@pytest.mark.parametrize(("status", "warnings"), [(404, 0), (409, 0), (403, 1), (500, 1)])
def test_refusal(status: int, warnings: int, holder: Engine, logged: Callable[[str], int]) -> None:
    """What another task needs or removed is not worth a word; what else the engine refuses is a warning."""
    holder.answers[f"/images/{REPOSITORY}"] = (status, {"message": "not this one"})
    assert holder.clean() == REMOVED
    assert logged(f"{REPOSITORY} was not removed: not this one") == warnings


@pytest.mark.parametrize("path", ["/info", "/containers/json"])
def test_engine_that_does_not_answer_so(path: str, holder: Engine, logged: Callable[[str], int]) -> None:
    """An engine, or a proxy before it, that refuses to say what there is: nothing removed, and a warning."""
    holder.answers[path] = (403, {"message": "not you"})
    assert holder.clean() == []
    assert logged("are not all removed") == 1


@pytest.mark.usefixtures("info")
def test_removed_images_are_logged(holder: Engine, logged: Callable[[str], int]) -> None:
    """The log says how many images were removed."""
    holder.clean()
    assert logged(f"{REPOSITORY}: removed 1 image pulled more than 7 days, 0:00:00 ago") == 1
