"""The documents: their links work, and they agree with the code and with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import ecr_docker_operator
from tests.__main__ import RUNS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
USING = ROOT / "dags" / "README.md"
RECIPES = ROOT / "dags" / "migration" / "README.md"
WORKING = ROOT / "tests" / "README.md"
DOCUMENTS = [ROOT / "README.md", USING, ROOT / "dags" / "TROUBLESHOOTING.md", RECIPES, WORKING, ROOT / "CHANGELOG.md"]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a file's headings, as GitHub generates them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def links(path: Path) -> list[tuple[Path, str]]:
    """Return the link targets of a document: files, each with its anchor, if any."""
    found = [link.partition("#") for link in re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text())]
    return [((path.parent / link).resolve() if link else path, anchor) for link, _, anchor in found]


def test_all_documents() -> None:
    """The list contains all documents."""
    assert {path for folder in ("dags", "tests") for path in (ROOT / folder).rglob("*.md")} < set(DOCUMENTS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links(path: Path) -> None:
    """Each link leads to an existing file and heading, and is relative: the project has no address yet."""
    assert [(file, anchor) for file, anchor in links(path) if not file.exists()] == []
    assert [(file, anchor) for file, anchor in links(path) if anchor and anchor not in anchors(file)] == []
    assert set(re.findall(r"\]\((https?:[^)]+)\)", path.read_text())) <= {
        "https://keepachangelog.com/",
        "https://semver.org/",
    }


def test_the_sdist_holds_what_is_linked() -> None:
    """The sdist contains the documents and all files that they link to (test_distribution.py)."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    parts = {"README.md", "LICENSE", *(path.strip("/") for path in included)}
    files = {file for path in DOCUMENTS for file, _ in links(path)} | set(DOCUMENTS)
    assert {file.relative_to(ROOT).parts[0] for file in files} <= parts


def test_readme_is_short() -> None:
    """The README has at most 200 lines."""
    assert len(README.splitlines()) <= 200


def test_ci_runs_the_readmes_command() -> None:
    """CI runs the tests with exactly the command in the README."""
    [line] = re.findall(r"^python3 -m tests$", README, re.MULTILINE)
    assert line in (ROOT / ".ci" / "run").read_text().splitlines()


def test_commands_of_a_clone() -> None:
    """The README and tests/README have each command of ``tests/__main__.py`` once."""
    written = re.findall(r"^python3 -m tests ?(.*)$", README + WORKING.read_text(), re.MULTILINE)
    assert sorted(name or "tests" for name in written) == sorted(RUNS)


def test_readme_names_every_parameter() -> None:
    """Each of our parameters has a row in the README's table."""
    for name in (
        *ecr_docker_operator.EcrDockerOperator.template_fields[-4:],
        "botocore_config",
        "image_retention",
    ):
        assert f"| `{name}` |" in README


def test_sample_of_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample's engine is spelled as the check spells DockerOperator's default."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    task = ecr_docker_operator.EcrDockerOperator(task_id="sample", image="etl:1")
    assert f"✓ engine        {task.docker_url}: version " in README


def test_every_recipe_is_linked() -> None:
    """The usage guide links to each recipe."""
    titles = {anchor for file, anchor in links(USING) if file == RECIPES and anchor}
    assert titles == anchors(RECIPES) - {"moving-to-ecrdockeroperator"}
