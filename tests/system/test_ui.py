"""Our tasks in the browser, in a running Airflow 2 and a running Airflow 3."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.airflow_pages import OldPages, Pages
from tests.browser import Browser
from tests.deployment import USER, Deployment
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION
from tests.system.conftest import ROOT
from tests.system.test_deployment import working_in
from tests.upstream.python_image import build_python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stand import Stand

pytestmark = pytest.mark.stand

SECONDS = 400
PICTURES = ROOT / "dags" / "images"
SIZE = (1280, 720)
DAG = "daily_report"
STATES = {
    ("extract", -1): "success",
    ("publish", -1): "failed",
    ("elsewhere", -1): "failed",
    ("total", -1): "success",
}
LINK = "Amazon ECR image"
CONSOLE = "console.aws.amazon.com/ecr/repositories/private"
LINKS = {
    "extract": f"https://{REGION}.{CONSOLE}/{ACCOUNT}/team/etl",
    "publish": f"https://{OTHER_REGION}.{CONSOLE}/{OTHER_ACCOUNT}/reports/publish",
    "total": f"https://{REGION}.{CONSOLE}/{ACCOUNT}/python",
}
IMAGES = {
    "extract": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/etl:2026-11-21",
    "publish": f"{OTHER_ACCOUNT}.dkr.ecr.{OTHER_REGION}.amazonaws.com/reports/publish:stable",
}
FIELDS = {
    "extract": [
        IMAGES["extract"],
        "sh -c ' echo day 2026-11-21 '",
        '{ "DAY": "2026-11-21", "TARGET": "s3://reports" }',
    ],
    "publish": ["reports/publish:stable", OTHER_ACCOUNT, "us-west-"],
    "total": [f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/python:", "op_args"],
}
# A process that opens a browser, reports it, and is then killed.
OPENS = """
import sys, time
from pathlib import Path
from tests.browser import Browser

with Browser(Path(sys.argv[1])) as browser:
    browser.open("data:text/html,hello")
    print(browser.text(), flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def pages(
    installed: tuple[str, Path], running_stand: Stand, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pages]:
    """Run the DAG in Airflow, log in, and provide the pages."""
    version, python = installed
    stand, directory = running_stand, tmp_path_factory.mktemp("ui")
    stand.aws.reset()
    stand.registry.reset()
    stand.engine.reset()
    stand.push("team/etl", "2026-11-21")
    stand.push("reports/publish", "stable", account=OTHER_ACCOUNT, region=OTHER_REGION)
    stand.push("python", image=build_python())
    password = secrets.token_hex()
    with (
        Deployment(
            directory / "airflow",
            ROOT / "tests" / "system" / "dags",
            environment=stand.environment,
            python=str(python),
            password=password,
        ) as airflow,
        Browser(directory / "browser", SIZE) as browser,
    ):
        run_id = airflow.trigger(DAG)
        run = airflow.wait(DAG, run_id, SECONDS)
        assert run.states == STATES, airflow.task_logs()
        assert "before extract" in airflow.task_logs()
        pages = (OldPages if version.startswith("2.") else Pages)(browser, airflow.url, DAG, run_id)
        pages.log_in(USER, password)
        yield pages


@pytest.mark.parametrize("task_id", LINKS)
def test_link(task_id: str, pages: Pages) -> None:
    """A task has a link to its image, whether it succeeded or failed, and for every form of image name."""
    pages.details(task_id)
    assert pages.browser.find("a", LINK).get_dom_attribute("href") == LINKS[task_id]


def test_no_link(pages: Pages) -> None:
    """A task whose image is not in Amazon ECR has no link to it."""
    pages.details("elsewhere")
    pages.browser.wait(lambda: pages.browser.has_loaded(pages.links_path), "the answer with the links")
    # Airflow 2 shows a link without a target.
    [targets] = pages.browser.wait(
        lambda: [[link.get_dom_attribute("href") for link in pages.browser.all("a", LINK)]], "the links"
    )
    assert not any(targets)


@pytest.mark.parametrize(("task_id", "operator"), [("publish", "EcrDockerOperator"), ("total", "@task.ecr_docker")])
def test_operator(task_id: str, operator: str, pages: Pages) -> None:
    """A task shows the name of its operator."""
    pages.task(task_id)
    words = squeezed(f"Operator {operator}")
    pages.browser.wait(lambda: words in squeezed(pages.browser.text()), words)


@pytest.mark.parametrize("task_id", FIELDS)
def test_fields(task_id: str, pages: Pages) -> None:
    """Templated fields show their rendered values."""
    pages.fields(task_id)
    values = [squeezed(value) for value in FIELDS[task_id]]
    pages.browser.wait(lambda: all(value in squeezed(pages.browser.text()) for value in values), f"{FIELDS[task_id]}")


def squeezed(text: str) -> str:
    """Return *text* without white space, which highlighting adds, and without line numbers."""
    return "".join(re.sub(r"(?m)^[0-9]$", "", text).split())


def unfold(pages: Pages, task_id: str, image: str) -> None:
    """Open a task's log, and unfold the group of the pull."""
    pages.log(task_id)
    pages.browser.click("span", f"▶ Pulling docker image {image}")


def test_log_and_its_groups(pages: Pages) -> None:
    """The log shows the pull in a group that unfolds, and the container's output below it."""
    inside = "asking for an authorization token"
    pages.log("extract")
    pages.browser.wait(lambda: "day 2026-11-21" in pages.browser.text(), "the container's output")
    assert inside not in pages.browser.text()
    unfold(pages, "extract", IMAGES["extract"])
    pages.browser.wait(lambda: inside in pages.browser.text(), "the group's inside")


def test_reason_of_a_failure(pages: Pages) -> None:
    """The log of a failed task shows the reason."""
    unfold(pages, "publish", IMAGES["publish"])
    sentence = f"account {OTHER_ACCOUNT} has to allow ecr:BatchGetImage"
    pages.browser.wait(lambda: sentence in pages.browser.text(), sentence)


def test_picture(pages: Pages, request: pytest.FixtureRequest) -> None:
    """The documentation's pictures can be retaken: a link in Airflow 2, a log in Airflow 3."""
    if isinstance(pages, OldPages):
        name = "airflow-2.png"
        pages.details("publish")
        shown = pages.browser.find("a", LINK)
    else:
        name = "airflow-3.png"
        unfold(pages, "extract", IMAGES["extract"])
        shown = pages.browser.find("span", "▼ Pulling docker image")
    picture = pages.browser.picture()
    assert size(picture) == SIZE
    assert 0 < shown.rect["y"] < SIZE[1]
    # A blank page has a tenth of that size.
    assert len(picture) > 40_000
    if request.config.getoption("--renew-pictures"):
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / name).write_bytes(picture)


def size(picture: bytes) -> tuple[int, int]:
    """Return width and height of a PNG (Portable Network Graphics Specification, "Image header")."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])


def test_kept_pictures() -> None:
    """``dags/README.md`` shows every stored picture; they are complete, and small enough for a repository."""
    kept = sorted(PICTURES.iterdir())
    text = (ROOT / "dags" / "README.md").read_text()
    assert [path.name for path in kept] == ["airflow-2.png", "airflow-3.png"]
    for path in kept:
        assert f"](images/{path.name})" in text
        picture = path.read_bytes()
        assert size(picture) == SIZE
        assert picture.endswith(b"IEND\xaeB`\x82")
        assert len(picture) < 150_000


def test_browser_does_not_outlive_its_test() -> None:
    """When the test's own process is killed, all processes of the browser end."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "browser"
        process = subprocess.Popen(
            [sys.executable, "-c", OPENS, str(place)], env=os.environ, cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        with process, process.stdout:
            assert process.stdout.readline() == b"hello\n"
            names = " ".join(working_in(place))
            assert "chromedriver" in names
            assert "--type=renderer" in names
            process.kill()
        deadline = time.monotonic() + SECONDS
        while working_in(place):
            assert time.monotonic() < deadline, working_in(place)
            time.sleep(0.1)
