"""The README's list of what a log can say: all of it is the code's, and it has a line for every failure."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG

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
from ecr_docker_operator.ecr.registry import EcrRegistry
from ecr_docker_operator.engine.pull import ImageRequest
from tests.reliability.cases import CASES
from tests.stand.hosts import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

README = (Path(__file__).parents[2] / "README.md").read_text()
[SECTION] = re.findall(r"^## Troubleshooting$(.*?)^## ", README, re.MULTILINE | re.DOTALL)
CELLS = [row.split(" | ")[0] for row in re.findall(r"^\| (.+) \|$", SECTION, re.MULTILINE)][1:]
WARNINGS = re.findall(r"^- \*\"([^\"]+)\"\*", SECTION, re.MULTILINE)

REGISTRY = EcrRegistry.private(ACCOUNT, REGION)
IMAGE = f"{REGISTRY.host}/app:1"

# What a task is given that cannot be right.
WRONG: list[dict[str, Any]] = [
    {"image": " "},
    {"image": f"https://{IMAGE}"},
    {"image": IMAGE, "registry_id": "1234"},
    {"image": IMAGE, "registry_id": "210987654321"},
    {"image": IMAGE, "region_name": "europe"},
    {"image": IMAGE, "region_name": "us-west-2"},
    {"image": "app:1", "registry_id": ACCOUNT},
    {"image": IMAGE, "image_retention": timedelta(0)},
    {"image": "registry.example.com/app:1", "registry_id": ACCOUNT},
    {
        "image": IMAGE,
        "docker_url": "tcp://127.0.0.1:1",
        **dict.fromkeys(("tls_ca_cert", "tls_client_cert", "tls_client_key"), "/missing"),
    },
]
# What engines answer in networks and with images that the stand does not have (tests/unit/test_pull.py).
ANSWERS = (
    "dial tcp: lookup x on 10.0.0.2:53: no such host",
    "dial tcp 10.0.0.3:443: i/o timeout",
    "dial tcp 10.0.0.3:443: connect: connection refused",
    "x509: certificate signed by unknown authority",
    "no matching manifest for linux/arm64/v8 in the manifest list entries",
)


def told() -> Iterator[tuple[type[Exception], str]]:
    """Yield class and sentence of every failure: those of the cases, which are seen to happen, and what they lack."""
    for case in (case for cases in CASES.values() for case in cases):
        yield case.error, case.says.format_map(defaultdict(lambda: "*"))
    for parameters in WRONG:
        with pytest.raises(EcrInputError) as caught, DAG("wrong", schedule=None):
            _ = EcrDockerOperator(task_id="task", **parameters).hook
        yield EcrInputError, str(caught.value)
    with pytest.raises(EcrInputError) as caught:
        EcrDockerHook(base_url="unix:///run/docker.sock", registry_host="registry.example.com", registry_id=ACCOUNT)
    yield EcrInputError, str(caught.value)
    yield EcrInputError, str(EcrInputError.no_default_region(str(AwsIdentity(None)), "no such profile"))
    for answer in ANSWERS:
        error = ImageRequest(IMAGE, REGISTRY, AwsIdentity(None), "unix:///run/docker.sock").refused(answer)
        assert not str(error).endswith(f"{answer}."), "there is no next step"
        yield EcrPullError, str(error)
    yield EcrEngineError, str(EcrEngineError.not_connected({"unix:///run/docker.sock": "Permission denied"}))
    yield EcrKilledError, str(EcrKilledError())
    yield EcrUpstreamError, str(EcrUpstreamError.moved("APIClient._auth_configs", "8.0.0"))


@pytest.fixture(scope="module")
def sentences() -> list[tuple[type[Exception], str]]:
    """Provide all of them, on a worker that knows no region."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.delenv(name, raising=False)
        return list(told())


def quotes(cell: str) -> list[str]:
    """Return what a cell of the list quotes."""
    return re.findall(r"`([^`]+)`", cell)


def says(cell: str, sentence: str) -> bool:
    """Return whether *sentence* has one of the cell's quotes, in which anything may stand for an ellipsis."""
    return any(re.search(".*".join(map(re.escape, quote.split("…"))), sentence) for quote in quotes(cell))


def groups() -> list[tuple[str, list[str]]]:
    """Return the list's headings, in bold, each with the cells below it."""
    found: list[tuple[str, list[str]]] = []
    for cell in CELLS:
        if cell.startswith("**"):
            found.append((cell, []))
        else:
            found[-1][1].append(cell)
    return found


def test_every_quote_is_the_codes(sentences: list[tuple[type[Exception], str]]) -> None:
    """What the list quotes, the code says, word for word."""
    quoted = [f"`{quote}`" for cell in CELLS for quote in quotes(cell)]
    assert len(quoted) > 50
    assert [quote for quote in quoted if not any(says(quote, sentence) for _, sentence in sentences)] == []


def test_every_failure_is_listed(sentences: list[tuple[type[Exception], str]]) -> None:
    """Whatever the code says, there is a heading for it, and one of the lines below that, if there are any."""
    assert set(EcrError.__subclasses__()) <= {kind for kind, _ in sentences}
    assert [
        sentence
        for _, sentence in sentences
        if not any(
            says(heading, sentence) and (not cells or any(says(cell, sentence) for cell in cells))
            for heading, cells in groups()
        )
    ] == []


@pytest.mark.usefixtures("aws")
def test_warnings_are_the_codes(logged: Callable[[str], int]) -> None:
    """The warnings that the list quotes are logged by this package, but for one, which is the amazon provider's."""
    own = [
        node.value
        for path in Path(ecr_docker_operator.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    foreign = [quote for quote in WARNINGS if not any(says(f"`{quote}`", literal) for literal in own)]
    AwsIdentity("aws_default").client(REGISTRY)
    assert [logged(quote) for quote in foreign] == [1]
    assert len(WARNINGS) == 5
