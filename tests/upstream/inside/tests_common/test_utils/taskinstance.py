"""A task in a run of its DAG."""

from __future__ import annotations

from typing import Any


def render_template_fields(task_instance: Any, task: Any) -> Any:
    """Return *task* with its templates rendered, for what the provider's templates ask of their context."""
    run = task_instance.dag_run
    task.render_template_fields(
        {"dag": task.dag, "dag_run": run, "run_id": run.run_id, "task_instance": task_instance, "ti": task_instance}
    )
    return task
