"""One test of ours among the provider's, to check that its call to AWS is counted."""

from __future__ import annotations

from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.engine.logins import EcrAuthConfig


def test_a_login_asks_aws() -> None:
    """A login that docker-py requests comes from the API that the environment points to."""
    logins = EcrAuthConfig({}, identity=AwsIdentity(aws_conn_id=None))

    login = logins.resolve_authconfig("123456789012.dkr.ecr.eu-west-1.amazonaws.com")

    assert login is not None
    assert login["username"] == "AWS"
