"""The log of a pull in its task: real engine, real registry."""

from __future__ import annotations

import logging
import random
import re
import time
from functools import cache
from itertools import dropwhile
from typing import TYPE_CHECKING, Any

import pytest

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrPullError, EcrTokenError
from tests.stand.hosts import ACCOUNT, REGION
from tests.stand.images import build, digest
from tests.system.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.airflow_home import AirflowHome
    from tests.stand import Stand
    from tests.stand.images import Image

pytestmark = pytest.mark.stand

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
MEGABYTE = 1_000_000
# Six layers, of which the engine fetches three at a time. containerd's store reports each megabyte of a layer.
CONTENTS = [random.Random(seed).randbytes(4 * MEGABYTE) for seed in range(4)]  # noqa: S311 - not for secrets
# With this pause, a layer of four megabytes takes at least ten seconds, so several lines are logged.
PAUSE = 0.08
DURATION = r"((?P<minutes>\d+) min )?(?P<seconds>[0-9.]+) s"


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Provide a function that returns DockerOperator's new log lines, starting at its log group."""

    def lines() -> list[str]:
        # Outside of a task, Airflow 3 writes an operator's log to stdout: time, level, text, logger, place.
        found = re.findall(
            r"^\S+ \[\w+ *\] (.*?) +\[airflow\.task\.operators\S+ loc=\S+$", capsys.readouterr().out, re.MULTILINE
        )
        return list(dropwhile(lambda line: not line.startswith("::group::"), found))

    return lines


@cache
def six_layers() -> Image:
    """Return an image of six layers, four of them with four megabytes."""
    # Do not build it at import: the stand may have to install busybox first.
    return build("slow", more=CONTENTS)


def run(image: str, **parameters: Any) -> None:
    """Run a task on the stand."""
    EcrDockerOperator(task_id="task", image=image, **parameters).execute({})


def of_pull(lines: list[str], image: str) -> list[str]:
    """Return the lines of the group, which must end; only its title contains the image name."""
    beginning, *pull = lines[: lines.index("::endgroup::")]
    assert beginning == f"::group::Pulling docker image {image}"
    assert image not in "".join(pull)
    return pull


def megabytes(image: Image) -> float:
    """Return the compressed size of the layers of *image*."""
    return sum(map(len, image.layers)) / MEGABYTE


def test_cold_pull(stand: Stand, shown: Callable[[], list[str]], caplog: pytest.LogCaptureFixture) -> None:
    """A slow pull of several layers logs a line at its start, a few progress lines, one at its end, and none per layer.

    containerd's store reports the size of a layer only after fetching a part of it, and not for all layers. So does
    Podman, which does not report the extraction.
    """
    stand.registry.pace = lambda: time.sleep(PAUSE)
    image = stand.push("slow", image=six_layers())
    caplog.set_level(logging.INFO)
    run(image)
    first, *between, last = of_pull(shown(), image)
    assert re.fullmatch(r"6 layers, (at least \S+ [kM]?B to fetch|their sizes not known yet)", first)
    assert between
    for line in between:
        assert re.fullmatch(
            r"((\d+ %: )?\S+ [kM]?B( of (at least )?\S+ MB)?, \S+ [kM]?B/s|"
            r"100 %: (at least )?\S+ MB(, \d+ % extracted)?), "
            r"\d of 6 layers done(, about (\d+ min )?\S+ s left)?",
            line,
        )
    found = re.fullmatch(
        rf"pulled in {DURATION}, (?P<least>at least )?(?P<size>\S+) MB fetched, {digest(six_layers().manifest)}", last
    )
    assert found
    if not found["least"]:
        [percent, *_] = [line for line in between if re.match(r"\d+ %: .* left$", line)]
        assert float(percent.split(" of ")[1].split()[0]) == pytest.approx(megabytes(six_layers()), rel=0.01)
        assert float(found["size"]) == pytest.approx(megabytes(six_layers()), rel=0.01)
    assert bool(found["least"]) is (stand.kind.containerd_store or stand.kind.podman)
    assert float(found["size"]) <= megabytes(six_layers()) * 1.01
    assert "Pulling fs layer" not in caplog.text
    assert len(between) <= (60 * float(found["minutes"] or 0) + float(found["seconds"])) / 5


def shape(line: str) -> str:
    """Return *line* without the parts that differ from pull to pull."""
    return re.sub(
        r"\b[0-9.]+ [kM]?B", "BYTES", re.sub(r"\b[0-9a-f]{64}\b|\b[0-9.]+(?= s\b| %| layers| of )", "N", line)
    )


def test_shared_layers(stand: Stand, shown: Callable[[], list[str]]) -> None:
    """Layers that the engine already has are counted separately, and only missing layers are fetched."""
    run(stand.push("shared", "1", image=six_layers()))
    shown()
    image = stand.push("shared", "2", image=build("slow", more=[*CONTENTS, CONTENTS[0][::-1]]))
    stand.registry.pace = lambda: time.sleep(PAUSE)
    run(image)
    first, *between, last = of_pull(shown(), image)
    # On a busy machine, the size may come too late for the first line.
    here = "1 layer" if stand.kind.containerd_store else "7 layers, 6 of them already here"
    assert first in {f"{here}, 4 MB to fetch", f"{here}, their sizes not known yet"}
    assert re.fullmatch(rf"pulled in {DURATION}, 4 MB fetched, sha256:[0-9a-f]{{64}}", last)
    assert between
    if stand.kind.containerd_store:
        return
    # The documentation shows the same, except for sizes that were unknown at the start.
    shown_there = shape((ROOT / "dags" / "README.md").read_text().replace("at least ", "")).splitlines()
    for line in ("7 layers, 6 of them already here, 4 MB to fetch", between[0], last):
        assert shape(line) in shown_there


def test_nothing_new(stand: Stand, shown: Callable[[], list[str]]) -> None:
    """With ``force_pull``, an unchanged image logs one line; Podman does not report that it is unchanged."""
    image = stand.push("same")
    run(image)
    shown()
    run(image, force_pull=True)
    *before, line = of_pull(shown(), image)
    assert before == (["2 layers, all of them already here"] if stand.kind.podman else [])
    what = "pulled" if stand.kind.podman else "up to date"
    assert re.fullmatch(rf"{what} in [0-9.]+ s, nothing fetched, sha256:[0-9a-f]{{64}}", line)


@pytest.mark.parametrize("where", ["stream", "status", "aws"])
def test_pull_that_fails(
    where: str, stand: Stand, shown: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    """The log group also ends if the pull fails, at any point."""
    image = stand.push("failing")
    if where == "stream":
        stand.registry.layers = "refused"
    elif where == "status":
        image = image.replace("failing", "missing")
    else:
        stand.worker.may_get_token = False
    caplog.set_level(logging.INFO)
    with pytest.raises(EcrTokenError if where == "aws" else EcrPullError, match=image):
        run(image)
    assert shown()[0] == f"::group::Pulling docker image {image}"
    assert caplog.messages[-1] == "::endgroup::"


def test_debug(stand: Stand, shown: Callable[[], list[str]], caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, each change of a layer is an additional line; Podman also lists the image's configuration.

    Docker leaves out a status that the next one follows at once, but not the last.
    """
    caplog.set_level(logging.DEBUG)
    image = stand.push("debug")
    run(image)
    said = [line.partition(": ")[::2] for line in caplog.messages if re.fullmatch(r"[0-9a-f]{12}: .+", line)]
    last = dict(said)
    assert [status for _, status in said].count("Pulling fs layer") == len(last) == (3 if stand.kind.podman else 2)
    assert set(last.values()) <= ends(stand)
    assert len(of_pull(shown(), image)) == 2


def ends(stand: Stand) -> set[str]:
    """Return the last statuses that a layer can have; Podman and containerd's store may not report an extraction."""
    if stand.kind.podman or stand.kind.containerd_store:
        return {"Pull complete", "Download complete"}
    return {"Pull complete"}


def test_ones_own_code_gets_the_engines_words(stand: Stand) -> None:
    """Only DockerOperator's log changes: the client of an EcrDockerHook returns docker-py's stream.

    Podman has no last item about the whole image, and an item of the image's configuration twice.
    """
    image = stand.push("own")
    client = EcrDockerHook(base_url=stand.engine.url).get_conn()
    items = list(client.pull(image, stream=True, decode=True))
    said = [item["status"] for item in items]
    if stand.kind.podman:
        assert said.count("Download complete") == 4
    else:
        last = {item["id"]: item["status"] for item in items if re.fullmatch("[0-9a-f]{12}", item.get("id", ""))}
        assert len(last) == 2
        assert set(last.values()) <= ends(stand)
    assert said[-1] == ("Download complete" if stand.kind.podman else f"Status: Downloaded newer image for {image}")


def test_log_of_a_task(stand: Stand, test_dags: AirflowHome) -> None:
    """A real task's log has the image's full name, the lines in order, and an end for each group."""
    stand.registry.pace = lambda: time.sleep(PAUSE)
    image = stand.push("slow", image=six_layers())
    task = test_dags.run("progress", stand.environment)
    assert task.states == {("pulled", -1): "success", ("refused", -1): "failed"}, task.log
    found = re.findall(r"::group::Pulling docker image (\S+)(.*?)::endgroup::", task.log, re.DOTALL)
    pulls = dict(found)
    assert pulls.keys() == {image, f"{HOST}/refused:1"}, task.log
    known = digest(six_layers().manifest)
    texts = ["6 layers, ", " of 6 layers done", "pulled in ", known]
    places = [pulls[image].find(text) for text in texts]
    assert -1 not in places, task.log
    assert places == sorted(places), task.log
    assert "Pulling fs layer" not in task.log
