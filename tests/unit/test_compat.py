"""The least versions: what pip refuses, and the sentence for an environment that was made in another way."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.aws.token import fetch_credentials
from ecr_docker_operator.compat import LEAST, find, require
from ecr_docker_operator.ecr.registry import EcrRegistry
from ecr_docker_operator.errors import EcrTokenError

PROJECT: dict[str, Any] = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
AMAZON = "airflow.providers.amazon"
NEEDS = "ecr-docker-operator needs apache-airflow-providers-amazon 9.0 or later, and"


def test_bounds() -> None:
    """The least versions are those that pip enforces, of every dependency; there is no bound on a later Python."""
    bounds = {re.match(r"[\w.-]+", text)[0]: text for text in PROJECT["dependencies"]}  # type: ignore[index]
    least = {name: re.search(r">=([\d.]+)", text)[1] for name, text in bounds.items()}  # type: ignore[index]
    assert least == dict(LEAST.values())
    assert PROJECT["requires-python"] == ">=3.11"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "version", "sentence"),
    [
        ("airflow", "2.10.5", "apache-airflow 2.11 or later, and 2.10.5 is installed: upgrade apache-airflow."),
        (
            "airflow.providers.docker",
            "4.3.1",
            "apache-airflow-providers-docker 4.4 or later, and 4.3.1 is installed: "
            "upgrade apache-airflow-providers-docker.",
        ),
        ("docker", "7.0.0", "docker 7.1 or later, and 7.0.0 is installed: upgrade docker."),
        ("docker", None, "docker 7.1 or later, and none is installed: install docker."),
    ],
)
def test_below_the_bounds(package: str, version: str | None, sentence: str) -> None:
    """An older version is refused with a sentence that names it and the least one."""
    old = f"import {package} as package; package.__version__ = {version!r}"
    here = f"import sys; sys.modules[{package!r}] = None" if version is None else old
    program = f"{here}\nfrom ecr_docker_operator import EcrDockerOperator"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == f"ImportError: ecr-docker-operator needs {sentence}"


@pytest.mark.parametrize(
    ("version", "sentence"),
    [(None, "none is installed: install"), ("8.29.0", "8.29.0 is installed: upgrade")],
)
def test_amazon_provider(version: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The amazon provider is first needed for a token; there, its absence or age is the reason in the error."""
    if version:
        monkeypatch.setattr(require(AMAZON), "__version__", version)
    else:
        monkeypatch.setitem(sys.modules, AMAZON, None)
    registry = EcrRegistry.private("123456789012", "eu-west-1")
    with pytest.raises(EcrTokenError, match=re.escape(f"{NEEDS} {sentence} apache-airflow-providers-amazon.")):
        fetch_credentials(registry, AwsIdentity())


def test_a_broken_package_is_not_taken_for_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a package is there, but a module that it imports is not, the error is its own."""
    monkeypatch.delitem(sys.modules, AMAZON, raising=False)
    monkeypatch.setitem(sys.modules, "packaging.version", None)
    with pytest.raises(ModuleNotFoundError, match=r"packaging\.version"):
        require(AMAZON)


def test_a_name_that_moved() -> None:
    """A name is found in the first module that has it; in none, the error says where it was looked for."""
    assert find("find", "airflow.nowhere", "airflow", "ecr_docker_operator.compat") is find
    with pytest.raises(ImportError, match=r"does not find find in .* none of airflow\.nowhere, airflow: upgrade"):
        find("find", "airflow.nowhere", "airflow")
