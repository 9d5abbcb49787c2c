"""Cells: every supported version of Airflow, each in an environment of its own, with what is run in it.

``python -m tests.cells`` runs all of them, and prints what passed in each.
"""
