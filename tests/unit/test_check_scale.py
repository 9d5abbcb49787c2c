"""The check of a large deployment: calls to AWS, seconds and memory beside Airflow's own parse."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.memory_registry import MemoryRegistry
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stand.aws import Aws

FILES, TASKS, IMAGES, REPOSITORIES = 200, 5, 300, 40
REGISTRIES = [(ACCOUNT, REGION), (ACCOUNT, OTHER_REGION), (OTHER_ACCOUNT, REGION)]
SECONDS = 10
"""How many seconds of CPU the check may take beside the parse."""
FILE = """
from airflow import DAG
from ecr_docker_operator import EcrDockerOperator

with DAG({dag!r}, schedule=None):
    for number, image in enumerate({images!r}):
        EcrDockerOperator(task_id=f"task{{number}}", image=image)
"""
# Airflow's own parse, or the check, which includes it: seconds of CPU; and bytes at most at one time.
PARSE = """
import json, sys, time
from ecr_docker_operator.compat import read_dags, use_database
use_database()
start = time.process_time()
read_dags(sys.argv[1], lambda path: True, lambda dags, errors: None)
print()
print(json.dumps(time.process_time() - start))
"""
CHECK = """
import io, json, sys, time, tracemalloc
from resource import RUSAGE_CHILDREN, getrusage
from ecr_docker_operator.compat import use_database
use_database()
from ecr_docker_operator.check.report import run, write_table
if len(sys.argv) > 2:
    tracemalloc.start()
start = time.process_time()
out = io.StringIO()
result = run(sys.argv[1], out)
peak = tracemalloc.get_traced_memory()[1] if len(sys.argv) > 2 else 0
write_table(result, out, {True: "+", False: "x", None: "-"})
reading = getrusage(RUSAGE_CHILDREN)
seconds = time.process_time() - start + reading.ru_utime + reading.ru_stime
print()
print(json.dumps({"seconds": seconds, "peak": peak, "last": out.getvalue().splitlines()[-1]}))
"""


def measure(program: str, folder: Path, *options: str) -> Any:
    """Run *program* on *folder* in a process of its own, and return what it measured."""
    line = [sys.executable, "-c", program, str(folder), *options]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def write(folder: Path, registry: MemoryRegistry, files: int) -> None:
    """Write DAG files whose tasks name the images in turn."""
    folder.mkdir()
    names = []
    for number in range(IMAGES):
        repository = number % REPOSITORIES
        account, region = REGISTRIES[repository % len(REGISTRIES)]
        name = f"team{repository}:{number}"
        names.append(registry.add(name, account=account, region=region, admits=(ACCOUNT,)))
    for file in range(files):
        images = [names[(file * TASKS + task) % IMAGES] for task in range(TASKS)]
        (folder / f"dag{file}.py").write_text(FILE.format(dag=f"dag{file}", images=images))


@pytest.mark.slow
def test_large_deployment(aws: Aws, tmp_path: Path) -> None:
    """AWS is asked once for each repository and registry, not for each task, and the check takes seconds."""
    write(tmp_path / "dags", MemoryRegistry(aws), FILES)
    measured = measure(CHECK, tmp_path / "dags")
    counts = Counter(call.operation for call in aws.calls)
    assert counts == {
        "GetAuthorizationToken": len(REGISTRIES),
        "BatchGetImage": REPOSITORIES,
        "GetDownloadUrlForLayer": REPOSITORIES,
    }
    assert measured["last"] == (
        f"{FILES} DAGs, {FILES * TASKS} tasks with an image, {IMAGES} images in {REPOSITORIES} repositories: "
        f"{FILES * TASKS} can be pulled"
    )
    assert measured["seconds"] - measure(PARSE, tmp_path / "dags") < SECONDS


@pytest.mark.slow
def test_memory(aws: Aws, tmp_path: Path) -> None:
    """Three times as many tasks of the same images take hardly more memory beside Airflow's own."""
    registry = MemoryRegistry(aws)
    write(tmp_path / "few", registry, IMAGES // TASKS)
    write(tmp_path / "many", registry, 3 * IMAGES // TASKS)
    few, many = (measure(CHECK, tmp_path / name, "memory")["peak"] for name in ("few", "many"))
    assert many < 1.2 * few
