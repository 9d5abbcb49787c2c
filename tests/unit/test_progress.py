"""The log lines of a pull, from the engine's stream."""

from __future__ import annotations

import logging
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_docker_operator.engine.progress import Layer, Progress
from tests.unit.recorded_pulls import AGAIN, COLD, PODMAN, PODMAN_AGAIN, RESUMED, UNKNOWN, items

Timed = tuple[float, dict[str, Any]]

STATUSES = (
    "Pulling fs layer",
    "Waiting",
    "Downloading",
    "Verifying Checksum",
    "Download complete",
    "Extracting",
    "Pull complete",
    "Already exists",
    "Retrying in 5 seconds",
    "Something new",
)


def lines(pull: list[Timed], interval: float = 5.0) -> list[tuple[float, Any]]:
    """Return DockerOperator's log lines for *pull*, each with its second."""
    now = 0.0

    def stream() -> Any:
        nonlocal now
        for now, item in pull:  # noqa: B007 - the clock
            yield item

    progress = Progress(interval=interval, clock=lambda: now)
    return [(now, item["status"]) for item in progress.lines(stream())]


def texts(pull: list[Timed], interval: float = 5.0) -> list[str]:
    """Return DockerOperator's log lines for *pull*."""
    return [text for _, text in lines(pull, interval)]


def layer(name: str, status: str, current: int = 0, total: int = 0, **detail: Any) -> dict[str, Any]:
    """Return a stream item about a layer, in the engine's format."""
    counts = {"current": current, "total": total}
    return {"id": name, "status": status, "progressDetail": {k: n for k, n in counts.items() if n} | detail}


def test_cold_pull() -> None:
    """A pull of new layers logs their number and sizes, its progress, and its end."""
    assert texts(items(COLD), interval=0.2) == [
        "6 layers, 3.03 MB to fetch",
        "100 %: 3.03 MB, 63 % extracted, 2 of 6 layers done",
        "100 %: 3.03 MB, 98 % extracted, 5 of 6 layers done",
        "pulled in 1.2 s, 3.03 MB fetched, sha256:896d863611f5595e613a57bb23908d0c4087cb7989a3634f040e07d49c4751de",
    ]


def test_first_line_waits_for_a_second_only() -> None:
    """The engine fetches three layers at a time; the first line does not wait for the sizes of the others."""
    pull = [
        (0.0, {"id": "1", "status": "Pulling from app"}),
        *((0.1, layer(name, "Pulling fs layer")) for name in "abcd"),
        (0.2, layer("d", "Waiting")),
        *((0.3, layer(name, "Downloading", 1_000_000, 100_000_000)) for name in "abc"),
        (1.2, layer("a", "Downloading", 20_000_000, 100_000_000)),
        (6.2, layer("a", "Downloading", 60_000_000, 100_000_000)),
        (11.2, layer("a", "Download complete")),
        (11.3, layer("d", "Downloading", 1_000_000, 300_000_000)),
        (16.2, layer("d", "Downloading", 70_000_000, 300_000_000)),
    ]
    assert texts(pull) == [
        "4 layers, at least 300 MB to fetch",
        "62 MB of at least 300 MB, 8 MB/s, 0 of 4 layers done",
        "102 MB of at least 300 MB, 8 MB/s, 0 of 4 layers done",
        "28 %: 172 MB of 600 MB, 10 MB/s, 0 of 4 layers done, about 43 s left",
        "pulled in 16 s, 172 MB fetched",
    ]


def test_layers_that_are_there() -> None:
    """Layers that the engine has are counted, but not fetched."""
    pull = [(0.1, layer(name, "Already exists")) for name in "ab"]
    assert texts(pull) == ["2 layers, all of them already here", "pulled in 0.1 s, nothing fetched"]
    pull += [(0.2, layer("c", "Pulling fs layer")), (0.3, layer("c", "Downloading", 1000, 4000))]
    assert texts([*pull, (5.3, layer("c", "Downloading", 2000, 4000))]) == [
        "3 layers, 2 of them already here, 4 kB to fetch",
        "50 %: 2 kB of 4 kB, 200 B/s, 2 of 3 layers done, about 10 s left",
        "pulled in 5.3 s, 2 kB fetched",
    ]


def test_waiting_beside_layers_that_are_there() -> None:
    """The first line waits for the sizes of layers, and for layers that may follow."""
    there = [(0.0, layer("a", "Already exists")), (2.0, layer("a", "Already exists"))]
    assert texts([*there, (8.0, layer("a", "Already exists"))]) == [
        "1 layer, all of them already here",
        "1 of 1 layer done",
        "pulled in 8.0 s, nothing fetched",
    ]


def test_nothing_new() -> None:
    """An unchanged image logs one line."""
    assert texts(items(AGAIN)) == [
        "up to date in 0.0 s, nothing fetched, sha256:526a5980cf0488256b288e7303826ddbac42d10fc3a8e3a2129468b373425376"
    ]


def test_unknown_size() -> None:
    """If the server does not report the size of a layer, it stays unknown until the layer is unpacked."""
    slow = [(20 * seconds, item) for seconds, item in items(UNKNOWN)]
    assert texts(slow, interval=2) == [
        "7 layers, 6 of them already here, their sizes not known yet",
        "100 %: at least 541 kB, extracting, 6 of 7 layers done",
        "100 %: 700 kB, 100 % extracted, 7 of 7 layers done",
        "pulled in 13 s, 700 kB fetched, sha256:4e552301a91759fee60a1dca250f7cc922c66c992cf857169969fb146c088c46",
    ]


def test_unknown_size_to_the_end() -> None:
    """Sizes that were never reported are not invented."""
    pull = [(0.0, layer("a", "Downloading", 1000)), (0.5, layer("a", "Download complete"))]
    assert texts(pull)[-1] == "pulled in 0.5 s, at least 1 kB fetched"


def test_layer_that_breaks_off() -> None:
    """Bytes that arrived before a break stay counted, though the engine reports the full size at that moment."""
    assert texts(items(RESUMED), interval=1.0) == [
        "8 layers, 7 of them already here, 800 kB to fetch",
        "59 %: 475 kB of 800 kB, 253 kB/s, 7 of 8 layers done, 1 being tried again",
        "59 %: 475 kB of 800 kB, 163 kB/s, 7 of 8 layers done, 1 being tried again",
        "59 %: 475 kB of 800 kB, 120 kB/s, 7 of 8 layers done, 1 being tried again",
        "59 %: 475 kB of 800 kB, 95.4 kB/s, 7 of 8 layers done, 1 being tried again",
        "67 %: 541 kB of 800 kB, 89.3 kB/s, 7 of 8 layers done, about 2.9 s left",
        "pulled in 6.6 s, 800 kB fetched, sha256:4253d063cf725adc457e65e736e4bfc0cbf34189b99057d79fe75cf2e00b1f71",
    ]


def test_second_try_with_another_token() -> None:
    """Layers that the first try finished are not fetched again; the others start from zero."""
    pull = [
        *((0.0, layer(name, "Pulling fs layer")) for name in "ab"),
        *((0.1, layer(name, "Downloading", 1000, 100_000)) for name in "ab"),
        (0.2, layer("a", "Pull complete")),
        (0.2, layer("b", "Downloading", 90_000, 100_000)),
        (0.3, layer("a", "Already exists")),
        (0.3, layer("b", "Pulling fs layer")),
        (5.2, layer("b", "Downloading", 20_000, 100_000)),
    ]
    assert texts(pull) == [
        "2 layers, 200 kB to fetch",
        "60 %: 120 kB of 200 kB, 23.1 kB/s, 1 of 2 layers done, about 3.5 s left",
        "pulled in 5.2 s, 120 kB fetched",
    ]


def test_containerds_image_store() -> None:
    """containerd's image store uses other wording, and counts an extraction in seconds."""
    pull = [
        (0.0, {"id": "1", "status": "Pulling from app"}),
        (0.0, layer("a", "Waiting")),
        (0.1, layer("a", "Pulling layer fs", 1000, 4000)),
        (0.2, layer("b", "Waiting")),
        (0.3, layer("b", "Already exists")),
        (5.5, layer("a", "Download complete", hidecounts=True)),
        (6.0, layer("a", "Extracting", 900, units="s")),
        (11.0, layer("a", "Extracting", 905, units="s")),
        (11.1, layer("a", "Pull complete", hidecounts=True)),
    ]
    assert texts(pull) == [
        "1 layer, 4 kB to fetch",
        "100 %: 4 kB, 0 % extracted, 1 of 2 layers done",
        "100 %: 4 kB, extracting, 1 of 2 layers done",
        "pulled in 11 s, 4 kB fetched",
    ]


def test_podman() -> None:
    """Podman does not report extraction and digest, and lists the image's configuration, which is no layer."""
    assert texts(items(PODMAN), interval=2) == [
        "3 layers, at least 4 MB to fetch",
        "58 %: 2.94 MB of 5.03 MB, 1.1 MB/s, 2 of 3 layers done, about 1.9 s left",
        "100 %: at least 5.03 MB, 3 of 3 layers done",
        "pulled in 7.7 s, at least 5.03 MB fetched",
    ]
    assert texts(items(PODMAN_AGAIN)) == [
        "3 layers, all of them already here",
        "pulled in 0.2 s, nothing fetched",
    ]


def test_digest_that_no_item_names() -> None:
    """If the stream does not name the digest, the engine is asked, once."""
    assert [item["status"] for item in Progress(lambda: "sha256:0", clock=lambda: 0.0).lines([])] == [
        "pulled in 0.0 s, sha256:0"
    ]
    named = Progress(lambda: "sha256:0", clock=lambda: 0.0).lines([{"status": "Digest: sha256:1"}])
    assert [item["status"] for item in named] == ["pulled in 0.0 s, sha256:1"]


def test_what_is_said_of_the_image_is_passed_on() -> None:
    """Messages about the image as a whole, and unknown items, are passed on."""
    odd: list[Any] = ["text", {"status": "a warning"}, {"status": 1}, {"stream": "more"}, {"id": "a"}]
    progress = Progress(clock=lambda: 0.0)
    assert list(progress.lines(odd)) == [*odd, {"status": "pulled in 0.0 s"}]


@pytest.mark.parametrize(
    "detail", [None, "text", [], {"current": "much", "total": -1}, {"current": None}, {"current": 1, "total": 10**400}]
)
def test_odd_details(detail: Any) -> None:
    """An invalid detail does not fail a pull."""
    item = {"id": "a", "status": "Downloading", "progressDetail": detail}
    assert texts([(0.0, item)])[0] == "1 layer, their sizes not known yet"


def test_no_line_is_forged() -> None:
    """Line breaks and escape sequences in the engine's messages are escaped."""
    assert texts([(0.0, {"status": "a\nb\x1b[2J"}), (0.0, {"status": "Digest: sha256:0\n1"})]) == [
        r"a\nb\x1b[2J",
        r"pulled in 0.0 s, sha256:0\n1",
    ]


def test_layers_are_a_line_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, each change of a layer is logged once."""
    with caplog.at_level(logging.INFO):
        texts(items(RESUMED))
    assert caplog.messages == []
    with caplog.at_level(logging.DEBUG):
        texts(items(RESUMED))
    assert [text for text in caplog.messages if text.startswith("de2245469872: ")] == [
        "de2245469872: Pulling fs layer",
        "de2245469872: Downloading",
        *(f"de2245469872: Retrying in {seconds} seconds" for seconds in (5, 4, 3, 2)),
        "de2245469872: Retrying in 1 second",
        "de2245469872: Downloading",
        "de2245469872: Verifying Checksum",
        "de2245469872: Download complete",
        "de2245469872: Extracting",
        "de2245469872: Pull complete",
    ]


def test_layer_that_is_here_is_not_fetched() -> None:
    """Extracting a layer that the engine already had counts as neither fetched nor missing."""
    pull = [
        (0.0, layer("b", "Already exists")),
        (0.0, layer("a", "Downloading", 1000, 2000)),
        (1.0, layer("b", "Extracting", 2000, 4000)),
        (6.0, layer("a", "Downloading", 1000, 2000)),
    ]
    assert texts(pull) == [
        "2 layers, 1 of them already here, 2 kB to fetch",
        "50 %: 1 kB of 2 kB, 0 B/s, 1 of 2 layers done",
        "pulled in 6.0 s, 1 kB fetched",
    ]


numbers = st.none() | st.integers(min_value=-1, max_value=1000)
details = st.fixed_dictionaries({"current": numbers, "total": numbers}, optional={"units": st.just("s")})


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from("abc"), st.sampled_from(STATUSES), details)))
def test_any_stream(steps: list[tuple[float, str, str, dict[str, Any]]]) -> None:
    """For any stream, there is at most one line in five seconds, one at the end, and no more than 100 %."""
    now, pull = 0.0, []
    for seconds, name, status, detail in steps:
        now += seconds
        pull.append((now, {"id": name, "status": status, "progressDetail": detail}))
    *during, (_, last) = lines(pull)
    # The last line shows whatever no line has shown before.
    assert all(later >= earlier + 5 for (earlier, _), (later, _) in pairwise(during))
    assert last.startswith("pulled in ")
    percents = [int(percent) for _, text in during for percent in re.findall(r"(\d+) %", text)]
    assert all(percent <= 100 for percent in percents)


@given(st.lists(st.tuples(st.sampled_from(STATUSES[1:]), details)))
def test_bytes_of_a_layer_only_grow(steps: list[tuple[str, dict[str, Any]]]) -> None:
    """Within one try, the fetched bytes of a layer never decrease, and never exceed its size."""
    layer_, before = Layer(), 0
    for status, detail in steps:
        layer_.update(status, detail)
        assert before <= layer_.fetched
        assert not layer_.size or layer_.fetched <= layer_.size
        before = layer_.fetched
