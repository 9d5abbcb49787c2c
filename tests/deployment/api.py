"""The requests of tests to the API server."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = 60


def answers(url: str) -> bool:
    """Return whether a request to *url* succeeds."""
    try:
        _ask(urllib.request.Request(url))  # noqa: S310 - ours, like all here
    except OSError:
        return False
    return True


def trigger(url: str, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> None:
    """Trigger a DAG of Airflow 3; the API server at *url* treats everyone as an administrator."""
    token = json.loads(_ask(urllib.request.Request(f"{url}/auth/token")))["access_token"]  # noqa: S310
    body = json.dumps({"dag_run_id": run_id, "conf": conf, "logical_date": None}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    _ask(urllib.request.Request(f"{url}/api/v2/dags/{dag_id}/dagRuns", body, headers))  # noqa: S310


def _ask(request: urllib.request.Request) -> bytes:
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content
