"""Cells: every supported version of Airflow in a separate environment, with the tests that run in it.

``python -m tests.cells`` runs all cells and prints their results.
"""
