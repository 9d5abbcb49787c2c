"""Why this project exists: tokens expire, and a stored connection expires with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.airflow_home import AirflowHome
    from tests.stand import Stand

pytestmark = pytest.mark.stand

TWO_SECONDS = 2.0


def test_ten_pulls_with_tokens_that_live_until_the_next(stand: Stand, test_dags: AirflowHome) -> None:
    """Ten pulls in a row succeed, each with a new token, though the earlier ones have expired."""
    stand.aws.at_call = stand.aws.end_tokens
    image = stand.push("ten", "1")
    run = test_dags.run("fresh_tokens", {**stand.environment, "ECR_IMAGE": image})
    assert run.succeeded, run.log
    assert list(run.states.values()) == ["success"] * 10
    assert len(stand.aws.token_calls()) == 10
    requests = [request for request in stand.registry.requests if "/manifests/" in request.path]
    sent = [request.token for request in requests if request.token]
    assert all(token.expires_at for token in sent), "an expired token was sent"
    assert list(dict.fromkeys(token.password for token in sent)) == [token.password for token in stand.aws.tokens]
    assert [token.expires_at == 0 for token in stand.aws.tokens] == [True] * 9 + [False]
    # containerd asks for the manifest without a login first.
    assert all(request.token for request in requests) is not stand.kind.containerd_store


def test_ten_pulls_with_a_stored_connection(stand: Stand, test_dags: AirflowHome) -> None:
    """The same pulls by DockerOperator succeed until the stored token expires, and then fail."""
    image = stand.push("ten", "2")
    host = image.partition("/")[0]
    token = stand.aws.issue("ecr", "eu-west-1", stand.worker)
    environment = {
        **stand.environment,
        "ECR_IMAGE": image,
        "AIRFLOW_CONN_ECR": f"docker://AWS:{token.password}@{host}",
    }
    run = test_dags.run("stored_connection", environment)
    assert run.succeeded, run.log

    stand.aws.lifetime = TWO_SECONDS
    token = stand.aws.issue("ecr", "eu-west-1", stand.worker)
    environment["AIRFLOW_CONN_ECR"] = f"docker://AWS:{token.password}@{host}"
    run = test_dags.run("stored_connection", environment)
    assert not run.succeeded
    assert "failed" in run.states.values()
    assert "login attempt to" in run.log
