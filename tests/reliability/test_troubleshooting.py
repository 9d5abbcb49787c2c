"""``dags/TROUBLESHOOTING.md`` quotes the code's messages, and has a row for every failure."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ecr_docker_operator
from ecr_docker_operator import (
    EcrDockerHook,
    EcrDockerOperator,
    EcrEngineError,
    EcrError,
    EcrInputError,
    EcrKilledError,
    EcrPullError,
    EcrUpstreamError,
)
from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.compat import DAG
from ecr_docker_operator.ecr.registry import EcrRegistry
from ecr_docker_operator.engine.pull import ImageRequest
from tests.reliability.cases import CASES
from tests.stand.hosts import ACCOUNT, REGION
from tests.troubleshooting import LIST, NAMES, TABLES, renewed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT = LIST.read_text()
# The sections about errors: their headings quote the message.
SECTIONS = [section.partition("\n") for section in re.split(r"^## (?=`)", TEXT, flags=re.MULTILINE)[1:]]
OF_THE_CHECK = re.findall(r'^- "([^"]+)"', TEXT, re.MULTILINE)
WARNINGS = re.findall(r"^- \*\"([^\"]+)\"\*", TEXT, re.MULTILINE)

REGISTRY = EcrRegistry.private(ACCOUNT, REGION)
IMAGE = f"{REGISTRY.host}/app:1"

# Invalid parameters of a task.
WRONG: list[dict[str, Any]] = [
    {"image": " "},
    {"image": f"https://{IMAGE}"},
    {"image": IMAGE, "registry_id": "1234"},
    {"image": IMAGE, "registry_id": "210987654321"},
    {"image": IMAGE, "region_name": "europe"},
    {"image": IMAGE, "region_name": "us-west-2"},
    {"image": "app:1", "registry_id": ACCOUNT},
    {"image": IMAGE, "aws_conn_id": 5},
    {"image": IMAGE, "verify": ""},
    {"image": IMAGE, "image_retention": timedelta(0)},
    {"image": "app:1", "registry_id": ACCOUNT, "registry_host": "registry.example.com"},
    {"image": f"{IMAGE}:2"},
    {"image": f"{IMAGE}@sha256:12"},
    {"image": f"{REGISTRY.host}/app:"},
    {"image": REGISTRY.host},
    {"image": IMAGE, "registry_id": ACCOUNT, "region_name": "eu-west-1", "registry_host": REGISTRY.host},
    {
        "image": IMAGE,
        "docker_url": "tcp://127.0.0.1:1",
        **dict.fromkeys(("tls_ca_cert", "tls_client_cert", "tls_client_key"), "/missing"),
    },
]
# Engine messages for networks and images that the stand cannot reproduce (tests/unit/test_pull.py).
ANSWERS = (
    "dial tcp: lookup x on 10.0.0.2:53: no such host",
    "dial tcp 10.0.0.3:443: i/o timeout",
    "dial tcp 10.0.0.3:443: connect: connection refused",
    "x509: certificate signed by unknown authority",
    "no matching manifest for linux/arm64/v8 in the manifest list entries",
)


def told() -> Iterator[tuple[type[Exception], str]]:
    """Yield class and message of every failure: those of the cases, and those that the cases do not cover."""
    for case in (case for cases in CASES.values() for case in cases):
        yield case.error, case.says.format_map(defaultdict(lambda: "*"))
    for parameters in WRONG:
        with pytest.raises(EcrInputError) as caught, DAG("wrong", schedule=None):
            _ = EcrDockerOperator(task_id="task", **parameters).hook
        yield EcrInputError, str(caught.value)
    with pytest.raises(EcrInputError) as caught:
        EcrDockerHook(base_url="unix:///run/docker.sock", registry_host="registry.example.com", registry_id=ACCOUNT)
    yield EcrInputError, str(caught.value)
    yield EcrInputError, str(EcrInputError.rendered_to_nothing("registry_id", "None"))
    yield EcrInputError, str(EcrInputError.no_default_region(str(AwsIdentity(None)), "no such profile"))
    for answer in ANSWERS:
        error = ImageRequest(IMAGE, REGISTRY, AwsIdentity(None), "unix:///run/docker.sock").refused(answer)
        assert not str(error).endswith(f"{answer}."), "there is no next step"
        yield EcrPullError, str(error)
    yield EcrEngineError, str(EcrEngineError.not_connected({"unix:///run/docker.sock": "Permission denied"}))
    yield EcrEngineError, str(EcrEngineError.not_docker("unix:///run/docker.sock", "403 Forbidden"))
    yield EcrKilledError, str(EcrKilledError())
    yield EcrUpstreamError, str(EcrUpstreamError.moved("APIClient._auth_configs", "8.0.0"))


@pytest.fixture(scope="module")
def sentences() -> list[tuple[type[Exception], str]]:
    """Provide all messages, on a worker without a region."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.delenv(name, raising=False)
        return list(told())


def quotes(cell: str) -> list[str]:
    """Return the quotes in a cell of the list."""
    return re.findall(r"`([^`]+)`", cell)


def says(cell: str, sentence: str) -> bool:
    """Return whether *sentence* contains a quote of the cell, in which an ellipsis matches any text."""
    return any(
        re.search(".*".join(map(re.escape, re.split(r" ?… ?", quote))), sentence, re.IGNORECASE)
        for quote in quotes(cell)
    )


def rows(text: str) -> list[list[str]]:
    """Return the rows of the tables in *text* as lists of cells."""
    return [row.split(" | ") for row in re.findall(r"^\| (.+) \|$", text, re.MULTILINE)]


def fits(row: list[str], sentence: str) -> bool:
    """Return whether *sentence* contains a quote of the row or ends with its step; an asterisk matches any text."""
    step = re.sub("|".join(map(re.escape, NAMES.values())), "*", row[-1])
    return says(row[0], sentence) or fnmatch(sentence, f"*{step}") or sentence.endswith(" *")


def is_in_the_code(quote: str) -> bool:
    """Return whether a text of the package contains *quote*."""
    literals = [
        node.value
        for path in Path(ecr_docker_operator.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return any(says(f"`{quote}`", literal) for literal in literals)


def test_tables() -> None:
    """The tables match those of the package (``python -m tests.troubleshooting`` updates them)."""
    assert renewed(TEXT) == TEXT
    assert set(re.findall(r"^<!-- hints\.(\w+) -->$", TEXT, re.MULTILINE)) == set(TABLES)


def test_every_quote_is_the_codes(sentences: list[tuple[type[Exception], str]]) -> None:
    """The code contains every quote of the headings and the other tables, word for word."""
    written = [heading for heading, _, _ in SECTIONS] + [
        row[0] for _, _, text in SECTIONS if "<!-- hints" not in text for row in rows(text)
    ]
    quoted = [f"`{quote}`" for cell in written for quote in quotes(cell)]
    assert len(quoted) > 20
    assert [quote for quote in quoted if not any(says(quote, sentence) for _, sentence in sentences)] == []


def test_every_failure_is_listed(sentences: list[tuple[type[Exception], str]]) -> None:
    """Every error message of the code has a heading and, if there are rows below it, a row."""
    assert set(EcrError.__subclasses__()) <= {kind for kind, _ in sentences}
    assert [
        sentence
        for _, sentence in sentences
        if not any(
            says(heading, sentence) and (not rows(text) or any(fits(row, sentence) for row in rows(text)))
            for heading, _, text in SECTIONS
        )
    ] == []


@pytest.mark.usefixtures("aws")
def test_warnings_are_the_codes(logged: Callable[[str], int]) -> None:
    """All warnings in the list are logged by this package, except for one of the amazon provider."""
    foreign = [quote for quote in WARNINGS if not is_in_the_code(quote)]
    AwsIdentity("aws_default").client(REGISTRY)
    assert [logged(quote) for quote in foreign] == [1]
    assert len(WARNINGS) == 7


def test_the_checks_words_are_the_codes() -> None:
    """The code contains every quote of the check of all DAGs."""
    assert [quote for quote in OF_THE_CHECK if not is_in_the_code(quote)] == []
    assert len(OF_THE_CHECK) == 10
