"""Look for authorization tokens where none must be.

Any 20 characters in a row of a token count: as they are, or in base64 wherever the token lies in what was encoded,
which is how AWS answers it, ``X-Registry-Auth`` carries it and the registry's login has it. Also under base64 upon
that, and inside of gzip, zlib (Airflow's own compression) and hexadecimal digits (PostgreSQL's bytes).
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

# Every 20 characters hold 10 that start at a multiple of 11: so not every place has to be looked at.
_GRAM, _STEP = 10, 11
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){20,}")
_DEPTH = 4
_GZIP_OR_ZLIB = zlib.MAX_WBITS + 32


class Piece(NamedTuple):
    """Something to look through."""

    place: str
    """Kind of place, by which pieces are counted."""
    name: str
    content: bytes


class Hit(NamedTuple):
    """A piece with a token in it; what stands before the token tells where, the token itself is not repeated."""

    place: str
    name: str
    before: str


@dataclass
class Findings:
    """What was found, and in how much."""

    hits: list[Hit] = field(default_factory=list)
    pieces: Counter[str] = field(default_factory=Counter)
    """Place -> pieces that were looked through; so for the next."""
    bytes: Counter[str] = field(default_factory=Counter)


class Scanner:
    """Knows some secrets by heart, each of at least 20 characters, and finds them again."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._grams = {
            form[at : at + _GRAM]
            for secret in secrets
            for form in _forms(secret.encode())
            for at in range(len(form) - _GRAM + 1)
        }

    def scan(self, pieces: Iterable[Piece]) -> Findings:
        """Look through *pieces*; report one hit of each at most."""
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
        # Twice is nobody's habit, so one alphabet will do.
        yield from (once, once.translate(bytes.maketrans(b"+/", b"-_")), *_in_base64(once))


def _in_base64(content: bytes) -> list[bytes]:
    # What stands before it decides how its bits fall, in one of three ways; the edges also depend on what that is.
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
    except zlib.error:  # it only starts like that, with an "x" for instance
        return b""
