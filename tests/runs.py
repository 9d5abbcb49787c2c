"""Run pytest in a process, count what passed, and print tables of it."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.scratch import scratch
from tests.stand.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[1]


_running: set[Process] = set()


@contextmanager
def jobs(number: int) -> Iterator[tuple[ThreadPoolExecutor, Path]]:
    """Provide *number* threads and a temporary folder; an interrupt also ends the pytest runs in the threads."""
    with scratch() as directory, ThreadPoolExecutor(number) as pool:
        try:
            yield pool, directory
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in [*_running]:
                process.terminate()
            raise


@dataclass(frozen=True)
class Result:
    """The result of one pytest run."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    output: str = field(default="", repr=False)

    def __str__(self) -> str:
        counts = {"passed": self.passed, "failed": self.failed, "skipped": self.skipped}
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count or outcome == "passed")


def run_pytest(python: str, report: Path, arguments: Sequence[str]) -> Result:
    """Run pytest with *arguments*; a run that does not end well has at least one failure.

    :param python: interpreter to use.
    :param report: file to write pytest's report to.
    """
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments]
    # In a session of its own, so that an interrupt reaches it once: from :func:`jobs`.
    process = Process(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    _running.add(process)
    try:
        output = process.communicate()[0].decode(errors="replace")
    finally:
        _running.remove(process)
    if not report.exists():
        return Result(failed=1, output=output)
    suite = ET.parse(report).getroot()[0]  # noqa: S314 - pytest wrote it
    cases, failures, errors, skipped = (int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped"))
    failed = failures + errors or int(process.returncode != 0)
    return Result(max(cases - failed - skipped, 0), failed, skipped, output)


def table(lines: Sequence[Sequence[str]]) -> str:
    """Return *lines*, the first of which is the head, as an aligned Markdown table."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    head, *rest = lines
    return "\n".join(
        f"| {' | '.join(text.ljust(width) for text, width in zip(line, widths, strict=True))} |"
        for line in (head, ["-" * width for width in widths], *rest)
    )
