"""What must be the same with our classes in the provider's place, and what may differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.upstream.suite import Record

ALLOWED: dict[str, str] = {}
"""Tests that fail with our classes alone -> why that is right. None does."""

SKIPPED = {
    "test_advanced_serializer_not_installed[dill]": "is for environments without dill, which Airflow brings along",
    "test_advanced_serializer_not_installed[cloudpickle]": "is for environments without cloudpickle",
}
"""Tests of the provider's that skip themselves -> why."""


def assert_whole(plain: Record, *, at_least: int) -> None:
    """Assert that the provider's tests ran with the provider's classes, and all passed."""
    failed = [plain.reasons[test] for test in sorted(plain.having("failed"))]
    assert failed == [], "\n\n".join(failed)
    skipped = {test for test in plain.having("skipped") if test.rpartition("::")[2] not in SKIPPED}
    assert skipped == set(), f"skipped for reasons that nobody has looked at: {sorted(skipped)}"
    assert len(plain.having("passed")) >= at_least


def assert_same(swapped: Record, plain: Record) -> None:
    """Assert that each test ended with our classes as it did with the provider's."""
    changed = {
        test: f"was {plain.outcomes.get(test)}, is {swapped.outcomes.get(test)}\n{swapped.reasons.get(test, '')}"
        for test in plain.outcomes | swapped.outcomes
        if plain.outcomes.get(test) != swapped.outcomes.get(test) and test not in ALLOWED
    }
    assert changed == {}, "\n\n".join(f"{test}: {change}" for test, change in changed.items())
    assert ALLOWED.keys() <= swapped.having("failed"), "These no longer fail, so they are allowed no longer."
