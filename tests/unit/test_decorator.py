"""``ecr_docker_task`` while a DAG is parsed: parameters, templates, mapping, and the source of the function."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.docker.decorators.docker import _DockerDecoratedOperator

import ecr_docker_operator
from ecr_docker_operator import EcrDockerOperator, EcrInputError, ecr_docker_task
from ecr_docker_operator.compat import DAG
from ecr_docker_operator.provider_info import get_provider_info
from tests.stand.hosts import ACCOUNT

IMAGE = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/python:1"


def operator_of(decorated: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the operator of a call of *decorated* in a DAG."""
    with DAG("dag", schedule=None, default_args={"aws_conn_id": "mine", "cpus": 2.0}):
        return decorated(*args, **kwargs).operator


def test_operator() -> None:
    """The task is an EcrDockerOperator with the parameters of both, from the decorator or from default_args."""

    @ecr_docker_task(image=IMAGE, region_name="eu-west-1", serializer="dill", multiple_outputs=True, retries=4)
    def function() -> None: ...

    task = operator_of(function)
    assert isinstance(task, EcrDockerOperator)
    assert isinstance(task, _DockerDecoratedOperator)
    assert (task.image, task.region_name, task.aws_conn_id, task.cpus) == (IMAGE, "eu-west-1", "mine", 2.0)
    assert (task.serializer, task.multiple_outputs, task.retries) == ("dill", True, 4)
    assert task.operator_name == "@task.ecr_docker"


def test_image_from_default_args() -> None:
    """Without parentheses, the image comes from default_args."""

    @ecr_docker_task
    def function() -> None: ...

    with DAG("dag", schedule=None, default_args={"image": IMAGE}):
        task: Any = function()
    assert task.operator.image == IMAGE


def test_template_fields() -> None:
    """Template fields are ours, DockerOperator's, and the function's arguments."""

    @ecr_docker_task(image=IMAGE)
    def function(one: int, two: int) -> None: ...

    task = operator_of(function, 1, two=2)
    assert set(task.template_fields) == {*EcrDockerOperator.template_fields, "op_args", "op_kwargs"}
    assert (task.op_args, task.op_kwargs) == ((1,), {"two": 2})


def test_expand() -> None:
    """Arguments can be mapped, and set with partial."""

    @ecr_docker_task(image=IMAGE, registry_id=ACCOUNT)
    def function(one: int, two: int) -> None: ...

    with DAG("dag", schedule=None):
        mapped: Any = function.partial(two=2).expand(one=[1, 2])
    task: Any = mapped.operator.unmap({"op_kwargs": {"one": 1, "two": 2}})
    assert EcrDockerOperator in type(task).__mro__
    assert (task.image, task.registry_id, task.op_kwargs) == (IMAGE, ACCOUNT, {"one": 1, "two": 2})


def test_bad_input_at_parse() -> None:
    """Invalid parameters fail when the DAG is parsed."""

    @ecr_docker_task(image=IMAGE, region_name="us-west-2")
    def function() -> None: ...

    with pytest.raises(EcrInputError, match="contradicts"):
        operator_of(function)


def test_source_by_function() -> None:
    """The container runs the function without the decorator, which is not installed there."""

    # fmt: off
    @ecr_docker_task(
        image=IMAGE,  # which ")" is
        environment={"NOT": "@ecr_docker_task("},
    )
    def function() -> str:
        return "@ecr_docker_task(image)"
    # fmt: on

    assert operator_of(function).get_python_source() == 'def function() -> str:\n    return "@ecr_docker_task(image)"\n'


def test_source_by_dotted_name() -> None:
    """The decorator is recognized by its last name."""

    @ecr_docker_operator.ecr_docker_task(image=IMAGE)
    def function() -> int:
        return 1

    assert operator_of(function).get_python_source() == "def function() -> int:\n    return 1\n"


aliased = ecr_docker_task
configured = ecr_docker_task(image=IMAGE)


def test_source_by_other_names() -> None:
    """The decorator is recognized under another name, and with parameters that were given before."""

    @aliased(image=IMAGE)
    def first() -> int:
        return 1

    @configured
    def second() -> int:
        return 2

    assert operator_of(first).get_python_source() == "def first() -> int:\n    return 1\n"
    assert operator_of(second).get_python_source() == "def second() -> int:\n    return 2\n"


def test_other_decorators_are_kept() -> None:
    """Other decorators are passed to the container, as with ``@task.docker``."""

    def other(function: Any) -> Any:
        return function

    @ecr_docker_task(image=IMAGE)
    @other
    def function() -> int:
        return 1

    assert operator_of(function).get_python_source() == "@other\ndef function() -> int:\n    return 1\n"


def test_provider_info_names_it() -> None:
    """The provider info registers the decorator under ``@task``."""
    assert get_provider_info()["task-decorators"] == [
        {"name": "ecr_docker", "class-name": f"{ecr_docker_operator.__name__}.{ecr_docker_task.__name__}"}
    ]
