"""``@task.ecr_docker``: a function that runs in a container whose image is in Amazon ECR."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import task_decorator_factory
from airflow.providers.docker.decorators.docker import _DockerDecoratedOperator

from ecr_docker_operator.operator import EcrDockerOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.providers.common.compat.sdk import TaskDecorator


class _EcrDockerDecoratedOperator(_DockerDecoratedOperator, EcrDockerOperator):
    custom_operator_name = "@task.ecr_docker"

    template_fields: Sequence[str] = tuple(
        dict.fromkeys((*EcrDockerOperator.template_fields, *_DockerDecoratedOperator.template_fields))
    )

    template_fields_renderers = {  # noqa: RUF012 - as _DockerDecoratedOperator has it
        **EcrDockerOperator.template_fields_renderers,
        **_DockerDecoratedOperator.template_fields_renderers,
    }

    def get_python_source(self) -> str:
        """Return the source of the function, without the decorator that made it a task."""
        # Airflow takes away what is called like custom_operator_name; ours has a second name.
        source: str = super().get_python_source()  # type: ignore[no-untyped-call]
        lines = source.splitlines(keepends=True)
        function = ast.parse(source).body[0]
        for decorator in getattr(function, "decorator_list", []):
            if _name(decorator) == ecr_docker_task.__name__:
                del lines[decorator.lineno - 1 : decorator.end_lineno]
        return "".join(lines)


def ecr_docker_task(
    python_callable: Callable[..., Any] | None = None,
    multiple_outputs: bool | None = None,
    **kwargs: Any,
) -> TaskDecorator:
    """
    Make a task of a function, which runs in a container whose image is in Amazon ECR.

    Also known as ``@task.ecr_docker``, a name that type checkers do not know. The image must have ``bash`` and
    Python, as for ``@task.docker``.

    :param python_callable: function to decorate.
    :param multiple_outputs: whether each item of the returned dictionary becomes an XCom of its own, by its
        key. Default: as the function's return annotation says, else not.
    :param kwargs: parameters of ``@task.docker`` (``python_command``, ``expect_airflow``, ``serializer``) and of
        EcrDockerOperator.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=_EcrDockerDecoratedOperator,
        **kwargs,
    )


def _name(decorator: ast.expr) -> str | None:
    """Return the last name of *decorator*, which may be called and dotted."""
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    return getattr(decorator, "attr", getattr(decorator, "id", None))
