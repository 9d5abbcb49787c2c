"""Requests to the Docker engine."""
