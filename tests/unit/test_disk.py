"""What is free on an engine's disk, and when that cannot be known."""

from __future__ import annotations

import shutil
import socket
from typing import TYPE_CHECKING, Any

import pytest
from docker.api.client import APIClient

from ecr_docker_operator.disk import NotKnownError, bytes_free

if TYPE_CHECKING:
    from pathlib import Path

    from tests.recording_engine import RecordingEngine

SOCKET = "unix:///var/run/docker.sock"


def ask(engine: RecordingEngine, root: Path, url: str = SOCKET, **info: Any) -> int:
    """Return what is free for an engine on this machine that keeps its data in *root*, but for what *info* says."""
    here = {"Name": socket.gethostname(), "DockerRootDir": str(root), "DriverStatus": [["Backing Filesystem", "extfs"]]}
    engine.answers["/info"] = (200, {**here, **info})
    return bytes_free(APIClient(base_url=engine.url, version="1.41"), url)


def test_engine_of_this_machine(engine: RecordingEngine, tmp_path: Path) -> None:
    """The disk is that of the engine's data."""
    total = shutil.disk_usage(tmp_path).total
    assert 0 < ask(engine, tmp_path) <= total


@pytest.mark.parametrize(
    ("url", "info"),
    [
        ("tcp://engine.example.com:2376", {}),
        (SOCKET, {"Name": "another-machine"}),
        (SOCKET, {"DockerRootDir": "/no/such/folder"}),
    ],
    ids=["remote", "socket-of-another-machine", "files-of-another-machine"],
)
def test_engine_of_another_machine(url: str, info: dict[str, Any], engine: RecordingEngine, tmp_path: Path) -> None:
    """Of another machine's disk, nothing is known, even if a folder of that name is here."""
    with pytest.raises(NotKnownError, match="the engine's disk is not seen from here"):
        ask(engine, tmp_path, url, **info)


def test_images_kept_by_containerd(engine: RecordingEngine, tmp_path: Path) -> None:
    """With containerd's image store, images are not among the engine's own data."""
    status = [["driver-type", "io.containerd.snapshotter.v1"]]
    with pytest.raises(NotKnownError, match="kept by containerd"):
        ask(engine, tmp_path, DriverStatus=status)


def test_engine_that_does_not_tell(engine: RecordingEngine) -> None:
    """A proxy before the engine may keep its description to itself."""
    engine.answers["/info"] = (403, {"message": "not for you"})
    with pytest.raises(NotKnownError, match=r"the engine says: .*not for you"):
        bytes_free(APIClient(base_url=engine.url, version="1.41"), SOCKET)
