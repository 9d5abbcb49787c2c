"""The combinations of versions that are tested together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One environment."""

    airflow: str
    python: str
    """The preferred Python version."""
    allowed: tuple[str, ...]
    """The Python versions that this Airflow supports, as alternatives."""
    provider: str = ""
    """Version of the docker provider; default: the newest compatible one. The same holds for the fields below."""
    amazon: str = ""
    docker: str = ""
    pins: tuple[tuple[str, str], ...] = ()
    """Requirement that holds a package back -> reason. Airflow's constraint files cannot be downloaded here."""

    @property
    def requirements(self) -> list[str]:
        """Requirements that pip installs beside this project."""
        wanted = {
            "apache-airflow": self.airflow,
            "apache-airflow-providers-docker": self.provider,
            "apache-airflow-providers-amazon": self.amazon,
            "docker": self.docker,
        }
        return [*(f"{name}=={version}" for name, version in wanted.items() if version), *(pin for pin, _ in self.pins)]


CELLS = (
    # The lowest versions that pyproject.toml allows.
    Cell(
        "2.11.0",
        "3.11",
        ("3.11", "3.12"),
        provider="4.5.0",
        amazon="9.0.0",
        docker="7.1.0",
        pins=(
            ("boto3==1.40.76", "the lowest that knows all of ECR's endpoints, where 1.34.90 would be allowed"),
            ("botocore==1.40.76", "likewise"),
        ),
    ),
    Cell("2.11.2", "3.12", ("3.11", "3.12")),
    Cell(
        "3.0.6",
        "3.12",
        ("3.11", "3.12"),
        pins=(("fastapi<0.117", "a later one refuses what Airflow's own client sends without a content type"),),
    ),
    Cell("3.1.8", "3.13", ("3.11", "3.12", "3.13")),
    Cell(
        "3.2.2",
        "3.11",
        ("3.11", "3.12", "3.13"),
        pins=(
            ("fastapi<0.137", "with a later one Airflow's own API does not start; 3.3.2 holds it back itself"),
            ("svcs<26", "a later one takes away what Airflow's own API finds its services with"),
        ),
    ),
    Cell("3.3.2", "3.13", ("3.11", "3.12", "3.13")),
)

# The tests that run in each cell, in the order of the table's columns.
RUNS = {
    # Types are checked with the newest versions only.
    "unit and contracts": ("tests/unit", "--deselect=tests/unit/test_house.py::test_habits"),
    "provider's own tests": ("tests/upstream",),
    "pull and run": ("tests/system/test_pull.py::test_one_token_for_one_pull",),
    "ways of a DAG": ("tests/system/test_ways.py", "tests/system/test_decorator.py"),
}
