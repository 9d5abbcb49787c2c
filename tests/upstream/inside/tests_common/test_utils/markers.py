"""Markers of the provider's tests."""

import pytest

# "Lowest dependencies" refers to a build of Airflow's own repository, never to this environment.
skip_if_force_lowest_dependencies_marker = pytest.mark.skipif(condition=False, reason="never")
