"""Fixtures that the provider's tests use."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from airflow.utils.session import create_session

from .database import CreatedTask, DagMaker
from .test_utils.version_compat import AIRFLOW_V_3_0_PLUS, AIRFLOW_V_3_1_PLUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_configure(config: pytest.Config) -> None:
    """Register the suite's marker, and propagate its log messages to pytest."""
    config.addinivalue_line("markers", "db_test: needs Airflow's database")
    logging.getLogger("airflow.task").setLevel(logging.DEBUG)
    if not AIRFLOW_V_3_0_PLUS:
        # Airflow 2's own tables refer to its user tables, which this provider defines.
        import_module("airflow.providers.fab.auth_manager.models")
    _lead_structlog_to_logging()


@pytest.fixture
def session() -> Iterator[Any]:
    """Session of Airflow's database."""
    with create_session() as made:
        yield made


@pytest.fixture
def dag_maker(session: Any) -> DagMaker:
    """Create a DAG in the database, and runs of it."""
    return DagMaker(session)


@pytest.fixture
def create_task_instance_of_operator(dag_maker: DagMaker) -> Callable[..., CreatedTask]:
    """Create a DAG with one task, and a run of it."""

    def create(operator_class: Callable[..., Any], *, dag_id: str, **parameters: Any) -> CreatedTask:
        with dag_maker(dag_id):
            task = operator_class(**parameters)
        return CreatedTask(dag_maker.create_ti(task.task_id), task)

    return create


def _lead_structlog_to_logging() -> None:
    # Since 3.1, Airflow logs through structlog, which pytest's caplog does not capture.
    if not AIRFLOW_V_3_1_PLUS:
        return
    # Import Airflow first, because the import configures structlog.
    import_module("airflow.sdk.log")
    structlog: Any = import_module("structlog")
    structlog.configure(
        processors=[structlog.stdlib.PositionalArgumentsFormatter(), _render],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _render(_logger: Any, _method: str, event: dict[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    return (str(event["event"]),), {"exc_info": event.get("exc_info")}
