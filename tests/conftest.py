"""Fixtures of all tests. Nothing here reads the machine's own Airflow, AWS or Docker configuration."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tests.isolation import isolated

_ISOLATION = ExitStack()
_ISOLATION.enter_context(isolated())

import pytest

from tests.airflow_home import AirflowHome
from tests.cells.environment import Environment
from tests.cells.versions import CELLS
from tests.recording_engine import RecordingEngine
from tests.stand import Stand
from tests.stand.aws import Aws
from tests.stand.engines import ENGINES, VARIABLE
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHOWN = ("apache-airflow", "apache-airflow-providers-docker", "apache-airflow-providers-amazon", "docker", "boto3")
AIRFLOW_2 = "2.11.2"
_ROOT = Path(__file__).parents[1]
_ENGINE = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    parser.addoption("--engine", choices=[*ENGINES], help="engine of the stand; default: this machine's own")
    parser.addoption("--renew-pictures", action="store_true", help="keep the pictures of Airflow that tests take")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the engine of all stands, and put temporary directories where they are removed."""
    if engine := config.getoption("--engine"):
        os.environ[VARIABLE] = engine
    # pytest-xdist gives each of its processes a folder in that of the first one.
    config.option.basetemp = config.option.basetemp or tempfile.mkdtemp(prefix="t")


def pytest_report_header() -> str:
    """Show the versions of the main dependencies."""
    parts = [f"{name} {version(name)}" for name in _SHOWN]
    return ", ".join([*parts, f"{platform.system()} {platform.release()}"])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the engine that the tests ran on."""
    if _ENGINE in config.stash:
        terminalreporter.write_line(f"engine of the stand: {config.stash[_ENGINE]}")


def pytest_unconfigure() -> None:
    """Remove the temporary configuration."""
    _ISOLATION.close()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """AWS's API alone; boto3 finds its endpoint and the keys of the user ``worker`` in the environment."""
    with Aws() as api:
        worker = api.add_user(ACCOUNT, "worker")
        monkeypatch.setenv("AWS_ENDPOINT_URL", api.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", worker.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", worker.secret_key)
        yield api


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[str], int]:
    """Provide a function that counts log messages with a text, of structlog (Airflow 3) or logging (Airflow 2)."""
    return lambda text: max(capsys.readouterr().out.count(text), caplog.text.count(text))


@pytest.fixture(scope="session")
def before_dags(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    """Provide Airflow with the DAGs from before each migration, which the folder of examples ignores."""
    directory = tmp_path_factory.mktemp("airflow")
    (directory / "dags").mkdir()
    for path in (_ROOT / "dags" / "migration").glob("*/before.py"):
        shutil.copy(path, directory / "dags" / f"{path.parent.name}.py")
    return AirflowHome(directory, directory / "dags")


@pytest.fixture
def engine() -> Iterator[RecordingEngine]:
    """Provide an engine that pulls nothing and records every request."""
    with RecordingEngine() as recording:
        yield recording


@pytest.fixture
def short() -> Iterator[Path]:
    """Provide an empty directory for temporary files, whose path leaves room for the names of Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="s") as directory:
        # PostgreSQL does not run as root.
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture(scope="session")
def running_stand(pytestconfig: pytest.Config) -> Iterator[Stand]:
    """Start the stand once; tests use the fixture ``stand``."""
    with Stand() as stand:
        pytestconfig.stash[_ENGINE] = f"{stand.kind.name} ({stand.engine.versions()})"
        yield stand


@pytest.fixture
def stand(running_stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """Provide the stand with an empty record; the environment points to it."""
    return prepare(running_stand, monkeypatch)


def prepare(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """Reset *stand* and point the environment to it."""
    stand.aws.reset()
    stand.registry.reset()
    stand.manifests.failure_code = ""
    stand.manifests.caches.clear()
    stand.engine.reset()
    for name, value in stand.environment.items():
        monkeypatch.setenv(name, value)
    return stand


@pytest.fixture(scope="session", params=["newest", AIRFLOW_2])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Provide the Airflow and Python versions of this environment, then of one with Airflow 2 and this package."""
    if request.param == AIRFLOW_2:
        [cell] = [cell for cell in CELLS if cell.airflow == AIRFLOW_2]
        return AIRFLOW_2, Environment(cell, tmp_path_factory.mktemp("airflow-2")).python
    return version("apache-airflow"), Path(sys.executable)
