"""The differences that are allowed between the provider's classes and ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.upstream.suite import Record

ALLOWED: dict[str, str] = {}
"""Tests that fail only with our classes -> why that is right. Currently none."""

SKIPPED = {
    "test_advanced_serializer_not_installed[dill]": "is for environments without dill, which Airflow brings along",
    "test_advanced_serializer_not_installed[cloudpickle]": "is for environments without cloudpickle",
}
"""Tests of the provider that skip themselves -> why."""


def assert_whole(plain: Record, *, at_least: int) -> None:
    """Assert that the provider's tests ran with the provider's classes, and all passed."""
    failed = [plain.reasons[test] for test in sorted(plain.having("failed"))]
    assert failed == [], "\n\n".join(failed)
    skipped = {test for test in plain.having("skipped") if test.rpartition("::")[2] not in SKIPPED}
    assert skipped == set(), f"skipped for reasons that nobody has looked at: {sorted(skipped)}"
    assert len(plain.having("passed")) >= at_least


def assert_same(swapped: Record, plain: Record) -> None:
    """Assert that each test had the same outcome with our classes as with the provider's."""
    changed = {
        test: f"was {plain.outcomes.get(test)}, is {swapped.outcomes.get(test)}\n{swapped.reasons.get(test, '')}"
        for test in plain.outcomes | swapped.outcomes
        if plain.outcomes.get(test) != swapped.outcomes.get(test) and test not in ALLOWED
    }
    assert changed == {}, "\n\n".join(f"{test}: {change}" for test, change in changed.items())
    assert ALLOWED.keys() <= swapped.having("failed"), "These no longer fail, so they are allowed no longer."
