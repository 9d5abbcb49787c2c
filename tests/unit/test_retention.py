"""Which images are old, which requests remove them, and how much space that frees; the system tests cover the rest."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
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
    """Return the chain ids of the layers, computed as in the specification's example."""
    first, second, third = layers
    upon = f"sha256:{hashlib.sha256(f'{first} {second}'.encode()).hexdigest()}"
    return [first, upon, f"sha256:{hashlib.sha256(f'{upon} {third}'.encode()).hexdigest()}"]


CHAIN = chain_ids(LAYERS)


class Engine(RecordingEngine):
    """An engine with one image besides the task's own."""

    def describe(self, **image: Any) -> None:
        """Set the image's properties that differ from an old image with one tag."""
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
        """Remove images older than a week; return the requests that change something."""
        client = APIClient(base_url=self.url, version="1.41")
        remove_old_images(client, OWN, WEEK)
        return [f"{asked.method} {asked.path}" for asked in self.asked if asked.method != "GET"]


class Podman(Engine):
    """Podman, whose events show the pulls and the tags, also those that it is asked for."""

    newest = True
    """Whether it returns the events of the tags that it is asked for."""

    def keep(self, *events: tuple[str, str, str]) -> None:
        """Keep these events of the image: each an action, a name and a time."""
        self.describe(Metadata={"LastTagTime": "0001-01-01T00:00:00Z"})
        self.answers["/info"] = (200, {"SystemTime": NOW, "BuildahVersion": "1.43.2"})
        self.answers[f"/images/{OWN}/tag"] = (201, "")
        self.answers = _Answers(self, [_event(*event) for event in events])


class _Answers(dict[str, tuple[int, Any]]):
    def __init__(self, engine: Podman, events: list[dict[str, Any]]) -> None:
        super().__init__(engine.answers)
        self.engine, self.events = engine, events

    def get(self, path: str, default: Any = None) -> Any:
        if path.startswith(f"/images/{NOTES}:"):
            return 200, [{"Untagged": path}]
        if path == "/events":
            tags = [f"{NOTES}:{tag}" for asked in self.engine.asked for tag in asked.query.get("tag", [])]
            newest = [_event("tag", tag, NOW) for tag in tags if self.engine.newest]
            return 200, (*self.events, *newest)
        return super().get(path, default)


def _event(action: str, name: str, moment: str) -> dict[str, Any]:
    nanoseconds = int(datetime.fromisoformat(moment).timestamp()) * 10**9
    return {"Action": action, "Actor": {"ID": REPOSITORY, "Attributes": {"name": name}}, "timeNano": nanoseconds}


@pytest.fixture
def podman() -> Iterator[Podman]:
    """Provide an engine like Podman."""
    with Podman() as engine:
        yield engine


@pytest.fixture
def holder() -> Iterator[Engine]:
    """Provide an engine with an old image, whose id is the repository's name."""
    with Engine() as engine:
        engine.describe()
        yield engine


@pytest.fixture
def info(caplog: pytest.LogCaptureFixture) -> None:
    """Capture INFO messages, too."""
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
    """A repository's name is the image's name without tag and digest, but with the port."""
    assert repository_of(image) == repository


def test_old_image(holder: Engine) -> None:
    """An old image is removed by its id, without force."""
    assert holder.clean() == REMOVED
    assert holder.asked[-1].query == {"force": ["False"], "noprune": ["False"]}


@pytest.mark.parametrize("moment", ["2026-11-14T12:00:01Z", NOW, "2027-01-01T00:00:00Z", "2026-11-14T14:00:00+01:00"])
def test_young_image(moment: str, holder: Engine) -> None:
    """A younger image is kept, by the engine's clock, in any time zone, and even if its time is in the future."""
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
    """If the engine does not know when an image was pulled, it is kept, and a temporary tag records the time."""
    holder.describe(Metadata=metadata)
    tag, untag = holder.clean()
    assert tag == f"POST /images/{REPOSITORY}/tag"
    assert untag.startswith(f"DELETE /images/{NOTES}:")


@pytest.mark.parametrize(
    ("events", "removed"),
    [
        ([("pull", f"{REPOSITORY}:1", OLD)], True),
        ([("pull", f"{REPOSITORY}:1", OLD), ("pull", f"{REPOSITORY}:1", NOW)], False),
        ([("pull", f"{REPOSITORY}:1", OLD), ("tag", "theirs:1", NOW)], True),
        ([("pull", f"{REPOSITORY}:1", OLD), ("tag", f"{NOTES}:0", NOW)], False),
        ([("tag", f"{NOTES}:0", OLD)], True),
        ([("pull", f"{REPOSITORY}:1", OLD), ("tag", f"{NOTES}:end-0", NOW)], True),
    ],
    ids=["old", "pulled-again", "tagged-by-others", "recorded", "recorded-long-ago", "other-task"],
)
def test_podmans_events(events: list[tuple[str, str, str]], removed: bool, podman: Podman) -> None:
    """On Podman, the last pull, or the time that we recorded, is in the events; other tags do not count."""
    podman.keep(*events)
    mark, unmark, *rest = podman.clean()
    assert mark == f"POST /images/{OWN}/tag"
    assert unmark.startswith(f"DELETE /images/{NOTES}:end-")
    assert rest == (REMOVED if removed else [])


def test_podman_without_an_event_of_the_image(podman: Podman) -> None:
    """An image whose pull Podman's events do not show is kept, and its time is recorded."""
    podman.keep()
    _, _, tag, untag = podman.clean()
    assert tag == f"POST /images/{REPOSITORY}/tag"
    assert untag.startswith(f"DELETE /images/{NOTES}:")


def test_podman_without_the_own_image(podman: Podman, logged: Callable[[str], int]) -> None:
    """If another task has removed the task's own image, no image is removed, and there is no warning."""
    podman.keep(("pull", f"{REPOSITORY}:1", OLD))
    podman.answers[f"/images/{OWN}/tag"] = (404, {"message": f"{OWN}: image not known: no such image"})
    assert podman.clean() == [f"POST /images/{OWN}/tag"]
    assert logged("not all removed") == 0


def test_podman_whose_events_are_not_complete(podman: Podman, logged: Callable[[str], int]) -> None:
    """If Podman keeps no events, or not the newest ones, nothing is removed, and a warning says so."""
    podman.keep(("pull", f"{REPOSITORY}:1", OLD))
    podman.newest = False
    assert REMOVED[0] not in podman.clean()
    assert logged("no image is removed, because the engine does not tell when an image was pulled") == 1


@pytest.mark.parametrize("answer", [{}, {"SystemTime": "0001-01-01T00:00:00Z"}])
def test_engine_without_a_clock(answer: dict[str, str], holder: Engine) -> None:
    """If an engine does not report its time, nothing is removed."""
    holder.answers["/info"] = (200, answer)
    assert REMOVED[0] not in holder.clean()


def test_image_of_a_container(holder: Engine) -> None:
    """An image with a container is kept."""
    holder.answers["/containers/json"] = (200, [{"ImageID": REPOSITORY}])
    assert holder.clean() == []
    assert [asked.query["all"] for asked in holder.asked if asked.path == "/containers/json"] == [["1"]]


def test_own_image(holder: Engine) -> None:
    """The image that the task ran is kept."""
    holder.answers[f"/images/{OWN}/json"] = (200, {"Id": REPOSITORY})
    assert holder.clean() == []


def test_own_image_that_is_gone(holder: Engine) -> None:
    """If the task's own image is already gone, other images are still removed."""
    holder.answers[f"/images/{OWN}/json"] = (404, {"message": f"No such image: {OWN}"})
    assert holder.clean() == REMOVED


@pytest.mark.parametrize("other", [f"{REPOSITORY}2:1", f"{REPOSITORY}/app:1", "app:1", "team/app@sha256:0"])
def test_image_with_another_name(other: str, holder: Engine) -> None:
    """If another repository also names an image, only this repository's names are removed."""
    tags, digests = ([], [other]) if "@" in other else ([other], [])
    holder.describe(RepoTags=[f"{REPOSITORY}:1", *tags], RepoDigests=[*digests, DIGEST])
    assert holder.clean() == [f"DELETE /images/{REPOSITORY}:1", f"DELETE /images/{DIGEST.replace('@', '%40')}"]


def test_note_that_was_left(holder: Engine) -> None:
    """A temporary tag from a killed worker does not count as another repository, and is removed with the image."""
    holder.describe(RepoTags=[f"{REPOSITORY}:1", f"{NOTES}:left"])
    assert holder.clean() == [f"DELETE /images/{NOTES}:left", *REMOVED]


def test_image_without_names(holder: Engine) -> None:
    """An image without a name in the repository is kept."""
    holder.describe(RepoTags=None, RepoDigests=None)
    assert holder.clean() == []


@pytest.mark.parametrize(("status", "warnings"), [(404, 0), (409, 0), (403, 1), (500, 1)])
def test_refusal(status: int, warnings: int, holder: Engine, logged: Callable[[str], int]) -> None:
    """Images that another task needs or removed are skipped silently; any other refusal is a warning."""
    holder.answers[f"/images/{REPOSITORY}"] = (status, {"message": "not this one"})
    assert holder.clean() == REMOVED
    assert logged(f"{REPOSITORY} was not removed: not this one") == warnings


@pytest.mark.parametrize("path", ["/info", "/containers/json"])
def test_engine_that_does_not_answer_so(path: str, holder: Engine, logged: Callable[[str], int]) -> None:
    """If an engine, or a proxy in front of it, refuses to list images, nothing is removed, with a warning."""
    holder.answers[path] = (403, {"message": "not you"})
    assert holder.clean() == []
    assert logged("are not all removed") == 1


@pytest.mark.usefixtures("info")
def test_removed_images_are_logged(holder: Engine, logged: Callable[[str], int]) -> None:
    """The log shows how many images were removed."""
    holder.clean()
    assert logged(f"{REPOSITORY}: removed 1 image pulled more than 7 days, 0:00:00 ago") == 1
