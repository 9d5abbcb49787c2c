"""Scan for authorization tokens that leaked.

Any 20 consecutive characters of a token count: in plain text, or in base64 at any offset of the encoded text,
as in AWS's answer, in ``X-Registry-Auth`` and in the registry's login. Also in double base64, and inside gzip,
zlib (Airflow's own compression) and hexadecimal digits (PostgreSQL's bytes).
"""

from __future__ import annotations

import base64
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Any 20 characters contain 10 that start at a multiple of 11, so only those positions have to be checked.
_GRAM, _STEP = 10, 11
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){20,}")
_DEPTH = 4
_GZIP_OR_ZLIB = zlib.MAX_WBITS + 32


class Piece(NamedTuple):
    """A piece of data to scan."""

    place: str
    """Kind of place; pieces are counted by it."""
    name: str
    content: bytes


class Hit(NamedTuple):
    """A piece with a token in it, and the text before the token, which shows where it is; never the token itself."""

    place: str
    name: str
    before: str


@dataclass
class Findings:
    """The hits, and how much was scanned."""

    hits: list[Hit] = field(default_factory=list)
    pieces: Counter[str] = field(default_factory=Counter)
    """Place -> number of pieces scanned; the next field counts bytes."""
    bytes: Counter[str] = field(default_factory=Counter)


class Scanner:
    """Finds pieces of known secrets, each of at least 20 characters."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._grams = {
            form[at : at + _GRAM]
            for secret in secrets
            for form in _forms(secret.encode())
            for at in range(len(form) - _GRAM + 1)
        }

    def scan(self, pieces: Iterable[Piece]) -> Findings:
        """Scan *pieces*; report at most one hit for each."""
        findings = Findings()
        for place, name, content in pieces:
            findings.pieces[place] += 1
            findings.bytes[place] += len(content)
            before = self._find(content)
            if before is not None:
                findings.hits.append(Hit(place, name, before))
        return findings

    def _find(self, content: bytes) -> str | None:
        for layer in _layers(content):
            for at in range(0, len(layer), _STEP):
                if layer[at : at + _GRAM] in self._grams:
                    return layer[max(0, at - 80) : max(0, at - _STEP)].decode(errors="replace")
        return None


def _forms(secret: bytes) -> Iterator[bytes]:
    yield secret
    for once in _in_base64(secret):
        # Double base64 is rare, so one alphabet is enough.
        yield from (once, once.translate(bytes.maketrans(b"+/", b"-_")), *_in_base64(once))


def _in_base64(content: bytes) -> list[bytes]:
    # The text before it shifts the bits in one of three ways, and also changes the characters at the edges.
    return [base64.b64encode(bytes(before) + content)[4:-4] for before in range(3)]


def _layers(content: bytes, depth: int = _DEPTH) -> Iterator[bytes]:
    yield content
    if depth == 0:
        return
    if content[:2] == b"\x1f\x8b" or content[:1] == b"\x78":
        yield from _layers(_unpack(content), depth - 1)
    for digits in _HEX.findall(content):
        yield from _layers(bytes.fromhex(digits.decode()), depth - 1)


def _unpack(content: bytes) -> bytes:
    try:
        return zlib.decompressobj(_GZIP_OR_ZLIB).decompress(content)
    except zlib.error:  # the content only looks compressed: it starts with an "x", for instance
        return b""
