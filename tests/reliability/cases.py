"""All cases, under the headings of the table in tests/README.md."""

from __future__ import annotations

from tests.reliability import engine_cases, identity_cases, registry_cases, token_cases

CASES = {
    "AWS identity": identity_cases.CASES,
    "token call": token_cases.CASES,
    "registry": registry_cases.CASES,
    "engine and container": engine_cases.CASES,
}
