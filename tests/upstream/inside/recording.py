"""Pytest plugin: write the outcome of each test, and the reason, to a file."""

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
    """Outcomes by test id, and the counts of other plugins."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.counts: dict[str, int] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome of the call, or of a failed setup or teardown."""
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
