"""Images that were pulled long ago are removed, so that they do not fill the engine's disk."""

from __future__ import annotations

import hashlib
import logging
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, ImageNotFound

from ecr_docker_operator.errors import EcrInputError
from ecr_docker_operator.image import repository_of
from ecr_docker_operator.method import ClientMethod
from ecr_docker_operator.units import in_bytes

if TYPE_CHECKING:
    from docker.api.client import APIClient

log = logging.getLogger(__name__)

# Repository of the tags with which an engine is made to note the time; each is there for a moment.
NOTES = "ecr-docker-operator/noted"
# Another task was faster, or needs the image.
_NOT_ANY_MORE = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
# Instructions of a Dockerfile whose layer may be one of no bytes.
_LAYER = re.compile(r"\b(?:ADD|COPY|RUN|WORKDIR)\b")


def check_retention(value: object) -> None:
    """Check *value*, a ``timedelta`` or ``None``.

    :raises EcrInputError: if it is something else, or not positive.
    """
    if value is not None and not (isinstance(value, timedelta) and value > timedelta(0)):
        raise EcrInputError.image_retention(value)


class EcrNotedPull(ClientMethod):
    """docker-py's ``APIClient.pull``, except that its end is noted as the time when the image was pulled.

    :param client: whose method it is.
    """

    def __init__(self, client: APIClient) -> None:
        super().__init__(client.pull)
        self._client = client

    def __call__(self, repository: str, *args: Any, **kwargs: Any) -> Any:
        """Pull *repository*; parameters and result are those of ``APIClient.pull``."""
        answer = self._method(repository, *args, **kwargs)
        if isinstance(answer, Iterator):
            return self._noted(repository, answer)
        self._note(repository)
        return answer

    def _noted(self, image: str, items: Iterator[Any]) -> Iterator[Any]:
        yield from items
        self._note(image)

    def _note(self, image: str) -> None:
        try:
            note_time(self._client, image)
        except Exception as error:  # noqa: BLE001 - the image is there, and the task can run
            log.warning("%s: the engine did not note when it was pulled: %s", image, error)


def note_time(client: APIClient, image: str) -> None:
    """Make the engine note, by its own clock, the present time with *image*.

    What it keeps is when an image was last tagged (Docker Engine API, "Inspect an image", ``Metadata.LastTagTime``).
    Docker's containerd image store sets that with each pull, its older store only with a tag. So the image gets a
    tag of ours and loses it again, which leaves its own names alone.
    """
    tag = uuid.uuid4().hex
    client.tag(image, NOTES, tag=tag)
    client.remove_image(f"{NOTES}:{tag}")


def remove_old_images(client: APIClient, image: str, retention: timedelta) -> None:
    """Remove the images of the same repository as *image* that were pulled longer ago than *retention*.

    *image* itself stays, and so do images of which there is a container, running or not. Of an image that has names
    of other repositories, too, only this repository's are removed. One of which the engine does not know when it was
    pulled counts as pulled now. Nothing is removed by force, and nothing that goes wrong is raised.
    """
    sweep = _Sweep(client, repository_of(image))
    try:
        sweep.run(image, retention)
    except Exception as error:  # noqa: BLE001 - the task has succeeded
        log.warning("%s: images pulled more than %s ago are not all removed: %s", sweep.repository, retention, error)
    if sweep.freed:
        number, least = len(sweep.freed), "at least " if None in sweep.freed else ""
        what = f"{number} image{'s'[: number - 1]} pulled more than {retention} ago"
        log.info("%s: removed %s, freed %s%s", sweep.repository, what, least, in_bytes(sum(filter(None, sweep.freed))))


class _Sweep:
    """One look through the images of a repository."""

    def __init__(self, client: APIClient, repository: str) -> None:
        self._client = client
        self.repository = repository
        self.freed: list[int | None] = []
        """Bytes that each removed image freed, ``None`` if that cannot be told."""

    def run(self, image: str, retention: timedelta) -> None:
        now = _moment(self._client.info()["SystemTime"])
        needed = {container["ImageID"] for container in self._client.containers(all=True)}
        for found in self._client.images(name=self.repository):
            with self._passing_over(found["Id"]):
                self._look(self._client.inspect_image(found["Id"]), image, needed, now, retention)

    def _look(
        self, found: dict[str, Any], image: str, needed: set[str], now: datetime | None, retention: timedelta
    ) -> None:
        pulled = _moment((found.get("Metadata") or {}).get("LastTagTime"))
        if now is None or pulled is None:
            note_time(self._client, found["Id"])
        elif now - pulled > retention and found["Id"] not in needed | self._ids(image):
            self._remove(found)

    def _ids(self, image: str) -> set[str]:
        # Not once for all: a tag may be another image's by now.
        try:
            return {self._client.inspect_image(image)["Id"]}
        except ImageNotFound:
            return set()

    def _remove(self, image: dict[str, Any]) -> None:
        history = self._client.history(image["Id"])
        deleted: set[str] = set()
        for name in self._removable(image):
            with self._passing_over(name):
                deleted.update(item.get("Deleted", "") for item in self._client.remove_image(name))
        if image["Id"] in deleted:
            self.freed.append(_freed(image, history, deleted))

    def _removable(self, image: dict[str, Any]) -> list[str]:
        names = [*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())]
        ours = [name for name in names if repository_of(name) in (self.repository, NOTES)]
        if len(ours) < len(names) or not ours:
            return ours
        # By its id, since a tag may be another image's by now; the engine does so if there is no second tag.
        return [*[name for name in ours if "@" not in name][1:], image["Id"]]

    @contextmanager
    def _passing_over(self, image: str) -> Iterator[None]:
        try:
            yield
        except APIError as error:
            level = logging.DEBUG if error.status_code in _NOT_ANY_MORE else logging.WARNING
            log.log(level, "%s: %s was not removed: %s", self.repository, image, error.explanation or error)


def _moment(text: str | None) -> datetime | None:
    """Return the moment of RFC 3339 *text*; ``None`` for none, which Go writes as a day of the year 1."""
    moment = datetime.fromisoformat(text) if text else None
    return moment if moment and moment.year > 1970 else None  # noqa: PLR2004 - where the other store begins


def _freed(image: dict[str, Any], history: list[dict[str, Any]], deleted: set[str]) -> int | None:
    """Return how many bytes the layers had that were deleted with *image*; others are still needed."""
    chain_ids = _chain_ids(image["RootFS"].get("Layers") or [])
    if deleted.issuperset(chain_ids):
        return int(image["Size"])
    sizes = _sizes(history, len(chain_ids))
    # The containerd image store does not say which layers it deletes.
    if sizes is None or deleted.isdisjoint(chain_ids):
        return None
    return sum(size for chain_id, size in zip(chain_ids, sizes, strict=True) if chain_id in deleted)


def _chain_ids(layers: list[str]) -> list[str]:
    """Return the ids that stand for each of *layers* and all below (OCI Image Specification, "Layer ChainID")."""
    ids = layers[:1]
    for layer in layers[1:]:
        ids.append(f"sha256:{hashlib.sha256(f'{ids[-1]} {layer}'.encode()).hexdigest()}")
    return ids


def _sizes(history: list[dict[str, Any]], layers: int) -> list[int] | None:
    """Return the size of each layer, lowest first; ``None`` if it cannot be told which steps have one."""
    sizes = [step["Size"] for step in reversed(history) if step["Size"] or _LAYER.search(step["CreatedBy"])]
    return sizes if len(sizes) == layers else None
