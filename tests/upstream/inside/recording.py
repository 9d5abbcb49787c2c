"""Pytest plugin: write what became of each test, and why, into a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the file."""
    parser.addoption("--record", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Start recording."""
    config.pluginmanager.register(Recorder(), "recorder")


class Recorder:
    """Outcomes by test id, and whatever other plugins count."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.counts: dict[str, int] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome: of the call, unless setup or teardown went wrong."""
        if report.when != "call" and report.passed:
            return
        if self.outcomes.get(report.nodeid) == "failed":
            return
        self.outcomes[report.nodeid] = report.outcome
        if not report.passed:
            self.reasons[report.nodeid] = f"{report.longreprtext}\n{report.caplog[-2000:]}"

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the record."""
        record: dict[str, Any] = {"outcomes": self.outcomes, "reasons": self.reasons, "counts": self.counts}
        session.config.getoption("record").write_text(json.dumps(record))
