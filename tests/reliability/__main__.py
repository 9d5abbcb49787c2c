"""Print the reliability figures of tests/README.md: cases, hits, load and runs."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tests.isolation import isolated

ISOLATION = ExitStack()
ISOLATION.enter_context(isolated())

from tests.reliability.campaign import campaign
from tests.reliability.load import load, rush
from tests.reliability.soak import soak
from tests.stand import Stand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEED = 20261121
ROOT = Path(__file__).parents[2]
# Topic of a line -> test files that are counted
TESTS = {
    "failures that are a whole sentence, and the next try succeeds": ["test_cases.py"],
    "kills and time-outs that leave nothing behind": ["test_kill.py"],
    "scans that find no token": ["test_nowhere.py", "test_objects.py", "test_redirects.py", "test_hosts.py"],
    "planted tokens that the scan finds": ["test_scan.py"],
}
VERSIONS = ("apache-airflow", "apache-airflow-providers-docker", "apache-airflow-providers-amazon", "docker", "boto3")


class Report:
    """Lines of the report, printed as they come."""

    def __init__(self) -> None:
        self.is_clean = True

    def say(self, what: str, figures: str, *, clean: bool) -> None:
        """Print a line."""
        self.is_clean &= clean
        sys.stdout.write(f"| {what} | {figures}{'' if clean else ' **not as it has to be**'} |\n")
        sys.stdout.flush()


def count_tests(report: Report) -> None:
    """Count tests and the properties that they recorded."""
    for what, names in TESTS.items():
        with tempfile.TemporaryDirectory() as directory:
            result = Path(directory, "result.xml")
            command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={result}", "-o", "junit_family=xunit1"]
            paths = [f"tests/reliability/{name}" for name in names]
            done = subprocess.run([*command, *paths], cwd=ROOT, capture_output=True, text=True, check=False)
            root = ET.parse(result).getroot()  # noqa: S314 - pytest wrote it just now
        cases = root.findall(".//testcase")
        failed = [case for case in cases if len(case.findall("failure") + case.findall("error")) > 0]
        figures = "; ".join([f"{len(cases) - len(failed)} of {len(cases)}", *_recorded(cases)])
        report.say(what, figures, clean=done.returncode == 0)
        for case in failed:
            sys.stderr.write(f"failed: {case.get('name')}\n")


def _recorded(cases: list[ET.Element]) -> Iterator[str]:
    for case in cases:
        for recorded in case.iter("property"):
            yield f"{recorded.get('name')}: {recorded.get('value')}"


def measure_load(report: Report) -> None:
    """Run 200 tasks that pull, 16 at a time, and make 200 token calls at once."""
    with tempfile.TemporaryDirectory() as directory:
        done = load(Path(directory), 200)
    report.say(
        "cold mapped tasks that succeed on their first try",
        f"{done.succeeded} of {done.tasks}; {done.tokens} tokens, {done.throttled} tries throttled, "
        f"slowest wait {done.slowest:.1f} s; {done.seconds:.0f} s in all",
        clean=done.succeeded == done.tasks,
    )
    rushed = rush(200)
    report.say(
        "callers of AWS at the same moment that get their token",
        f"{rushed.succeeded} of {rushed.callers}; {rushed.throttled} tries throttled, "
        f"slowest wait {rushed.slowest:.1f} s",
        clean=rushed.succeeded == rushed.callers,
    )


def measure_soak(report: Report) -> None:
    """Pull 1,000 times in one process."""
    with Stand() as stand:
        done = soak(stand, 1000)
    before, after = done.before, done.after
    report.say(
        "pulls in one process",
        f"{done.pulls} in {done.seconds:.0f} s; memory {before.memory:.0f} to {after.memory:.0f} MiB, "
        f"files and sockets {before.descriptors} to {after.descriptors}, threads {before.threads} to {after.threads}, "
        f"temporary files {before.temporary_files} to {after.temporary_files}",
        clean=done.is_bounded,
    )


def run_campaign(report: Report) -> None:
    """Inject 300 random faults."""
    done = campaign(runs=300, seed=SEED)
    ends = ", ".join(f"{number} {end}" for end, number in sorted(done.ends.items(), key=lambda end: -end[1]))
    report.say(
        "tasks with a fault at random that end in success or one of our sentences",
        f"{done.runs - len(done.strangers)} of {done.runs} (seed {SEED}): {ends}; {done.ends.get('hung', 0)} hung, "
        f"{len(done.hits)} tokens found, {len(done.threads)} threads and {len(done.files)} files left",
        clean=done.is_clean,
    )
    for stranger in (*done.strangers, *done.hits, *done.threads, *done.files):
        sys.stderr.write(f"{stranger}\n")


PARTS: dict[str, Callable[[Report], None]] = {
    "tests": count_tests,
    "load": measure_load,
    "soak": measure_soak,
    "campaign": run_campaign,
}


def main() -> int:
    """Run the parts selected on the command line, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: all")
    parts = parser.parse_args().parts or PARTS
    start = time.monotonic()
    report = Report()
    sys.stdout.write(f"{', '.join(f'{name} {version(name)}' for name in VERSIONS)}\n\n| what | figures |\n|---|---|\n")
    for name in parts:
        PARTS[name](report)
    sys.stdout.write(f"\n{time.monotonic() - start:.0f} s\n")
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    with ISOLATION:
        sys.exit(main())
