"""Functions that run in containers with images from Amazon ECR, through Airflow on the stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functions import needs_functions
from tests.stand.hosts import REGION
from tests.upstream.python_image import build_python

if TYPE_CHECKING:
    from tests.airflow_home import AirflowHome
    from tests.stand import Stand

pytestmark = pytest.mark.stand

RESULTS = {
    ("by_attribute", -1): ["python", 1, "two", {"three": [3]}],
    ("by_function", -1): "@ecr_docker_task(7)",
    ("by_dotted_name", -1): "dotted",
    ("by_cloudpickle", -1): 2,
    ("outputs", -1): {"one": 1, "two": 2},
    ("second_output", -1): "@ecr_docker_task(2)",
    ("templates", -1): "param",
    ("mapped", 0): 10,
    ("mapped", 1): 20,
    ("mapped_kwargs", 0): 12,
}


@needs_functions
def test_every_way(stand: Stand, test_dags: AirflowHome) -> None:
    """Both names, all serializers, several outputs, templates and mapping work with one pull and one token."""
    stand.push("python", image=build_python("dill", "cloudpickle"))
    run = test_dags.run("functions", stand.environment)
    assert run.succeeded, run.log
    # Versions of Airflow serialize a set differently.
    assert str([1, 2, 4]) in str(run.results.pop(("by_dill", -1)))
    assert run.results == RESULTS
    assert [call.region for call in stand.aws.token_calls()] == [REGION]


def test_without_credentials(stand: Stand, test_dags: AirflowHome) -> None:
    """If AWS denies the token, each task fails with an error that names the missing action."""
    stand.push("python", image=build_python("dill", "cloudpickle"))
    stand.worker.may_get_token = False
    run = test_dags.run("functions", stand.environment)
    assert set(run.states.values()) == {"failed", "upstream_failed"}
    # Airflow 3.0 wraps its log lines.
    log = " ".join(run.log.split())
    assert f"User: {stand.worker.arn} is not authorized to perform: ecr:GetAuthorizationToken" in log
