"""Marks of the provider's tests."""

import pytest

# Their "lowest dependencies" are a build of Airflow's own repository, never what is installed here.
skip_if_force_lowest_dependencies_marker = pytest.mark.skipif(condition=False, reason="never")
