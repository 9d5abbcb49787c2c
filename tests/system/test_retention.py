"""Old images of the task's repository are removed from the engine, and nothing else: real engine, real registry."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrStartError
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION
from tests.stand.images import Image, build, digest
from tests.stand.podman import Podman
from tests.stand.registry import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stand import Stand

pytestmark = pytest.mark.stand

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DAY, SHORTEST = timedelta(days=1), timedelta(microseconds=1)
TASKS, ROUNDS, TAGS = 20, 4, 3
SECONDS_ON_THE_WAY = 2


def run(image: str, image_retention: timedelta | None = DAY, **parameters: Any) -> Any:
    """Run a task on the stand as Airflow does, and return its result."""
    given = {"task_id": "task", "image": image, "auto_remove": "force", **parameters}
    task = EcrDockerOperator(image_retention=image_retention, **given)
    result = task.execute({})
    task.post_execute({}, result)
    return result


def ids(stand: Stand) -> set[str]:
    """Return the ids of all images on the engine, including untagged ones."""
    return {image["Id"] for image in stand.engine.client.images()}


def id_of(stand: Stand, image: str) -> str:
    """Return the id of an image on the engine."""
    return str(stand.engine.client.inspect_image(image)["Id"])


def noted(stand: Stand, image: str) -> datetime:
    """Return the time of an image's last pull, if the engine knows it."""
    if stand.kind.podman:
        until = int(time.time()) + 1
        events = stand.engine.client.events(since=0, until=until, filters={"event": "pull"}, decode=True)
        pulls = [event["timeNano"] for event in events if id_of(stand, image).endswith(event["Actor"]["ID"])]
        return datetime.fromtimestamp(pulls[-1] / 1e9, UTC)
    return datetime.fromisoformat(stand.engine.client.inspect_image(image)["Metadata"]["LastTagTime"])


def by_digest(name: str, image: Image) -> str:
    """Return the name of *image* by its digest, in the repository of *name*."""
    return f"{name.rpartition(':')[0]}@{digest(image.manifest)}"


def upon(base: Image, text: str) -> Image:
    """Return an image with one more layer on top of *base*, and with a build history."""
    layer, config = build(text), json.loads(base.config)
    config["rootfs"]["diff_ids"].append(json.loads(layer.config)["rootfs"]["diff_ids"][0])
    config["history"] = [
        {"created_by": "COPY / /"},
        {"created_by": "ENV PATH=/bin", "empty_layer": True},
        {"created_by": "COPY / /"},
        {"created_by": "COPY image /"},
        {"created_by": 'CMD ["cat", "/image"]', "empty_layer": True},
    ]
    return replace(base, layers=(*base.layers, layer.layers[0]), config=json.dumps(config).encode())


def test_old_images(stand: Stand) -> None:
    """Removed: an old tag, an image that lost its tag, and one pulled by digest. Kept: the task's own image.

    With containerd's store and with Podman, an untagged image may stay: the engine does not know its repository.
    """
    digested, other_tag = build(), stand.push("old", "other-tag")
    for image in (stand.push("old", "moving"), other_tag, by_digest(stand.push("old", "x", image=digested), digested)):
        run(image)
    moving = stand.push("old", "moving")
    lost = {id_of(stand, moving)} if stand.kind.knows_pull_times else set()
    assert run(moving, force_pull=True)
    assert len(ids(stand) | lost) == 4
    run(moving, SHORTEST)
    assert ids(stand) - lost == {id_of(stand, moving)}


def test_two_tags_of_an_image(stand: Stand) -> None:
    """An old image with several tags is removed with all of them."""
    image = build()
    for tag in ("1", "2"):
        run(stand.push("tags", tag, image=image))
    own = stand.push("tags", "own")
    run(own, SHORTEST)
    assert stand.engine.images() == [own]


def test_tags_of_the_own_image(stand: Stand) -> None:
    """The image that the task ran keeps its other tags, whether named by tag or by digest."""
    image = build()
    names = [stand.push("own", tag, image=image) for tag in ("1", "2")]
    for name in names:
        run(name)
    run(names[0], SHORTEST)
    run(by_digest(names[0], image), SHORTEST)
    assert sorted(stand.engine.images()) == names


@pytest.mark.parametrize("retention", [None, DAY])
def test_young_images(retention: timedelta | None, stand: Stand) -> None:
    """Younger images are kept, and without the parameter, all images are."""
    images = [stand.push("young", tag) for tag in ("1", "2", "3")]
    for image in images:
        run(image, retention)
    assert sorted(stand.engine.images()) == images


def test_nothing_more_is_asked_without_retention(stand: Stand) -> None:
    """Without the parameter, the engine gets only DockerOperator's requests, and we record no pull times."""
    image = stand.push("unnoted")
    run(image, None)
    assert (noted(stand, image).year > 1) is stand.kind.knows_pull_times


def test_images_of_containers(stand: Stand) -> None:
    """An old image is kept while a container of it exists, running or not."""
    images = [stand.push("contained", tag) for tag in ("running", "stopped", "neither")]
    for image in images:
        run(image)
    containers = [stand.engine.client.create_container(image, "sleep 600") for image in images[:2]]
    stand.engine.client.start(containers[0])
    own = stand.push("contained", "own")
    run(own, SHORTEST)
    assert sorted(stand.engine.images()) == sorted([*images[:2], own])
    for container in containers:
        stand.engine.client.remove_container(container, force=True)
    run(own, SHORTEST)
    assert stand.engine.images() == [own]


def test_other_repositories(stand: Stand) -> None:
    """Old images are kept in repositories with a similar name, with the same name elsewhere, and without a registry."""
    others = [stand.push(name) for name in ("app2", "app-2", "ap", "app/app", "team/app")]
    others += [stand.push("app", account=OTHER_ACCOUNT), stand.push("app", region=OTHER_REGION)]
    stand.registry.policies[OTHER_ACCOUNT, REGION, "app"].add(ACCOUNT)
    for other in others:
        run(other)
    stand.engine.client.tag(others[0], "app", "local")
    run(stand.push("app"), SHORTEST)
    assert set(stand.engine.images()) == {*others, "app:local", f"{HOST}/app:1"}


def test_image_of_two_repositories(stand: Stand) -> None:
    """If another repository also names an old image, only this repository's names are removed."""
    tagged, digested = build(), build()
    other = stand.push("theirs", image=tagged)
    other_digest = by_digest(stand.push("theirs", "x", image=digested), digested)
    own = stand.push("ours", "own")
    for image in (
        other,
        other_digest,
        stand.push("ours", "1", image=tagged),
        stand.push("ours", "2", image=tagged),
        stand.push("ours", "3", image=digested),
    ):
        run(image)
    run(own, SHORTEST)
    assert sorted(stand.engine.images()) == sorted([own, other])
    for name in (other, other_digest):
        [left] = stand.engine.client.inspect_image(name)["RepoDigests"]
        assert left.startswith(f"{HOST}/theirs@")
    assert len(ids(stand)) == 3


def test_public_images(stand: Stand) -> None:
    """Images of ECR Public are removed in the same way."""
    host = "public.ecr.aws"
    images = [stand.push("team/public", tag, account=PUBLIC, region="us-east-1", host=host) for tag in ("1", "2")]
    run(images[0])
    run(images[1], SHORTEST)
    assert stand.engine.images() == [images[1]]


def test_images_that_are_not_on_ecr(stand: Stand) -> None:
    """If the task's image is not in Amazon ECR, nothing is removed."""
    image = stand.push("local")
    run(image)
    stand.engine.client.tag(image, "local", "old")
    stand.engine.client.tag(image, "local", "own")
    run("local:own", SHORTEST)
    assert sorted(stand.engine.images()) == [image, "local:old", "local:own"]


def test_images_that_others_pulled(stand: Stand) -> None:
    """If the engine does not know when an image was pulled, its age counts from when it is first seen.

    With containerd's store, the engine always knows, and so does Podman.
    """
    old, own = stand.push("unknown", "1"), stand.push("unknown", "2")
    EcrDockerHook(base_url=stand.engine.url).get_conn().pull(old)
    if not stand.kind.knows_pull_times:
        assert noted(stand, old).year == 1
        run(own, SHORTEST)
        assert sorted(stand.engine.images()) == [old, own]
        assert abs(noted(stand, old) - noted(stand, own)) < DAY
    run(own, SHORTEST)
    assert stand.engine.images() == [own]


def test_engine_that_keeps_no_events(stand: Stand, logged: Callable[[str], int]) -> None:
    """Podman tells pull times by its events only; if it keeps none, nothing is removed, and a warning says so."""
    if not isinstance(stand.engine, Podman):
        pytest.skip("Docker keeps the times itself.")
    images = [stand.push("uneventful", tag) for tag in ("1", "2")]
    run(images[0])
    stand.engine.kill()
    stand.engine.events_logger = "none"
    stand.engine.start()
    try:
        run(images[1], SHORTEST)
    finally:
        stand.engine.kill()
        del stand.engine.events_logger
        stand.engine.start()
    assert sorted(stand.engine.images()) == images
    assert logged("no image is removed, because the engine does not tell when an image was pulled") == 1


def test_image_without_an_event(stand: Stand) -> None:
    """An image whose pull Podman's events no longer show counts from when it is first seen."""
    if not isinstance(stand.engine, Podman):
        pytest.skip("Docker keeps no events on disk.")
    old, own = stand.push("forgotten", "1"), stand.push("forgotten", "2")
    run(old)
    stand.engine.forget_events()
    run(own, SHORTEST)
    assert sorted(stand.engine.images()) == [old, own]
    run(own, SHORTEST)
    assert stand.engine.images() == [own]


def test_pull_of_what_is_there(stand: Stand) -> None:
    """The age of an image counts from its last pull, even if that pull brought nothing new."""
    image = stand.push("again")
    run(image)
    first = noted(stand, image)
    run(image)
    assert noted(stand, image) == first
    run(image, force_pull=True)
    assert noted(stand, image) > first


def test_images_that_share_layers(stand: Stand, logged: Callable[[str], int]) -> None:
    """Images that share layers with younger ones are removed, too, and the log shows their number."""
    base = build("base")
    images = [stand.push("shared", str(n), image=upon(base, f"{n}" * 1000 * n)) for n in (1, 2, 3)]
    run(images[0])
    run(images[1])
    run(images[2], SHORTEST)
    assert logged(f"{HOST}/shared: removed 2 images pulled more than 0:00:00.000001 ago") == 1


def test_engine_that_cannot_remove(stand: Stand, logged: Callable[[str], int]) -> None:
    """An image that cannot be removed does not fail the task; the log names the image and the reason.

    containerd's store removes the name at once and the files later, so nothing fails.
    """
    images = [stand.push("stuck", tag) for tag in ("1", "2")]
    run(images[0])
    run(images[1])
    task = EcrDockerOperator(task_id="task", image=images[1], auto_remove="force", image_retention=SHORTEST)
    task.execute({})
    with stand.engine.read_only_disk():
        task.post_execute({})
    assert logged("read-only file system") == (0 if stand.kind.containerd_store else 1)


def test_engine_that_is_gone(stand: Stand, logged: Callable[[str], int]) -> None:
    """If the engine is lost after the run, the task does not fail; the log shows the lost connection."""
    image = stand.push("gone")
    task = EcrDockerOperator(task_id="task", image=image, image_retention=SHORTEST)
    task.execute({})
    stand.engine.kill()
    try:
        task.post_execute({})
    finally:
        stand.engine.start()
    assert logged("are not all removed: ") == 1


def test_image_that_is_removed_before_its_container_is_created(stand: Stand) -> None:
    """If an image disappears before its container is created, it is pulled once more with a new token."""
    image = stand.push("removed", image=build("pulled again"))
    run(image)
    task = EcrDockerOperator(task_id="task", image=image, auto_remove="force")
    looks: Callable[..., Any] = task.cli.images

    def images(*args: Any, **kwargs: Any) -> Any:
        found = looks(*args, **kwargs)
        stand.engine.forget(image)
        return found

    task.cli.images = images  # type: ignore[method-assign]
    assert task.execute({}) == "pulled again"
    assert len(stand.aws.tokens) == 2


def test_image_that_is_removed_again_and_again(stand: Stand) -> None:
    """An image that keeps disappearing is not pulled forever; the task fails with the engine's error."""
    image = stand.push("hopeless")
    task = EcrDockerOperator(task_id="task", image=image)
    send = task.cli.send

    def forgetful(request: Any, **kwargs: Any) -> Any:
        if "/containers/create" in request.path_url:
            stand.engine.forget(image)
        return send(request, **kwargs)

    task.cli.send = forgetful  # type: ignore[method-assign]
    with pytest.raises(EcrStartError, match=r"(?i)no such image"):
        task.execute({})
    # The first pull, and three more.
    assert len(stand.aws.tokens) == 4


def from_afar(image: str) -> str:
    """Run a task whose container request is slow, so that the image may be gone when it arrives."""
    task = EcrDockerOperator(task_id="task", image=image, auto_remove="force", image_retention=SHORTEST)
    send, requests = task.cli.send, count()

    def slow(request: Any, **kwargs: Any) -> Any:
        if "/containers/create" in request.path_url and next(requests) == 0:
            time.sleep(SECONDS_ON_THE_WAY)
        return send(request, **kwargs)

    task.cli.send = slow  # type: ignore[method-assign]
    result = task.execute({})
    task.post_execute({}, result)
    return str(result)


def test_many_tasks_at_once(stand: Stand) -> None:
    """Twenty simultaneous tasks on three tags of one repository, with the shortest retention, all succeed."""
    images = [stand.push("busy", str(tag), image=build(str(tag))) for tag in range(TAGS)]
    start = Barrier(TASKS)

    def work(number: int) -> list[str]:
        start.wait()
        return [from_afar(images[(number + again) % TAGS]) for again in range(ROUNDS)]

    with ThreadPoolExecutor(TASKS) as pool:
        results = list(pool.map(work, range(TASKS)))
    assert results == [[str((number + again) % TAGS) for again in range(ROUNDS)] for number in range(TASKS)]
