"""Run pytest in a process, count what passed, and print tables of it."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]


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
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if not report.exists():
        return Result(failed=1, output=done.stdout)
    suite = ET.parse(report).getroot()[0]  # noqa: S314 - pytest wrote it
    cases, failures, errors, skipped = (int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped"))
    failed = failures + errors or int(done.returncode != 0)
    return Result(max(cases - failed - skipped, 0), failed, skipped, done.stdout)


def table(lines: Sequence[Sequence[str]]) -> str:
    """Return *lines*, the first of which is the head, as an aligned Markdown table."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    head, *rest = lines
    return "\n".join(
        f"| {' | '.join(text.ljust(width) for text, width in zip(line, widths, strict=True))} |"
        for line in (head, ["-" * width for width in widths], *rest)
    )
