"""A task of a DAG run."""

from __future__ import annotations

from typing import Any


def render_template_fields(task_instance: Any, task: Any) -> Any:
    """Return *task* with its templates rendered, with the context that the provider's templates need."""
    run = task_instance.dag_run
    task.render_template_fields(
        {"dag": task.dag, "dag_run": run, "run_id": run.run_id, "task_instance": task_instance, "ti": task_instance}
    )
    return task
