"""The places where a token could leak to, as pieces to scan."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import pickle
import threading
import traceback
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Self

from tests.reliability.scan import Piece

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from docker.api.client import APIClient

    from tests.deployment.postgresql import PostgreSql

SECONDS_BETWEEN_SAMPLES = 0.02
_NOT_INSIDE = (CodeType, FrameType, FunctionType, ModuleType, logging.Logger, type)


def files(place: str, *folders: Path) -> Iterator[Piece]:
    """Yield every file under *folders* with its name."""
    for folder in folders:
        for root, _, names in os.walk(folder):
            for name in names:
                path = Path(root, name)
                yield Piece(place, root, name.encode())
                if path.is_file():
                    with contextlib.suppress(FileNotFoundError):  # a temporary file that is gone
                        yield Piece(place, str(path), path.read_bytes())


def tables(database: PostgreSql) -> Iterator[Piece]:
    """Yield every table of Airflow's metadata database, except empty ones."""
    query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    for (table,) in database.query(query):
        rows = database.query(f'SELECT * FROM "{table}"')  # noqa: S608 - PostgreSQL gave the name
        for number, row in enumerate(rows):
            yield Piece(f"table {table}", f"row {number}", b"\n".join(map(_plain, row)))


def _plain(value: object) -> bytes:
    return value.tobytes() if isinstance(value, memoryview) else json.dumps(value, default=str).encode()


def engine(client: APIClient) -> Iterator[Piece]:
    """Yield the engine's information about its containers and images."""
    for container in client.containers(all=True):
        name = container["Id"]
        yield Piece("docker inspect, container", name, json.dumps(client.inspect_container(name)).encode())
        yield Piece("docker logs", name, client.logs(name))
    for image in client.images(all=True):
        name = image["Id"]
        known = (client.inspect_image(name), client.history(name))
        yield Piece("docker inspect, image", name, json.dumps(known).encode())


def thing(name: str, value: object) -> Iterator[Piece]:
    """Yield the representation of an object, and its pickle if it can be pickled."""
    yield Piece("repr", name, f"{value!r} {value}".encode())
    with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
        yield Piece("pickle", name, pickle.dumps(value))


def inside(name: str, value: object) -> Iterator[Piece]:
    """Yield every text that can be reached from an object, except through code, frames and loggers."""
    seen, ahead = {id(value): value}, [value]
    while ahead:
        here = ahead.pop()
        if isinstance(here, str | bytes | bytearray):
            yield Piece("inside", name, here.encode(errors="replace") if isinstance(here, str) else bytes(here))
        for one in gc.get_referents(here):
            if id(one) not in seen and not isinstance(one, _NOT_INSIDE):
                seen[id(one)] = one
                ahead.append(one)


def error(name: str, raised: BaseException) -> Iterator[Piece]:
    """Yield an error and its causes, with the variables of every frame."""
    chain: list[BaseException | None] = [raised]
    while chain:
        one = chain.pop()
        if one:
            # Format each error by itself: a formatted chain omits suppressed errors.
            told = traceback.TracebackException.from_exception(one, capture_locals=True)
            yield Piece("exception with locals", name, "".join(told.format()).encode())
            yield from (*thing(name, one), *inside(name, one))
            chain += [one.__cause__, one.__context__]


class Processes:
    """Arguments and environments of all processes that run during the ``with`` block."""

    def __enter__(self) -> Self:
        """Start sampling."""
        self._seen: dict[tuple[str, bytes], str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop sampling."""
        self._ended.set()
        self._thread.join()

    def pieces(self) -> Iterator[Piece]:
        """Yield the samples."""
        for (kind, content), name in self._seen.items():
            yield Piece(f"process, {kind}", name, content)

    def _run(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_SAMPLES):
            for process in Path("/proc").glob("[0-9]*"):
                for kind in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):  # the process has ended
                        self._seen.setdefault((kind, (process / kind).read_bytes()), process.name)
