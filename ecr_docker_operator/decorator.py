"""``@task.ecr_docker`` runs a function in a container with an image from Amazon ECR."""

from __future__ import annotations

import ast
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.docker.decorators.docker import _DockerDecoratedOperator

from ecr_docker_operator.compat import task_decorator_factory
from ecr_docker_operator.operator import EcrDockerOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk.bases.decorator import TaskDecorator


class _EcrDockerDecoratedOperator(_DockerDecoratedOperator, EcrDockerOperator):
    custom_operator_name = "@task.ecr_docker"

    def get_python_source(self) -> str:
        """Return the source of the function, without the decorator that made it a task."""
        # Airflow removes only the decorator named in custom_operator_name, and ours has other names, too.
        source: str = super().get_python_source()  # type: ignore[no-untyped-call]
        lines = source.splitlines(keepends=True)
        function = ast.parse(source).body[0]
        names = getattr(self.python_callable, "__globals__", {})
        for decorator in reversed(getattr(function, "decorator_list", [])):
            if _is_ours(decorator, names):
                del lines[decorator.lineno - 1 : decorator.end_lineno]
        return "".join(lines)


def ecr_docker_task(
    python_callable: Callable[..., Any] | None = None,
    multiple_outputs: bool | None = None,
    **kwargs: Any,
) -> TaskDecorator:
    """
    Turn a function into a task that runs in a container with an image from Amazon ECR.

    Same as ``@task.ecr_docker``, but visible to type checkers. The image must have ``bash`` and Python, as for
    ``@task.docker``.

    :param python_callable: function to decorate.
    :param multiple_outputs: whether to push each item of the returned dictionary as a separate XCom, under its key.
        Default: taken from the function's return annotation, else ``False``.
    :param kwargs: parameters of ``@task.docker`` (``python_command``, ``expect_airflow``, ``serializer``) and of
        :class:`EcrDockerOperator`.
    """
    if python_callable is None:
        # Recognizable, when it has a name of its own and decorates several functions.
        return cast("TaskDecorator", partial(ecr_docker_task, multiple_outputs=multiple_outputs, **kwargs))
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=_EcrDockerDecoratedOperator,
        **kwargs,
    )


def _is_ours(decorator: ast.expr, names: dict[str, Any]) -> bool:
    """Return whether *decorator* is ``ecr_docker_task``, also under another of the module's *names*."""
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    value = _look_up(decorator, names)
    name = getattr(decorator, "attr", getattr(decorator, "id", None))
    return name == ecr_docker_task.__name__ or any(v is ecr_docker_task for v in (value, getattr(value, "func", None)))


def _look_up(name: ast.expr, names: dict[str, Any]) -> Any:
    """Return the value of a plain or dotted name; ``None`` for anything else."""
    if isinstance(name, ast.Attribute):
        return getattr(_look_up(name.value, names), name.attr, None)
    return names.get(name.id) if isinstance(name, ast.Name) else None
