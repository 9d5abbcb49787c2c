"""Create a DAG and runs of its tasks in Airflow's own database, for the provider's tests."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from airflow.models.dagrun import DagRun
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunType

from ecr_docker_operator.compat import DAG, AirflowException

from .test_utils.taskinstance import render_template_fields
from .test_utils.version_compat import AIRFLOW_V_3_0_PLUS

if TYPE_CHECKING:
    from types import TracebackType

BUNDLE = "upstream"


class DagMaker:
    """Creates one DAG with ``with dag_maker() as dag:``, and then runs of it.

    :param session: session of Airflow's database.
    """

    def __init__(self, session: Any) -> None:
        self.session = session

    def __call__(self, dag_id: str | None = None, session: Any = None) -> Self:
        """Set the DAG id; default: a unique name."""
        self.session = session or self.session
        start = datetime(2021, 9, 1, tzinfo=UTC)
        self.dag: Any = DAG(dag_id or f"dag_{uuid.uuid4().hex}", schedule=None, start_date=start)
        return self

    def __enter__(self) -> Any:
        """Begin the DAG."""
        return self.dag.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the DAG and, if there was no error, write it to the database."""
        self.dag.__exit__(kind, error, traceback)
        if error is None:
            self.stored = _write(self.dag, self.session)
            self.session.commit()

    def create_dagrun(self, session: Any = None) -> Any:
        """Return a new run of the DAG."""
        session = session or self.session
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "run_id": f"run_{uuid.uuid4().hex}",
            "run_type": DagRunType.MANUAL,
            "state": DagRunState.RUNNING,
            "start_date": now,
            "data_interval": (now, now),
            "session": session,
        }
        if AIRFLOW_V_3_0_PLUS:
            trigger = import_module("airflow.utils.types").DagRunTriggeredByType.TEST
            values |= {"logical_date": now, "run_after": now, "triggered_by": trigger}
        else:
            values["execution_date"] = now
        run = self.stored.create_dagrun(**values)
        session.commit()
        for task_instance in run.task_instances:
            task_instance.task = self.dag.get_task(task_instance.task_id)
        return run

    def create_ti(self, task_id: str) -> Any:
        """Return a task of a new run."""
        return self.create_dagrun().get_task_instance(task_id, session=self.session)

    def run_ti(self, task_id: str, run: Any) -> None:
        """Run a task as its worker would.

        :raises Exception: the task's error.
        """
        task = self.dag.get_task(task_id)
        task_instance: Any = DagRun.fetch_task_instance(
            dag_id=run.dag_id, dag_run_id=run.run_id, task_id=task_id, session=self.session
        )
        if not AIRFLOW_V_3_0_PLUS:
            task_instance.refresh_from_task(task)
            task_instance.run(session=self.session)
            return
        task_instance.task = task
        self.session.commit()
        run_task = import_module("airflow.sdk.definitions.dag")._run_task  # noqa: SLF001 - as dag.test() runs a task
        given = {"task": task} if "task" in signature(run_task).parameters else {}
        result = run_task(ti=task_instance, **given)
        self.session.expire_all()
        if result is None:
            msg = f"Airflow could not run the task {task_id!r}; its log says why."
            raise AirflowException(msg)
        if result.error:
            raise result.error


class CreatedTask:
    """A task of a run, whose templates can be rendered."""

    def __init__(self, task_instance: Any, task: Any) -> None:
        self.task_instance = task_instance
        self.task = task
        self.dag_id = task_instance.dag_id
        self.run_id = task_instance.run_id

    def render_templates(self) -> Any:
        """Return the task with its templates rendered."""
        return render_template_fields(self.task_instance, self.task)


def _write(dag: Any, session: Any) -> Any:
    """Write *dag* to the database, and return the DAG that the scheduler uses."""
    model: Any = import_module("airflow.models.serialized_dag").SerializedDagModel
    if not AIRFLOW_V_3_0_PLUS:
        dag.sync_to_db(session=session)
        model.write_dag(dag, session=session)
        return dag
    serialized_objects: Any = import_module("airflow.serialization.serialized_objects")
    # Airflow 3.2 split the serialized DAG and its serializer into two classes.
    serializer = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
    dag.relative_fileloc = Path(dag.fileloc).name
    lazy = serialized_objects.LazyDeserializedDAG(data=serializer.to_dict(dag))
    stored = serializer.from_dict(lazy.data)
    session.merge(import_module("airflow.models.dagbundle").DagBundleModel(name=BUNDLE))
    session.commit()
    stored.bulk_write_to_db(BUNDLE, None, [lazy], session=session)
    model.write_dag(lazy, bundle_name=BUNDLE, session=session)
    return stored
