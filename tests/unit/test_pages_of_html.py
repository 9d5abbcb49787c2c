"""Pages of HTML in answers: a proxy's, a login page's, a load balancer's. An error shows only their title or words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ecr_docker_operator import EcrDockerHook, EcrTokenError
from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.aws.token import fetch_credentials
from ecr_docker_operator.ecr.registry import EcrRegistry
from ecr_docker_operator.errors import EcrEngineError
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from tests.recording_engine import RecordingEngine

PAGE = """<!DOCTYPE html>
<html><head><style>p { color: red }</style><TITLE class="x">Log in &amp;
  go on</TITLE><script>var token = "x";</script></head><body><p>Please</p></body></html>
"""
NOT_AWS = "Check what answers in place of AWS: a proxy, a login page, or the endpoint URL if one is configured."


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (PAGE, "a page of HTML: Log in & go on."),
        ("<html><body><h1>403</h1>Forbidden by rule 7", "a page of HTML: 403 Forbidden by rule 7."),
        ("<html></html>", "a page of HTML: without words."),
        ("<html><title></title><body>Blocked</body></html>", "a page of HTML: Blocked."),
        (f'error parsing response body: "{PAGE}"', "error parsing response body: a page of HTML: Log in & go on."),
        (f"<html>{'very ' * 1000}long", f"a page of HTML: {('very ' * 60).strip()}…"),
        ("a < b and c > d", "a < b and c > d."),
        ("<code>AccessDenied</code>", "<code>AccessDenied</code>."),
    ],
)
def test_words_of_a_page(answer: str, sentence: str) -> None:
    """A page is replaced by its title, else by its first words; what is no page stays."""
    assert str(EcrEngineError.lost("x", answer)).startswith(
        f"x: the connection to the Docker engine was lost. {sentence}"
    )


@pytest.mark.parametrize("status", [200, 302, 403, 404, 407, 511])
@pytest.mark.parametrize("host", [f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com", "public.ecr.aws"])
def test_page_in_place_of_aws(host: str, status: int, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers in place of AWS is named as such."""
    engine.answers["/"] = (status, PAGE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", engine.url.replace("tcp", "http"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    registry = EcrRegistry.parse(host)
    assert registry
    with pytest.raises(EcrTokenError) as caught:
        fetch_credentials(registry, AwsIdentity(None, None, {"retries": {"total_max_attempts": 1}}))
    assert "<" not in str(caught.value)
    assert str(caught.value).endswith(NOT_AWS) or status > 500


def test_page_in_place_of_the_engine(engine: RecordingEngine) -> None:
    """The same holds for a server in place of the engine."""
    engine.answers["/version"] = (502, PAGE)
    with pytest.raises(EcrEngineError, match=r"not connected to the Docker engine\. a page of HTML: Log in & go on\."):
        EcrDockerHook(base_url=engine.url).get_conn()
