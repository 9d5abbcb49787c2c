"""Removes images that were pulled long ago, to keep the engine's disk free."""

from __future__ import annotations

import logging
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, ImageNotFound

from ecr_docker_operator.ecr.reference import repository_of
from ecr_docker_operator.errors import EcrInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker.api.client import APIClient

log = logging.getLogger(__name__)

# Repository of the temporary tags that make an engine record a time. Podman puts a host before a name without one.
NOTES = "localhost/ecr-docker-operator/noted"
# Start of the tags that mark the end of an engine's events, and how long to wait for that event, in seconds.
_MARK, _MARK_SECONDS = "end-", 5
# Another task removed the image, or uses it.
_IN_USE_OR_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}


def validate_retention(value: object) -> None:
    """Check that *value* is a positive ``timedelta`` or ``None``.

    :raises EcrInputError: if it is not.
    """
    if value is not None and not (isinstance(value, timedelta) and value > timedelta(0)):
        raise EcrInputError.image_retention(value)


def record_pull_time(client: APIClient, image: str) -> None:
    """Make the engine record the current time, by its own clock, as the pull time of *image*.

    The engine stores when an image was last tagged (Docker Engine API, "Inspect an image", ``Metadata.LastTagTime``).
    Docker's containerd image store updates it at each pull, its older store only when a tag is added. So this adds a
    temporary tag and removes it. The image's own names do not change. Podman keeps an event of it.
    """
    _tag_for_a_moment(client, image, uuid.uuid4().hex)


def _tag_for_a_moment(client: APIClient, image: str, tag: str) -> str:
    client.tag(image, NOTES, tag=tag)
    name = f"{NOTES}:{tag}"
    client.remove_image(name)
    return name


def remove_old_images(client: APIClient, image: str, retention: timedelta) -> None:
    """Remove the images of the same repository as *image* that were pulled longer ago than *retention*.

    Keeps *image* itself, and all images of containers, running or stopped. If an image also has names in other
    repositories, only the names in this one are removed. An image without a known pull time counts as pulled now.
    If the engine keeps no record of pulls (Podman without events), a warning says so, and all images stay.
    Nothing is removed by force, and no error is raised.
    """
    repository = repository_of(image)
    sweep = _Sweep(client, repository)
    try:
        sweep.run(image, retention)
    except Exception as error:  # noqa: BLE001 - the task has succeeded
        log.warning("%s: images pulled more than %s ago are not all removed: %s", repository, retention, error)
    if sweep.removed:
        images = f"{sweep.removed} image{'s' if sweep.removed > 1 else ''}"
        log.info("%s: removed %s pulled more than %s ago", repository, images, retention)


class _Sweep:
    """One pass over the images of a repository."""

    def __init__(self, client: APIClient, repository: str) -> None:
        self._client = client
        self._repository = repository
        self._pulled: dict[str, datetime] = {}
        self.removed = 0

    def run(self, image: str, retention: timedelta) -> None:
        info = self._client.info()
        now = _moment(info["SystemTime"])
        # Podman returns no LastTagTime, but its events tell.
        if now and "BuildahVersion" in info:
            try:
                kept = self._read_events(image, now)
            except ImageNotFound:  # removed by another task, which removes the old images, too
                return
            if not kept:
                log.warning(
                    "%s: no image is removed, because the engine does not tell when an image was pulled. For Podman, "
                    'set events_logger to "journald" or "file" in containers.conf.',
                    self._repository,
                )
                return
        needed = {container["ImageID"] for container in self._client.containers(all=True)}
        for found in self._client.images(name=self._repository):
            with self._skipping(found["Id"]):
                self._look(self._client.inspect_image(found["Id"]), image, needed, now, retention)

    def _read_events(self, image: str, now: datetime) -> bool:
        """Read from the engine's events when images were pulled; return whether the engine keeps events.

        An engine may stop before its newest events, so they are read up to one that is made here.
        """
        mark = _tag_for_a_moment(self._client, image, f"{_MARK}{uuid.uuid4().hex}")
        until = int(now.timestamp()) + _MARK_SECONDS
        kinds = {"type": "image", "event": ["pull", "tag"]}
        events = self._client.events(since=0, until=until, filters=kinds, decode=True)
        try:
            for event in events:
                name = event["Actor"]["Attributes"]["name"]
                if name == mark:
                    return True
                is_note = name.startswith(f"{NOTES}:") and not name.startswith(f"{NOTES}:{_MARK}")
                if event["Action"] == "pull" or is_note:
                    moment = datetime.fromtimestamp(event["timeNano"] / 1e9, UTC)
                    self._pulled[event["Actor"]["ID"]] = moment
        finally:
            events.close()
        return False

    def _look(
        self, found: dict[str, Any], image: str, needed: set[str], now: datetime | None, retention: timedelta
    ) -> None:
        pulled = self._pulled.get(_hash(found)) or _moment((found.get("Metadata") or {}).get("LastTagTime"))
        if now is None or pulled is None:
            record_pull_time(self._client, found["Id"])
        elif now - pulled > retention and found["Id"] not in needed | self._ids(image):
            self._remove(found)

    def _ids(self, image: str) -> set[str]:
        # Looked up each time, because the tag may have moved to another image.
        try:
            return {self._client.inspect_image(image)["Id"]}
        except ImageNotFound:
            return set()

    def _remove(self, image: dict[str, Any]) -> None:
        deleted: set[str] = set()
        for name in self._removable(image):
            with self._skipping(name):
                deleted.update(item.get("Deleted", "") for item in self._client.remove_image(name))
        # Podman's answer has no algorithm.
        self.removed += not deleted.isdisjoint({image["Id"], _hash(image)})

    def _removable(self, image: dict[str, Any]) -> list[str]:
        names = [*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())]
        ours = [name for name in names if repository_of(name) in (self._repository, NOTES)]
        if len(ours) < len(names) or not ours:
            return ours
        # By id at last, because a tag may have moved to another image. The engine allows it once one tag is left.
        return [*[name for name in ours if "@" not in name][1:], image["Id"]]

    @contextmanager
    def _skipping(self, image: str) -> Iterator[None]:
        try:
            yield
        except APIError as error:
            level = logging.DEBUG if error.status_code in _IN_USE_OR_GONE else logging.WARNING
            log.log(level, "%s: %s was not removed: %s", self._repository, image, error.explanation or error)


def _hash(image: dict[str, Any]) -> str:
    """Return the id of an image without the algorithm."""
    return str(image["Id"]).removeprefix("sha256:")


def _moment(text: str | None) -> datetime | None:
    """Return the time in RFC 3339 *text*; ``None`` if empty or unset, which Go writes as a date in the year 1."""
    moment = datetime.fromisoformat(text) if text else None
    return moment if moment and moment.year > 1970 else None  # noqa: PLR2004 - containerd's store writes 1970
