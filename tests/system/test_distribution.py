"""The distribution as a user gets it: built, checked, and installed in an empty environment."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.isolation import online
from tests.system.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# A user's DAG file; "error" is followed by mypy's expected message for that line.

pytestmark = pytest.mark.slow

DAG = """\
from airflow.sdk import DAG
from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrDockerSwarmOperator, EcrError, ecr_docker_task

with DAG("dag", schedule=None):
    EcrDockerOperator(
        task_id="fine",
        image="app:1",
        command="true",
        aws_conn_id=None,
        region_name="eu-west-1",
        registry_id="123456789012",
        verify=False,
        botocore_config={"connect_timeout": 1},
    )
    EcrDockerOperator(task_id="image", image=1)  # error: "image"
    EcrDockerOperator(task_id="no_image")  # error: Missing named argument "image"
    EcrDockerOperator(task_id="aws_conn_id", image="app", aws_conn_id=1)  # error: "aws_conn_id"
    EcrDockerOperator(task_id="region_name", image="app", region_name=1)  # error: "region_name"
    EcrDockerOperator(task_id="registry_id", image="app", registry_id=1)  # error: "registry_id"
    EcrDockerOperator(task_id="verify", image="app", verify=1.5)  # error: "verify"
    EcrDockerOperator(task_id="botocore_config", image="app", botocore_config=1)  # error: "botocore_config"
    EcrDockerHook(base_url="tcp://x", registry_host=1)  # error: "registry_host"
    EcrDockerSwarmOperator(task_id="service", image="app:1", args="true", service_prefix="x", region_name="eu-west-1")
    EcrDockerSwarmOperator(task_id="no_image_of_service")  # error: Missing named argument "image"
    EcrDockerSwarmOperator(task_id="registry", image="app", registry_id=1)  # error: "registry_id"

    @ecr_docker_task(image="app:1", serializer="dill", multiple_outputs=True)
    def function(number: int) -> dict[str, int]:
        return {"number": number}

    function(1)
    function(number="one")  # error: "number"
    function(1, 2)  # error: Too many arguments
    function.expand(number=[1, 2])
    function.override(task_id="other")(3)
    function.nonsense()  # error: "nonsense"
    problem: EcrError = "none"  # error: Incompatible types

from ecr_docker_operator import EcrDockerOperatr  # error: "EcrDockerOperatr"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build wheel and sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--installer=uv", "--outdir", str(folder), str(ROOT))
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel and mypy, with pinned versions, into an empty environment; return its programs."""
    environment = tmp_path_factory.mktemp("environment")
    python = environment / "bin" / "python"
    [wheel] = built.glob("*.whl")
    run(sys.executable, "-m", "uv", "venv", "--python", sys.executable, "--clear", str(environment))
    constraints = str(ROOT / "tests" / "requirements.txt")
    run(sys.executable, "-m", "uv", "pip", "install", "--python", str(python), "-c", constraints, str(wheel), "mypy")
    return python.parent


def run(*command: str, cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Run a command that must succeed, and return its output."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**online(), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_twine_check(built: Path) -> None:
    """Wheel and sdist are well-formed, and their description renders."""
    printed = run(sys.executable, "-m", "twine", "check", "--strict", *map(str, built.iterdir()))
    assert printed.count("PASSED") == 2


def test_wheel_holds_the_package_alone(built: Path) -> None:
    """The wheel contains the type marker, but no tests and no DAGs."""
    [wheel] = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"ecr_docker_operator"}
    assert "ecr_docker_operator/py.typed" in names


def test_sdist_holds_its_tests(built: Path, tmp_path: Path) -> None:
    """All tests are found in the unpacked sdist, and those that read the project's files pass there."""
    [sdist] = built.glob("*.tar.gz")
    run("tar", "-xf", str(sdist), "-C", str(tmp_path))
    [project] = tmp_path.iterdir()
    run(sys.executable, "-m", "pytest", "-q", "--collect-only", cwd=project)
    run(sys.executable, "-m", "pytest", "-q", "tests/unit/test_documents.py", "tests/unit/test_recipes.py", cwd=project)


def test_providers_list(installed: Path, tmp_path: Path) -> None:
    """Airflow lists the package among its providers."""
    printed = run(
        str(installed / "airflow"),
        "providers",
        "list",
        "--output",
        "plain",
        environment={"AIRFLOW_HOME": str(tmp_path)},
    )
    [line] = [line for line in printed.splitlines() if line.startswith("ecr-docker-operator ")]
    assert "DockerOperator for Amazon ECR" in line


def test_provider_info_imports_nothing(installed: Path) -> None:
    """Loading the provider info, as every Airflow process does, imports only this package."""
    program = (
        "import sys; before = set(sys.modules); from ecr_docker_operator.provider_info import get_provider_info; "
        "get_provider_info(); print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    allowed = set(sys.stdlib_module_names) | {"ecr_docker_operator"}
    assert set(run(str(installed / "python"), "-c", program).split()) <= allowed


def test_mypy_of_a_users_dag(installed: Path, tmp_path: Path) -> None:
    """``mypy --strict`` of a user's DAG against the installed wheel checks every parameter of ours."""
    (tmp_path / "dag.py").write_text(DAG)
    done = subprocess.run(
        [str(installed / "python"), "-m", "mypy", "--strict", "--no-color-output", "dag.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = {line.split(":")[1]: line for line in done.stdout.splitlines() if ": error: " in line}
    expected = {
        str(number): line.partition("# error: ")[2]
        for number, line in enumerate(DAG.splitlines(), 1)
        if "# error: " in line
    }
    assert errors.keys() == expected.keys(), done.stdout
    assert [number for number in expected if expected[number] not in errors[number]] == [], done.stdout
