"""A failed container's error says why, if the engine knows; only for images in Amazon ECR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.docker.exceptions import DockerContainerFailedException, DockerContainerFailedSkipException

from ecr_docker_operator import EcrDockerOperator

if TYPE_CHECKING:
    from tests.stand import Stand

pytestmark = pytest.mark.stand

HOG = {"command": ["sh", "-c", "while true; do x=x$x$x; done"], "mem_limit": "8m"}


def run(image: str, **parameters: Any) -> Any:
    """Run a task on the stand."""
    return EcrDockerOperator(task_id="task", image=image, **parameters).execute({})


def test_image_that_is_not_on_ecr(stand: Stand) -> None:
    """For an image outside Amazon ECR, the error is DockerOperator's."""
    image = stand.push("hog")
    run(image)
    stand.engine.client.tag(image, "hog", "local")
    with pytest.raises(DockerContainerFailedException) as caught:
        run("hog:local", **HOG)
    assert "Message" not in str(caught.value)
    with pytest.raises(DockerContainerFailedException, match="the container was killed"):
        run(image, **HOG)


def test_skip_on_the_exit_code(stand: Stand) -> None:
    """A known reason does not change which exit codes skip a task."""
    with pytest.raises(DockerContainerFailedSkipException):
        run(stand.push("skipped"), skip_on_exit_code=137, **HOG)


def test_other_exit_codes(stand: Stand) -> None:
    """A program that fails by itself fails as under DockerOperator."""
    with pytest.raises(DockerContainerFailedException) as caught:
        run(stand.push("failing"), command=["sh", "-c", "exit 3"])
    assert "'StatusCode': 3" in str(caught.value)
    assert "Message" not in str(caught.value)
