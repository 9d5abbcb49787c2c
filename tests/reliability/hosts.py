"""Hundreds of thousands of host names: Amazon ECR's own and look-alikes, with their expected registries.

The expected registries come from a second, independent grammar: it splits names at their dots and
compares the parts with botocore's own list of partitions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import botocore
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

NUMBER = 100_000
ACCOUNTS = ("123456789012", "012345678901")
_PARTITIONS = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text())["partitions"]
_PLAIN = {partition["outputs"]["dnsSuffix"] for partition in _PARTITIONS}
_DUAL_STACK = {partition["outputs"]["dualStackDnsSuffix"].replace("api.", "on.") for partition in _PARTITIONS}
# Two suffixes, of which botocore knows only one: see the package's own table.
_PLAIN.add("on.amazonwebservices.com.cn")
_DUAL_STACK |= {"on.amazonwebservices.eu", "amazonwebservices.eu"}
PUBLIC = ("public.ecr.aws", "ecr-public.aws.com")
_DIGITS, _LETTERS = set("0123456789"), set("abcdefghijklmnopqrstuvwxyz")


class Found(NamedTuple):
    """The registry that a host name belongs to."""

    region_name: str
    registry_id: str | None
    fips: bool


def read(host: str) -> Found | None:
    """Parse *host* without a regular expression; return ``None`` if it is not Amazon ECR's."""
    name, colon, port = host.partition(":")
    if not name.isascii() or (colon and not port) or not set(port) <= _DIGITS:
        return None
    name = name.lower()
    if name in PUBLIC:
        return Found("us-east-1", None, fips=False)
    return _read_private(*name.split("."))


def _read_private(account: str, *names: str) -> Found | None:
    parts = list(names)
    if len(account) != 12 or not set(account) <= _DIGITS:
        return None
    if parts[:2] in (["dkr", "ecr"], ["dkr", "ecr-fips"]):
        service, region, suffixes, rest = parts[1], parts[2:3], _PLAIN, parts[3:]
    elif parts[:1] in (["dkr-ecr"], ["dkr-ecr-fips"]):
        service, region, suffixes, rest = parts[0], parts[1:2], _DUAL_STACK, parts[2:]
    else:
        return None
    pieces = "".join(region).split("-")
    fits = len(pieces) > 1 and all(piece and set(piece) <= _DIGITS | _LETTERS for piece in pieces)
    if not fits or ".".join(rest) not in suffixes:
        return None
    return Found(region[0], account, fips=service.endswith("-fips"))


def _real_hosts() -> list[str]:
    hosts = list(PUBLIC)
    for partition in _PARTITIONS:
        outputs = partition["outputs"]
        dual_stack = outputs["dualStackDnsSuffix"].replace("api.", "on.")
        for account in ACCOUNTS:
            for region in partition["regions"]:
                hosts += [f"{account}.dkr.{name}.{region}.{outputs['dnsSuffix']}" for name in ("ecr", "ecr-fips")]
                hosts += [f"{account}.{name}.{region}.{dual_stack}" for name in ("dkr-ecr", "dkr-ecr-fips")]
    return hosts


REAL = _real_hosts()
# Characters that some parsers treat like the letter, digit or dot before them.
_ALIKE = {
    "k": "\N{KELVIN SIGN}\N{CYRILLIC SMALL LETTER KA}\N{FULLWIDTH LATIN SMALL LETTER K}",
    "s": "\N{LATIN SMALL LETTER LONG S}\N{CYRILLIC SMALL LETTER DZE}",
    "a": "\N{CYRILLIC SMALL LETTER A}",
    "c": "\N{CYRILLIC SMALL LETTER ES}",
    "e": "\N{CYRILLIC SMALL LETTER IE}",
    "i": "\N{LATIN SMALL LETTER DOTLESS I}\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}",
    "o": "0\N{CYRILLIC SMALL LETTER O}",
    "0": "O\N{ARABIC-INDIC DIGIT ZERO}",
    "1": "l\N{ARABIC-INDIC DIGIT ONE}\N{FULLWIDTH DIGIT ONE}\N{SUPERSCRIPT ONE}",
    "2": "\N{DEVANAGARI DIGIT TWO}",
    ".": "-_x\N{FULLWIDTH FULL STOP}\N{IDEOGRAPHIC FULL STOP}\N{ONE DOT LEADER}",
    "-": "_.\N{HYPHEN}\N{SOFT HYPHEN}\N{EN DASH}",
}
_ATTACHED = (
    *(".evil.example", ".", "\n", "\r\n", " ", "\0", "/", "/..", "#", "?", "@evil.example", ":443@evil.example"),
    *(
        "%2eevil.example",
        ".cn",
        "m",
        ":",
        ":443",
        ":0443",
        ":5000",
        ":-1",
        ":a",
        ":443:443",
        ":\N{ARABIC-INDIC DIGIT ONE}",
    ),
    *(
        "evil",
        "evil.",
        "evil-",
        "https://",
        "user@",
        "user:pass@",
        "evil.example/",
        "evil.example#",
        "\N{ZERO WIDTH SPACE}",
    ),
)
_ANY = st.one_of(st.sampled_from("abcz0189.-:@/_ \n\t\0"), st.characters(exclude_categories=["Cs"]))
_AT = st.integers(0, 70)

_Change = st.one_of(
    st.tuples(st.just("insert"), _AT, _ANY),
    st.tuples(st.just("delete"), _AT, st.just("")),
    st.tuples(st.just("replace"), _AT, _ANY),
    st.tuples(st.just("swap"), _AT, st.just("")),
    st.tuples(st.just("upper"), _AT, st.just("")),
    st.tuples(st.just("alike"), _AT, st.sampled_from("abc")),
    st.tuples(st.just("drop part"), _AT, st.just("")),
    st.tuples(st.just("double part"), _AT, st.just("")),
    st.tuples(st.just("append"), _AT, st.sampled_from(_ATTACHED)),
    st.tuples(st.just("prepend"), _AT, st.sampled_from(_ATTACHED)),
)


def _changed(host: str, kind: str, at: int, text: str) -> str:
    at %= len(host) or 1
    before, here, after = host[:at], host[at : at + 1], host[at + 1 :]
    parts = host.split(".")
    part = at % len(parts)
    if kind == "alike":
        alike = _ALIKE.get(here.lower(), here)
        here = alike[ord(text) % len(alike)] if alike else ""
    return {
        "insert": before + text + here + after,
        "delete": before + after,
        "replace": before + text + after,
        "swap": before + after[:1] + here + after[1:],
        "upper": before + here.upper() + after,
        "alike": before + here + after,
        "drop part": ".".join(parts[:part] + parts[part + 1 :]),
        "double part": ".".join(parts[: part + 1] + parts[part:]),
        "append": host + text,
        "prepend": text + host,
    }[kind]


_PIECES = st.sampled_from([part for host in REAL[:400] for part in host.split(".")] + ["evil", "example", ""])


def generate_hosts() -> set[str]:
    """Return real hosts of Amazon ECR and 100,000 generated ones, the same on every run."""
    found = set(REAL)

    @settings(
        max_examples=9500,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.one_of(st.sampled_from(PUBLIC), *[st.sampled_from(REAL)] * 19),
        st.lists(_Change, min_size=1, max_size=3),
        st.lists(_PIECES, min_size=1, max_size=8).map(".".join),
        st.text(max_size=30),
    )
    def generate(real: str, changes: list[tuple[str, int, str]], pieces: str, anything: str) -> None:
        found.update((pieces, anything))
        # At every position, because generating an example costs much more than varying it.
        for shift in range(len(real)):
            host = real
            for kind, at, text in changes:
                host = _changed(host, kind, at + shift, text)
            found.add(host)

    generate()
    assert len(found) >= NUMBER
    return found
