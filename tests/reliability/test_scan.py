"""The scanner finds a planted token in every place and encoding, and reports no false hits."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import secrets
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import pytest
from docker.auth import encode_header

from tests.deployment.postgresql import PostgreSql
from tests.reliability.places import Processes, engine, error, files, inside, tables, thing
from tests.reliability.scan import Piece, Scanner
from tests.stand.aws import Identity, Token
from tests.stand.install import SERVERS, install_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.stand import Stand

TOKEN = Token("ecr", "eu-west-1", Identity("1", "arn", "key", "secret"), 0, secrets.token_urlsafe(1200))
PASSWORD = TOKEN.password.encode()
AUTHORIZATION = TOKEN.authorization.encode()
HEADER = encode_header({"username": "AWS", "password": TOKEN.password, "serveraddress": "registry.example.com"})
NOISE = json.dumps([secrets.token_urlsafe(1200) for _ in range(20)]).encode()

WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "as-it-is": lambda content: content,
    "in-noise": lambda content: NOISE + b"password: " + content + NOISE,
    "in-json": lambda content: json.dumps({"message": content.decode()}).encode(),
    "in-json-in-json": lambda content: json.dumps(json.dumps(content.decode())).encode(),
    "in-repr": lambda content: repr([{"X-Registry-Auth": content}]).encode(),
    "in-pickle": pickle.dumps,
    "in-lines": lambda content: b"\r\n".join(content[at : at + 76] for at in range(0, len(content), 76)),
    "gzipped": lambda content: gzip.compress(NOISE + content),
    "deflated": lambda content: zlib.compress(NOISE + content),
    "hexadecimal": lambda content: b"\\x" + zlib.compress(content).hex().encode(),
    "base64": base64.b64encode,
    "base64-moved": lambda content: base64.urlsafe_b64encode(b'{"password": "' + content + b'"}'),
}


def hits(pieces: Iterable[Piece], secret: str = TOKEN.password) -> list[tuple[str, str]]:
    """Return place and name of each piece that contains part of *secret*."""
    return [(hit.place, hit.name) for hit in Scanner([secret]).scan(pieces).hits]


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
@pytest.mark.parametrize("form", [PASSWORD, AUTHORIZATION, HEADER], ids=["password", "authorization", "header"])
def test_every_form(form: bytes, wrap: Callable[[bytes], bytes]) -> None:
    """Password, authorization token and header are found in all encodings."""
    assert hits([Piece("place", "name", wrap(form))]) == [("place", "name")]


@pytest.mark.parametrize("form", [PASSWORD, AUTHORIZATION[12:], HEADER[60:-60]])
def test_any_twenty_characters(form: bytes) -> None:
    """20 consecutive characters of a secret are enough, at any position."""
    pieces = [
        Piece("place", f"{start} {at}", NOISE[:at] + form[start : start + 20] + NOISE)
        for start in range(0, len(form) - 20, 37)
        for at in range(11)
    ]
    assert len(pieces) > 400
    assert len(hits(pieces)) == len(pieces)


def test_nothing_is_found_where_nothing_is() -> None:
    """Other tokens, and the rest of a token's header, are no hits."""
    other = {"username": "AWS", "password": secrets.token_urlsafe(1200), "serveraddress": "registry.example.com"}
    found = Scanner([TOKEN.password]).scan(
        [Piece("a", "", NOISE), Piece("b", "", encode_header(other)), Piece("b", "", b"")]
    )
    assert found.hits == []
    assert found.pieces == {"a": 1, "b": 2}
    assert found.bytes["a"] == len(NOISE)


def test_files(tmp_path: Path) -> None:
    """A token is found in a file, in a file name, and in compressed files at any depth."""
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    (folder / "plain").write_bytes(HEADER)
    (folder / "packed.gz").write_bytes(gzip.compress(AUTHORIZATION))
    (folder / TOKEN.password[:200]).write_text("nothing")
    (folder / "nothing").write_text("nothing")
    assert {place for _, place in hits(files("file", tmp_path))} == {
        str(place) for place in (folder, folder / "plain", folder / "packed.gz")
    }


class Shown:
    """An object that holds a token and shows it."""

    def __init__(self) -> None:
        self.kept = {"deep": [TOKEN.password]}

    def __repr__(self) -> str:
        return f"Shown({self.kept})"


def test_objects() -> None:
    """A token is found in an object's representation, in its pickle, and in its attributes."""
    assert {place for place, _ in hits([*thing("it", Shown()), *inside("it", Shown())])} == {"repr", "pickle", "inside"}


def test_errors() -> None:
    """A token is found in the variables of a frame and in the cause of an error."""

    def fail(password: str) -> None:
        raise ValueError(password[:0] or Shown())

    def explain() -> None:
        try:
            fail(TOKEN.password)
        except ValueError as cause:
            msg = "nothing to be seen"
            raise RuntimeError(msg) from cause

    with pytest.raises(RuntimeError) as caught:
        explain()
    assert {place for place, _ in hits(error("it", caught.value))} >= {"exception with locals", "repr", "pickle"}


def test_processes() -> None:
    """A token is found in the arguments and the environment of a process that has ended."""
    with Processes() as processes:
        program = [sys.executable, "-c", "import time; time.sleep(3)"]
        subprocess.run([*program, TOKEN.password], check=True)
        subprocess.run(program, env={"HEADER": HEADER.decode()}, check=True)
    assert {place for place, _ in hits(processes.pieces())} == {"process, cmdline", "process, environ"}


@pytest.mark.stand
def test_database() -> None:
    """A token is found in text, JSON and bytes, compressed or not, in a table and in the dump."""
    install_parts(SERVERS)
    with PostgreSql() as database:
        columns = {"a": ("text", HEADER.decode()), "b": ("json", json.dumps([TOKEN.authorization]))}
        columns |= {
            "c": ("bytea", "\\x" + pickle.dumps(PASSWORD).hex()),
            "d": ("bytea", "\\x" + zlib.compress(PASSWORD).hex()),
        }
        for table, (kind, value) in columns.items():
            database.query(f"CREATE TABLE {table} AS SELECT CAST(%s AS {kind}) AS content; COMMIT; SELECT 1", value)
        assert sorted(hits(tables(database))) == [(f"table {table}", "row 0") for table in columns]
        assert hits([Piece("dump", "dump", database.dump().encode())]) == [("dump", "dump")]


@pytest.mark.stand
def test_engine(stand: Stand) -> None:
    """A token is found in a container's definition and output, and in an image built from it."""
    client = stand.engine.client
    image = stand.push("planted")
    token = stand.aws.issue("ecr", "eu-west-1", stand.worker)
    client.pull(image, auth_config={"username": "AWS", "password": token.password})
    container = client.create_container(image, ["echo", token.password])
    client.start(container)
    client.wait(container)
    client.commit(container, "planted", changes=f"LABEL header={token.authorization}")
    found = {place for place, _ in hits(engine(client), token.password)}
    assert found == {"docker inspect, container", "docker logs", "docker inspect, image"}
