"""100,000 generated host names: only those of Amazon ECR get a token."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from ecr_docker_operator import EcrInputError
from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.ecr.reference import resolve, split_image
from ecr_docker_operator.ecr.registry import EcrRegistry
from ecr_docker_operator.engine.logins import EcrAuthConfig
from tests.reliability.hosts import ACCOUNTS, NUMBER, PUBLIC, REAL, generate_hosts, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stand.aws import Aws

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hosts() -> set[str]:
    """Provide real hosts of Amazon ECR and generated ones."""
    return generate_hosts()


def test_a_token_for_amazon_ecr_and_nobody_else(
    hosts: set[str], aws: Aws, record_property: Callable[[str, object], None]
) -> None:
    """Of 100,000 names, those of Amazon ECR are parsed correctly, and all others cause no call to AWS."""
    logins = EcrAuthConfig({"auths": {"registry.example.com": {}}}, identity=AwsIdentity(None))
    theirs = 0
    for host in hosts:
        expected = read(host)
        if expected:
            theirs += 1
            registry = EcrRegistry.parse(host)
            assert registry, f"{host!r} is Amazon ECR's"
            assert registry.host == host
            assert expected == (registry.region_name, registry.registry_id, registry.fips), host
        else:
            assert logins.resolve_authconfig(host) is None, f"{host!r} is not Amazon ECR's"
    assert aws.calls == []
    record_property("host names", f"{len(hosts)}, {theirs} of them Amazon ECR's")
    assert NUMBER / 100 < theirs < NUMBER / 2


def test_parameters_make_no_other_host_amazon_ecrs(hosts: set[str]) -> None:
    """With all parameters in default_args, only the alias and Amazon ECR's own hosts get a token."""
    alias = "registry.example.com:5000"
    for host in (*hosts, "registry.example.com", "registry.example.com:5001", f"a.{alias}", f"{alias}0"):
        if read(host) is None and split_image(f"{host}/app")[0] == host:
            with suppress(EcrInputError):
                _, registry = resolve(f"{host}/app", ACCOUNTS[0], "eu-west-1", alias, lambda: "eu-west-1")
                assert registry is None, host


@pytest.mark.parametrize("host", [*PUBLIC, *REAL[len(PUBLIC) :: len(REAL) // 5]])
def test_real_hosts_get_one(host: str, aws: Aws) -> None:
    """A host of Amazon ECR gets a token of its region with one call."""
    login = EcrAuthConfig({}, identity=AwsIdentity(None)).resolve_authconfig(host)
    assert login == {"username": "AWS", "password": aws.tokens[0].password, "serveraddress": host}
    expected = read(host)
    assert [call.region for call in aws.calls] == [expected.region_name if expected else None]


_LOOSE = r"[0-9]{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.amazonaws\.com"
_DOTS = _LOOSE.replace(r"\.", ".")


@pytest.mark.parametrize(
    "loose",
    [
        re.compile(_LOOSE).match,
        re.compile(rf"{_LOOSE}(:[0-9]+)?$").match,
        re.compile(rf"^{_LOOSE}$", re.MULTILINE).search,
        re.compile(_DOTS).fullmatch,
        re.compile(_LOOSE, re.IGNORECASE).fullmatch,
        re.compile(_LOOSE.replace("[0-9]", r"\d")).fullmatch,
        re.compile(_LOOSE.replace("[a-z0-9-]", r"[^.]")).fullmatch,
        lambda host: re.fullmatch(_LOOSE, host.strip()),
        lambda host: host.endswith(".amazonaws.com") and ".dkr.ecr." in host,
    ],
    ids=["open-end", "newline", "line", "dots", "case", "digits", "region", "blanks", "suffix"],
)
def test_names_find_what_is_too_loose(loose: Callable[[str], object], hosts: set[str]) -> None:
    """For each known mistake of a loose grammar, at least one generated name reveals it."""
    assert any(loose(host) and not read(host) for host in hosts)
