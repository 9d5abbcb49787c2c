"""The check of all DAGs: which tasks it finds, what it asks AWS, and what it says."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from ecr_docker_operator.check.cli import MARKS
from ecr_docker_operator.check.dags import ELSEWHERE, LATER, PULLED, REFUSED, UNKNOWN
from ecr_docker_operator.check.report import SHOWN, Report, run, write_json, write_table
from ecr_docker_operator.compat import file_timeout
from tests.memory_registry import SIZE, MemoryRegistry
from tests.stand.aws import AwsError
from tests.stand.hosts import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION

if TYPE_CHECKING:
    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
OTHER_HOST = f"{OTHER_ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
USING = Path(__file__).parents[2] / "dags" / "README.md"
SECONDS = 20
"""How long an interrupted process may take to end."""
HEAD = """
try:
    from airflow.sdk import BaseOperator, task, task_group
except ImportError:  # Airflow 2
    from airflow.decorators import task, task_group
    from airflow.models import BaseOperator
from airflow import DAG
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.providers.docker.operators.docker_swarm import DockerSwarmOperator
from ecr_docker_operator import EcrDockerOperator, EcrDockerSwarmOperator, ecr_docker_task
HOST, OTHER_HOST = {HOST!r}, {OTHER_HOST!r}
with DAG({dag!r}, schedule=None):
"""
WAYS = """
    DockerOperator(task_id="plain", image=f"{HOST}/app:1")
    EcrDockerOperator(task_id="ours", image=f"{HOST}/app:1")
    EcrDockerOperator(task_id="short", image="app:2", registry_id=HOST[:12], region_name="eu-west-1")
    DockerSwarmOperator(task_id="swarm", image=f"{HOST}/app:3")
    EcrDockerSwarmOperator(task_id="our_swarm", image=f"{HOST}/app:3")
    EcrDockerOperator.partial(task_id="mapped", image=f"{HOST}/app:1").expand(command=["a", "b"])
    EcrDockerOperator.partial(task_id="fan_out").expand(image=[f"{HOST}/app:1", "busybox"])
    EcrDockerOperator.partial(task_id="kwargs").expand_kwargs([{"image": f"{HOST}/app:4", "aws_conn_id": None}])

    class Own(EcrDockerOperator):
        pass

    Own(task_id="own", image=f"{HOST}/app:1")

    @task.docker(image=f"{HOST}/python:1")
    def function(): ...

    @task.ecr_docker(image=f"{HOST}/python:1")
    def our_function(): ...

    @ecr_docker_task(image=f"{HOST}/python:1")
    def typed(number): ...

    @task_group
    def group(command):
        EcrDockerOperator(task_id="inside", image=f"{HOST}/app:1", command=command)

    function()
    our_function()
    typed.expand(number=[1, 2])
    group.expand(command=["a", "b"])
"""
FOUND = {
    ("plain", f"{HOST}/app:1", False),
    ("ours", f"{HOST}/app:1", True),
    ("short", f"{HOST}/app:2", True),
    ("swarm", f"{HOST}/app:3", False),
    ("our_swarm", f"{HOST}/app:3", True),
    ("mapped", f"{HOST}/app:1", True),
    ("fan_out", f"{HOST}/app:1", True),
    ("fan_out", "busybox", True),
    ("kwargs", f"{HOST}/app:4", True),
    ("own", f"{HOST}/app:1", True),
    ("function", f"{HOST}/python:1", False),
    ("our_function", f"{HOST}/python:1", True),
    ("typed", f"{HOST}/python:1", True),
    ("group.inside", f"{HOST}/app:1", True),
}


@pytest.fixture
def registry(aws: Aws) -> MemoryRegistry:
    """Provide registries, which AWS's API knows."""
    return MemoryRegistry(aws)


def dag(folder: Path, body: str, name: str = "dag") -> None:
    """Write a DAG file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(HEAD.format(dag=name, HOST=HOST, OTHER_HOST=OTHER_HOST) + body)


def ours(*images: str) -> str:
    """Return tasks of EcrDockerOperator, one for each image."""
    return "".join(f"    EcrDockerOperator(task_id='t{n}', image={image!r})\n" for n, image in enumerate(images))


def check(folder: Path, **engine: Any) -> tuple[Report, list[str]]:
    """Check the DAGs of a folder, and return the result and its table."""
    report, out = run(str(folder), io.StringIO(), **engine), io.StringIO()
    write_table(report, out, MARKS)
    return report, out.getvalue().splitlines()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    line = [sys.executable, "-m", "ecr_docker_operator", "check", "--dags", *arguments]
    return subprocess.run(line, capture_output=True, text=True, encoding="utf-8", check=False)


def states(report: Report) -> dict[str, str]:
    """Return the state of each image."""
    return {image.name: image.state for image in report.found.images}


def calls(aws: Aws) -> Counter[str]:
    """Return how often each operation was called."""
    return Counter(call.operation for call in aws.calls)


@pytest.mark.usefixtures("registry")
def test_every_way(tmp_path: Path) -> None:
    """Every kind of task that runs an image is found, and whether it logs in by itself."""
    dag(tmp_path, WAYS)
    report, _ = check(tmp_path)
    assert report.found.import_errors == {}
    assert {(task.task_id, task.image.name, task.logs_in) for task in report.found.tasks} == FOUND
    assert states(report)["busybox"] == ELSEWHERE


@pytest.mark.usefixtures("registry")
def test_known_when_it_runs(tmp_path: Path) -> None:
    """An image or an identity that a template or another task gives is listed with it, and is no failure."""
    template = "{{ params.image }}"
    body = f"""
    @task
    def names():
        return []

    EcrDockerOperator(task_id="templated", image={template!r})
    EcrDockerOperator(task_id="other", image=f"{{HOST}}/app:1", aws_conn_id={template!r})
    EcrDockerOperator.partial(task_id="mapped").expand(image=names())
    EcrDockerOperator.partial(task_id="kwargs").expand_kwargs(names())

    @task_group
    def group(image):
        EcrDockerOperator(task_id="inside", image=image)

    group.expand(image=["a", "b"])
"""
    dag(tmp_path, body)
    report, lines = check(tmp_path)
    texts = {task.task_id: task.image.text for task in report.found.tasks}
    assert report.ok
    assert {image.state for image in report.found.images} == {LATER}
    assert texts["templated"] == f"image is {template}"
    assert texts["other"] == f"aws_conn_id is {template}"
    assert "xcom_pull" in texts["mapped"]
    assert "xcom_pull" in texts["kwargs"]
    assert texts["group.inside"].startswith("image is ")
    assert any(template in line and LATER in line for line in lines)


def test_each_image_is_asked_once(registry: MemoryRegistry, tmp_path: Path) -> None:
    """A token for each registry and identity, and two calls for each repository, however many tasks and names."""
    images = [registry.add(f"app:{number}") for number in range(120)]
    images += [registry.add("etl:1"), registry.add("etl:1", region=OTHER_REGION)]
    for name in "abc":
        dag(
            tmp_path,
            ours(*images, images[0].replace(".dkr.ecr.", ".dkr-ecr.").replace("amazonaws.com", "on.aws")),
            name,
        )
    report, lines = check(tmp_path)
    assert set(states(report).values()) == {PULLED}
    assert len(report.found.tasks) == 3 * 123
    assert calls(registry.aws) == {"GetAuthorizationToken": 2, "BatchGetImage": 4, "GetDownloadUrlForLayer": 3}
    assert lines[-1] == "3 DAGs, 369 tasks with an image, 123 images in 4 repositories: 369 can be pulled"
    assert {image.answer.size for image in report.found.images if image.answer} == {SIZE}


def test_refusals(registry: MemoryRegistry, tmp_path: Path) -> None:
    """A refusal is reported first, in the task's own words, and all other images are still checked."""
    good = registry.add("app:1")
    missing = f"{HOST}/app:2"
    not_admitted = registry.add("shared:1", account=OTHER_ACCOUNT)
    admitted = registry.add("open:1", account=OTHER_ACCOUNT, admits=(ACCOUNT,))
    invalid = f"{HOST}/App:1"
    dag(tmp_path, ours(good, missing, not_admitted, admitted) + '    DockerOperator(task_id="bad", image="a b")\n')
    dag(tmp_path, ours(invalid), "invalid")
    report, lines = check(tmp_path)
    texts = {image.name: image.text for image in report.found.images}
    assert states(report) == {
        good: PULLED,
        missing: REFUSED,
        not_admitted: REFUSED,
        admitted: PULLED,
        "a b": REFUSED,
    }
    assert texts[missing].startswith(f"{missing}: not pulled from Amazon ECR registry {ACCOUNT} in {REGION} for ")
    assert texts[missing].endswith(
        "Requested image not found (ImageNotFound). Check the tag or digest; a lifecycle policy may have removed the "
        "image."
    )
    assert "because no resource-based policy allows the ecr:BatchGetImage action" in texts[not_admitted]
    assert texts["a b"] == "image: expected a name such as 'repository:tag', got 'a b'."
    # What fails when the DAG is parsed is an import error, as in Airflow.
    [(path, error)] = report.found.import_errors.items()
    assert path == str(tmp_path / "invalid.py")
    assert "has the repository name 'App'" in error
    assert [line[0] for line in lines[:5]] == ["✗", " ", "✗", " ", "✗"]
    assert not report.ok


def test_layers_are_refused(registry: MemoryRegistry, tmp_path: Path) -> None:
    """An identity that may read manifests, but not layers, cannot pull any image of the repository."""
    images = [registry.add("app:1"), registry.add("app:2", platforms=("linux/arm64",))]
    registry.not_allowed.add("ecr:GetDownloadUrlForLayer")
    dag(tmp_path, ours(*images, f"{HOST}/app:3"))
    report, _ = check(tmp_path)
    assert states(report) == {**dict.fromkeys(images, REFUSED), f"{HOST}/app:3": REFUSED}
    texts = {image.name: image.text for image in report.found.images}
    assert all("ecr:GetDownloadUrlForLayer" in texts[image] for image in images)
    assert "(ImageNotFound)" in texts[f"{HOST}/app:3"]


@pytest.mark.parametrize(
    ("rules", "state", "words"),
    [
        (None, UNKNOWN, "(RepositoryNotFoundException)"),
        ([], REFUSED, "(RepositoryNotFoundException)"),
        (["hub"], REFUSED, "(RepositoryNotFoundException)"),
        (["hub", "docker-hub"], UNKNOWN, "not pulled yet through the pull-through cache 'docker-hub'"),
        (["ROOT"], UNKNOWN, "not pulled yet through the pull-through cache 'ROOT'"),
    ],
    ids=["not-allowed", "none", "another", "this", "root"],
)
def test_pull_through_cache(
    rules: list[str] | None, *, state: str, words: str, registry: MemoryRegistry, tmp_path: Path
) -> None:
    """A missing repository may come with its first pull through a cache; AWS's rules say so, if they can be read."""
    if rules is not None:
        registry.manifests.caches[ACCOUNT] = rules
    images = [f"{HOST}/docker-hub/{name}:1" for name in ("python", "ruby")]
    dag(tmp_path, ours(*images))
    report, _ = check(tmp_path)
    assert states(report) == dict.fromkeys(images, state)
    assert all(words in image.text for image in report.found.images)
    assert report.ok is (state == UNKNOWN)
    assert calls(registry.aws)["DescribePullThroughCacheRules"] == max(1, len(rules or ()))


def test_one_sentence_for_each_identity(
    registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An identity that gets no token is one sentence, not one for each task; others go on."""
    key, secret = "AKIAWRONG", "x"
    monkeypatch.setenv("AIRFLOW_CONN_TEAM", json.dumps({"conn_type": "aws", "login": key, "password": secret}))
    images = [registry.add(f"app:{number}") for number in range(3)]
    body = ours(*images) + "".join(
        f"    EcrDockerOperator(task_id='team{n}', image={image!r}, aws_conn_id='team')\n"
        for n, image in enumerate(images)
    )
    body += f"    EcrDockerOperator(task_id='nobody', image={images[0]!r}, aws_conn_id='nobody')\n"
    dag(tmp_path, body)
    report, lines = check(tmp_path)
    assert Counter(image.state for image in report.found.images) == {PULLED: 4, REFUSED: 3}
    [sentence] = [line for line in lines if "no authorization token for AWS connection 'team'" in line]
    assert "The security token included in the request is invalid" in sentence
    assert [line for line in lines if "'nobody'" in line] == [
        f"· Amazon ECR registry {ACCOUNT} in {REGION}: asked by AWS connection 'nobody' (not found, so the worker's "
        "own AWS credentials)"
    ]


def test_aws_fails(registry: MemoryRegistry, tmp_path: Path) -> None:
    """A repository that AWS does not answer about is not known; the others are."""
    good, bad = registry.add("app:1"), registry.add("bad:1")
    answer = registry.aws.operations["BatchGetImage"]

    def fails(parameters: Any, *rest: Any) -> Any:
        if parameters["repositoryName"] == "bad":
            raise AwsError(400, "StrangeException", "It failed")
        return answer(parameters, *rest)

    registry.aws.operations["BatchGetImage"] = fails
    dag(tmp_path, ours(good, bad))
    report, lines = check(tmp_path)
    assert states(report) == {good: PULLED, bad: UNKNOWN}
    assert any("AWS gave no answer about its images to " in line and "StrangeException" in line for line in lines)
    assert report.ok


def test_strange_answer(registry: MemoryRegistry, tmp_path: Path) -> None:
    """Names of one image that AWS merges into one answer are asked again, one by one."""
    images = [registry.add("app:1"), registry.add("app:2")]
    answer = registry.aws.operations["BatchGetImage"]
    registry.aws.operations["BatchGetImage"] = lambda parameters, *rest: answer(
        {**parameters, "imageIds": parameters["imageIds"][:1]}, *rest
    )
    dag(tmp_path, ours(*images))
    report, _ = check(tmp_path)
    assert states(report) == dict.fromkeys(images, PULLED)
    assert calls(registry.aws)["BatchGetImage"] == 2


def test_files_that_do_not_import(registry: MemoryRegistry, tmp_path: Path) -> None:
    """A broken file is listed with its error, also if it ends the process, and the rest goes on."""
    dag(tmp_path, ours(registry.add("app:1")))
    dag(tmp_path, "    raise SystemExit('enough')\n", "ends")
    (tmp_path / "broken.py").write_text("# airflow DAG\nfrom nowhere import RefreshEcrDockerConnectionOperator\n")
    (tmp_path / "syntax.py").write_text("# airflow DAG\nif\n")
    report, lines = check(tmp_path)
    assert set(report.found.import_errors) == {str(tmp_path / f"{name}.py") for name in ("ends", "broken", "syntax")}
    assert f"✗ {tmp_path}/broken.py: not imported. ModuleNotFoundError: No module named 'nowhere'" in lines
    assert (
        f"- {tmp_path}/broken.py: this file does not import, and uses RefreshEcrDockerConnectionOperator, which only "
        "refreshes a login: remove it."
    ) in lines
    assert not report.ok
    assert lines[-1].endswith("1 can be pulled, 3 files not imported")


def with_head(folder: Path, name: str, head: str, body: str) -> Path:
    """Write a DAG file that begins with *head*, and return its path."""
    dag(folder, body, name)
    path = folder / f"{name}.py"
    path.write_text(f"{head}\n{path.read_text()}")
    return path


HELD = "import os, time\nif not os.fork():\n    time.sleep(600)\n"
THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
ENDLESS = "while True:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass\n"
UNREADABLE = "class Odd:\n    __class__ = property(lambda self: 1 / 0)\nodd = Odd()"


def check_broken(registry: MemoryRegistry, folder: Path, head: str) -> str:
    """Check a folder whose second file of three begins with *head*, and return what is said of that file."""
    images = [registry.add(f"app:{number}") for number in range(3)]
    for number, image in enumerate(images):
        dag(folder, ours(image), f"dag{number}")
    path = with_head(folder, "dag1", head, ours(images[1]))
    report, lines = check(folder)
    assert states(report) == {images[0]: PULLED, images[2]: PULLED}
    assert not report.ok
    (line,) = [line for line in lines if line.startswith("✗")]
    return line.removeprefix(f"✗ {path}: not imported. ")


@pytest.mark.parametrize(
    ("head", "how"),
    [
        ("import os\nos._exit(0)", "It ended the process that read it (status 0)."),
        ("import os\nos.kill(os.getpid(), 9)", "It ended the process that read it (signal SIGKILL)."),
        ("import os\nos.kill(os.getpid(), 40)", "It ended the process that read it (signal 40)."),
        (f"{HELD}os._exit(3)", "It ended the process that read it (status 3)."),
        (f"{THREAD}raise KeyboardInterrupt", "KeyboardInterrupt"),
        (UNREADABLE, "ZeroDivisionError: division by zero"),
    ],
)
def test_file_that_breaks_off(registry: MemoryRegistry, tmp_path: Path, head: str, how: str) -> None:
    """It is listed like a file that does not import, and the files before and after it are read."""
    assert check_broken(registry, tmp_path, head) == how


@pytest.mark.slow
@pytest.mark.parametrize("head", [f"import time\n{ENDLESS}", "import ctypes\nctypes.string_at(0)"])
def test_file_that_does_not_end(
    registry: MemoryRegistry, tmp_path: Path, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up after Airflow's own limit.

    From Airflow 3 on, a handler of the signal for a bad address lets the program go on, with the same.
    """
    option, _ = file_timeout()
    section, name = option.strip("[").split("] ")
    monkeypatch.setenv(f"AIRFLOW__{section}__{name}".upper(), "10")
    assert check_broken(registry, tmp_path, head) in (
        f"It took longer than 10 s ({option}).",
        "It ended the process that read it (signal SIGSEGV).",
    )


def test_file_that_copies_the_process(registry: MemoryRegistry, tmp_path: Path) -> None:
    """What a DAG file starts reads no file, and does not outlive the check."""
    images = [registry.add(f"app:{number}") for number in range(3)]
    mark = tmp_path / "started"
    fork = "import os, pathlib, time\ncopy = os.fork()\n"
    sleep = f"if copy:\n    pathlib.Path({str(mark)!r}).write_text(str(copy))\nelse:\n    time.sleep(600)\n"
    dag(tmp_path, ours(images[0]), "dag0")
    with_head(tmp_path, "dag1", fork, ours(images[1]))
    with_head(tmp_path, "dag2", f"{fork}{sleep}", ours(images[2]))
    report, _ = check(tmp_path)
    assert report.found.import_errors == {}
    assert len(report.found.tasks) == 3
    assert states(report) == dict.fromkeys(images, PULLED)
    deadline = time.monotonic() + SECONDS
    while not has_ended(int(mark.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def has_ended(process: int) -> bool:
    """Return whether a process has ended, even if nobody has asked for its status yet."""
    try:
        return bool(psutil.Process(process).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("odd", ["__str__", "__repr__", "__eq__"])
def test_task_that_cannot_be_read(registry: MemoryRegistry, tmp_path: Path, odd: str) -> None:
    """Where a parameter raises an error as soon as it is looked at, the other tasks of the file are read."""
    image = registry.add("app:1")
    head = f"class Odd:\n    def {odd}(self, *_):\n        raise KeyError('hunter2')\n"
    body = f"    DockerOperator(task_id='odd', image=Odd(), docker_url=Odd(), docker_conn_id=Odd())\n{ours(image)}"
    with_head(tmp_path, "dag", head, body)
    report, lines = check(tmp_path)
    assert len(report.found.tasks) == 2
    assert states(report)[image] == PULLED
    assert "hunter2" not in "".join(lines)


def test_values_of_a_task_group(registry: MemoryRegistry, tmp_path: Path) -> None:
    """What a mapped task group is given is not shown: it may hold a password."""
    body = f"""
    @task_group
    def team(image, password):
        DockerOperator(task_id="run", image=image, environment={{"PASSWORD": password}})

    team.expand(image=[{registry.add("app:1")!r}], password=["hunter2"])
    team.override(group_id="more").expand_kwargs([{{"image": "app:1", "password": "hunter2"}}])
"""
    dag(tmp_path, body)
    report, lines = check(tmp_path)
    assert [image.state for image in report.found.images] == [LATER]
    assert any("image is what its task group is mapped over" in line for line in lines)
    out = io.StringIO()
    write_json(report, out)
    assert "hunter2" not in f"{lines}{out.getvalue()}"


def test_relative_folder(registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder may be given relative to the current one."""
    images = {f"team{number}": registry.add(f"app:{number}") for number in range(2)}
    for team, image in images.items():
        head = "import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\nfrom common import names\n"
        with_head(tmp_path / "dags" / team, team, head, "    EcrDockerOperator(task_id='t', image=names.IMAGE)\n")
        # A package without __init__.py.
        (tmp_path / "dags" / team / "common").mkdir()
        (tmp_path / "dags" / team / "common" / "names.py").write_text(f"IMAGE = {image!r}\n")
    (tmp_path / "dags" / "bad.py").write_text("# airflow DAG\nimport RefreshEcrDockerConnectionOperator\n")
    monkeypatch.chdir(tmp_path)
    report, lines = check(Path("dags"))
    assert {task.dag_id: task.image.name for task in report.found.tasks} == images
    assert list(report.found.import_errors) == [str(tmp_path / "dags" / "bad.py")]
    assert any("bad.py: this file does not import, and uses RefreshEcrDocker" in line for line in lines)


def test_current_folder_that_is_gone(registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check may start in a folder that somebody removed."""
    image = registry.add("app:1")
    dag(tmp_path / "dags", ours(image))
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    report, _ = check(tmp_path / "dags")
    assert states(report) == {image: PULLED}


def test_errors_of_several_lines(tmp_path: Path) -> None:
    """Of an error, the exception and its whole message are shown, without the traceback."""
    for name, error in {
        "lines": "ValueError('one\\ntwo')",
        "group": "ExceptionGroup('both', [KeyError('a'), ValueError('b')])",
    }.items():
        (tmp_path / f"{name}.py").write_text(f"# airflow DAG\nraise {error}\n")
    _, lines = check(tmp_path)
    assert f"✗ {tmp_path}/lines.py: not imported. ValueError: one two" in lines
    assert f"✗ {tmp_path}/group.py: not imported. ValueError: b" in lines


def test_file_that_starts_a_thread(registry: MemoryRegistry, tmp_path: Path) -> None:
    """The check does not wait for what a file leaves running, nor run what it registered for the end."""
    image = registry.add("app:1")
    mark = tmp_path / "ran"
    head = f"import atexit, pathlib\n{THREAD}atexit.register(pathlib.Path({str(mark)!r}).touch)\n"
    with_head(tmp_path, "dag", head, ours(image))
    done = command(str(tmp_path), "--json")
    assert [each["state"] for each in json.loads(done.stdout)["images"]] == [PULLED]
    assert not mark.exists()


def test_kinds_of_text_of_ones_own(registry: MemoryRegistry, tmp_path: Path) -> None:
    """A file's own class of texts is taken as text; what the check cannot know outside of the file is said."""
    image = registry.add("app:1")
    names = f"import enum\nclass Name(str, enum.Enum):\n    APP = {image!r}\n    EMPTY = ''\n"
    body = "    EcrDockerOperator(task_id='t', image=Name.APP, aws_conn_id=Name.EMPTY, botocore_config=Config())\n"
    with_head(tmp_path, "named", f"{names}class Config(dict): pass\n", body)
    odd = f"    EcrDockerOperator(task_id='t', image={image!r}, botocore_config={{'user_agent': Odd()}})\n"
    with_head(tmp_path, "odd", "class Odd: pass\n", odd)
    report, lines = check(tmp_path)
    assert states(report) == {image: PULLED}
    assert [type(each.name) for each in report.found.images] == [str]
    (line,) = [line for line in lines if f"{tmp_path}/odd.py" in line]
    assert "not imported. Its tasks have parameters that the check cannot read: " in line


def test_ignore_file_that_cannot_be_read(tmp_path: Path) -> None:
    """An .airflowignore that Airflow cannot read is an error of its folder."""
    dag(tmp_path, "    EcrDockerOperator(task_id='t', image='app:1')\n")
    (tmp_path / ".airflowignore").write_bytes(b"\xff\xfe")
    report, lines = check(tmp_path)
    assert list(report.found.import_errors) == [str(tmp_path)]
    assert lines[0].startswith(f"✗ {tmp_path}: not imported. ")


def test_public(registry: MemoryRegistry, tmp_path: Path) -> None:
    """Amazon ECR Public is not asked: it has no such question."""
    dag(tmp_path, ours("public.ecr.aws/team/app:1"))
    report, _ = check(tmp_path)
    assert set(states(report).values()) == {UNKNOWN}
    assert report.ok
    assert registry.aws.calls == []


def test_what_can_go(registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored logins, tasks that refresh them, and DockerOperators that do not log in are named, and what to do."""
    login = {"conn_type": "docker", "host": f"https://{HOST}", "login": "AWS", "password": "old"}
    monkeypatch.setenv("AIRFLOW_CONN_ECR", json.dumps(login))
    monkeypatch.setenv("AIRFLOW_CONN_HUB", json.dumps({**login, "host": "registry.example.com"}))
    image = registry.add("app:1")
    operator = """
    class EcrCredentialRegisterOperator(BaseOperator):
        def execute(self, context): ...

    EcrCredentialRegisterOperator(task_id="register")
"""
    dag(tmp_path, operator, "refresh")
    dag(tmp_path, f"{operator}    DockerOperator(task_id='old', image={image!r}, docker_conn_id='ecr')\n", "before")
    body = f"""
    EcrDockerOperator(task_id="ecr", image={image!r}, docker_conn_id="ecr")
    EcrDockerOperator(task_id="gone", image={image!r}, docker_conn_id="gone")
    EcrDockerOperator(task_id="hub", image={image!r}, docker_conn_id="hub")
    DockerOperator(task_id="other", image="registry.example.com/app:1", docker_conn_id="hub")
    DockerOperator(task_id="public", image="public.ecr.aws/team/app:1")
"""
    dag(tmp_path, body, "after")
    several = [image, registry.add("app:2"), registry.add("app:3")]
    dag(tmp_path, f"    DockerOperator.partial(task_id='fan').expand(image={several!r})\n", "mapped")
    report, lines = check(tmp_path)
    assert lines[lines.index("What can go:") + 1 : -2] == [
        "- DockerOperator: 2 tasks do not log in to Amazon ECR by themselves. Use EcrDockerOperator, "
        "or set [ecr_docker] task_policy, which edits no DAG.",
        "- Docker connection 'ecr' holds a login for Amazon ECR: drop docker_conn_id from 2 tasks, once they "
        "log in by themselves, then delete the connection.",
        "- Docker connection 'gone' does not exist: drop docker_conn_id from task 'gone' of DAG 'after'.",
        "- DAG 'before': 'register' only refreshes a login, with EcrCredentialRegisterOperator: delete the task.",
        "- DAG 'refresh' only refreshes a login, with EcrCredentialRegisterOperator: delete the DAG.",
    ]
    assert {line[:1] for line in lines if re.search(r"  can be pulled, once it logs in  ", line)} == {"·"}
    assert sum("  can be pulled  " in line for line in lines) == 3
    assert lines[-1].endswith(
        ": 1 not known, 7 can be pulled, 1 not on Amazon ECR, 2 tasks without a login of their own"
    )
    assert report.ok


def test_connection_of_other_tasks(registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection can be deleted only if no task names it, whatever its image."""
    monkeypatch.setenv("AIRFLOW_CONN_ECR", json.dumps({"conn_type": "docker", "host": HOST}))
    body = f"""
    EcrDockerOperator(task_id="run", image={registry.add("app:1")!r}, docker_conn_id="ecr")
    DockerOperator(task_id="notify", image="curlimages/curl:8", docker_conn_id="ecr")
    DockerOperator.partial(task_id="mapped", image="curlimages/curl:8").expand(docker_conn_id=["ecr", "gone"])
    DockerOperator.partial(task_id="more", image="curlimages/curl:8").expand_kwargs([{{"docker_conn_id": "ecr"}}])
"""
    dag(tmp_path, body)
    report, lines = check(tmp_path)
    assert lines[lines.index("What can go:") + 1 : -2] == [
        "- Docker connection 'ecr' holds a login for Amazon ECR: drop docker_conn_id from 4 tasks, then delete the "
        "connection.",
        "- Docker connection 'gone' does not exist: drop docker_conn_id from task 'mapped' of DAG 'dag'.",
    ]
    assert report.leftovers[0].tasks == (("dag", "run"), ("dag", "notify"), ("dag", "mapped"), ("dag", "more"))


def test_mapped_with_default_args(registry: MemoryRegistry, tmp_path: Path) -> None:
    """Airflow adds the defaults of the DAG and of the group to a mapped task when it runs; the check does, too."""
    image, other = registry.add("app:1"), registry.add("app:2")
    body = f"""
    pass

with DAG("defaults", schedule=None, default_args={{"image": {image!r}, "aws_conn_id": None, "docker_conn_id": "x"}}):
    EcrDockerOperator.partial(task_id="mapped").expand(command=["a"])

    @task_group(default_args={{"image": {other!r}}})
    def group():
        EcrDockerOperator.partial(task_id="mapped").expand(command=["a"])

    group()
"""
    dag(tmp_path, body)
    report, _ = check(tmp_path)
    found = {
        task.task_id: (task.image.name, task.image.aws_conn_id, task.docker_conn_id) for task in report.found.tasks
    }
    assert found == {"mapped": (image, None, "x"), "group.mapped": (other, None, "x")}
    assert states(report) == {image: PULLED, other: PULLED}


def test_mapped_class_that_sets_its_image(registry: MemoryRegistry, tmp_path: Path) -> None:
    """What a class makes of its parameters is known when it runs, as long as Airflow has made none of its tasks."""
    body = f"""
    class Sets(DockerOperator):
        def __init__(self, **kwargs):
            super().__init__(image={registry.add("app:1")!r}, **kwargs)

    class Completes(DockerOperator):
        def __init__(self, *, image, **kwargs):
            super().__init__(image=f"{{HOST}}/{{image}}", **kwargs)

    Sets.partial(task_id="sets").expand(command=["a"])
    Completes.partial(task_id="completes", image="app:1").expand(command=["a"])
"""
    dag(tmp_path, body)
    report, lines = check(tmp_path)
    assert {image.state for image in report.found.images} == {LATER}
    assert [line for line in lines if "image is what Completes makes of it" in line]
    assert report.ok


def test_files_do_not_disturb_each_other(registry: MemoryRegistry, tmp_path: Path) -> None:
    """Each file is read as if it were alone: the environment, the folder, the import path, the modules beside it."""
    images = [registry.add("app:1"), registry.add("app:2")]
    for number, image in enumerate(images):
        folder = tmp_path / f"team{number}"
        dag(folder, "    EcrDockerOperator(task_id='t', image=common.IMAGE)\n", f"dag{number}")
        path = folder / f"dag{number}.py"
        head = "import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\nimport common\n"
        head += "assert 'LEFT' not in os.environ and os.getcwd() != '/'\nos.environ['LEFT'] = '1'\nos.chdir('/')\n"
        path.write_text(f"{head}{path.read_text()}")
        (folder / "common.py").write_text(f"IMAGE = {image!r}\n")
    before = dict(os.environ), list(sys.path), Path.cwd()
    report, _ = check(tmp_path)
    assert report.found.import_errors == {}
    assert states(report) == dict.fromkeys(images, PULLED)
    assert (dict(os.environ), sys.path, Path.cwd()) == before
    assert "common" not in sys.modules


def test_one_file_has_neighbours(registry: MemoryRegistry, tmp_path: Path) -> None:
    """A single file can import what is beside it."""
    dag(tmp_path, "    EcrDockerOperator(task_id='t', image=common_of_one.IMAGE)\n")
    (tmp_path / "common_of_one.py").write_text(f"IMAGE = {registry.add('app:1')!r}\n")
    path = tmp_path / "dag.py"
    path.write_text(f"import common_of_one\n{path.read_text()}")
    report, _ = check(path)
    assert report.found.import_errors == {}
    assert set(states(report).values()) == {PULLED}


@pytest.mark.slow
def test_policy(registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the cluster policy on, every DockerOperator logs in by itself, with the settings of the deployment."""
    monkeypatch.setenv("AIRFLOW__ECR_DOCKER__TASK_POLICY", "True")
    monkeypatch.setenv("AIRFLOW__ECR_DOCKER__AWS_CONN_ID", "")
    image = registry.add("app:1")
    body = f"""
    DockerOperator(task_id="plain", image={image!r})
    DockerOperator.partial(task_id="mapped", image={image!r}).expand(command=["a", "b"])
"""
    dag(tmp_path, body)
    # Airflow loads its policies once in a process.
    done = command(str(tmp_path), "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert [(task["task"], task["logs_in"]) for task in document["tasks"]] == [("plain", True), ("mapped", True)]
    assert [(image["aws_conn_id"], image["state"]) for image in document["images"]] == [(None, PULLED)]
    assert document["can_go"] == []
    assert document["policy"] == "on, with aws_conn_id=None"
    own = "    class Own(DockerOperator):\n        def __init__(self, *, region_name=None, **kwargs):\n"
    own += "            super().__init__(**kwargs)\n"
    dag(tmp_path, f"{own}    Own(task_id='own', image={image!r})\n")
    (left,) = json.loads(command(str(tmp_path), "--json").stdout)["can_go"]
    assert left["text"].endswith("The cluster policy cannot convert this class; Airflow's log of the DAG says why.")


def test_engine(registry: MemoryRegistry, engine: RecordingEngine, tmp_path: Path) -> None:
    """With an engine, the check says which images are there, and which fit no platform of it; nothing is pulled."""
    present, absent = registry.add("app:1"), registry.add("app:2", platforms=("linux/arm64/v8", "linux/amd64"))
    misfit, other = registry.add("app:3", platforms=("windows/amd64", "linux/arm64")), registry.add("app:4")
    engine.answers["/version"] = (200, {"ApiVersion": "1.41", "Version": "27.0.1", "Os": "linux", "Arch": "amd64"})
    engine.answers["/images/json"] = (200, [{"RepoTags": [present, other], "RepoDigests": None}, {"RepoTags": None}])
    engine.answers[f"/images/{present}/json"] = (200, {"Os": "linux", "Architecture": "386"})
    engine.answers[f"/images/{other}/json"] = (200, {"Os": "linux", "Architecture": "arm64"})
    dag(tmp_path, ours(present, absent, misfit, other))
    report, lines = check(tmp_path, docker_url=engine.url)
    images = {image.name: image for image in report.found.images}
    assert states(report) == {present: PULLED, absent: PULLED, misfit: REFUSED, other: REFUSED}
    assert [images[name].on_engine for name in (present, absent, misfit, other)] == [True, False, False, True]
    assert "There is no image for the platform that the engine runs. Push an image" in images[misfit].text
    assert "the image is for linux/arm64, and the engine runs linux/amd64" in images[other].text
    assert any("can be pulled, on the engine" in line for line in lines)
    assert engine.pulls() == []


def test_engine_that_does_not_answer(registry: MemoryRegistry, tmp_path: Path) -> None:
    """An engine that was named and does not answer is a failure, because the question stays open."""
    dag(tmp_path, ours(registry.add("app:1")))
    report, lines = check(tmp_path, docker_url=f"unix://{tmp_path}/nothing")
    assert not report.ok
    assert any(line.startswith("✗ unix://") and "not connected to the Docker engine" in line for line in lines)


def test_thousands_of_failures(registry: MemoryRegistry, tmp_path: Path) -> None:
    """The table shows the first failures of each kind and counts the rest; the document has all."""
    registry.add("app:1")
    images = [f"{HOST}/app:missing{number}" for number in range(1000)]
    dag(tmp_path, ours(*images, *[images[0]] * 50))
    report, lines = check(tmp_path)
    assert len(lines) < 5 * SHOWN
    assert f"  … and {51 - SHOWN} more tasks, for the same reason (all: --json)" in lines
    assert f"  … and {1000 - SHOWN} more tasks with {1000 - SHOWN} more images like these (all: --json)" in lines
    out = io.StringIO()
    write_json(report, out)
    assert len(json.loads(out.getvalue())["images"]) == 1000


def test_document(registry: MemoryRegistry, tmp_path: Path) -> None:
    """The document has the keys that dags/README.md describes."""
    dag(tmp_path, ours(registry.add("app:1", platforms=("linux/amd64", "linux/arm64"))))
    report, _ = check(tmp_path)
    out = io.StringIO()
    write_json(report, out)
    document = json.loads(out.getvalue())
    text = USING.read_text()
    section = text[text.index("### All DAGs") :].partition("\n## ")[0]
    described = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    inner = {key for name in ("tasks", "images", "logins") for key in document[name][0]}
    assert described == set(document)
    assert all(f"`{key}`" in section for key in inner)
    [image] = document["images"]
    assert (image["platforms"], image["size"], image["state"]) == (["linux/amd64", "linux/arm64"], SIZE, PULLED)
    assert document["ok"] is True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (["{tmp}/nothing"], 2, "--dags: there is no {tmp}/nothing.\n"),
        (["{tmp}/empty"], 2, "--dags: there is no DAG in {tmp}/empty.\n"),
        (["{tmp}/empty", "--json"], 2, "--dags: there is no DAG in {tmp}/empty.\n"),
        (["{tmp}/good"], 0, ""),
        (["{tmp}/good/dag.py"], 0, ""),
        (["{tmp}/bad"], 1, ""),
    ],
    ids=["no-folder", "no-dag", "no-dag-json", "good", "file", "bad"],
)
def test_status(arguments: list[str], status: int, error: str, registry: MemoryRegistry, tmp_path: Path) -> None:
    """The status says whether all can be pulled; wrong usage, and a folder without a DAG, are 2."""
    (tmp_path / "empty").mkdir()
    dag(tmp_path / "good", ours(registry.add("app:1")))
    dag(tmp_path / "bad", ours(f"{HOST}/app:2"))
    done = command(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert (done.returncode, done.stderr) == (status, error.format(tmp=tmp_path)), done.stdout
    if "--json" in arguments:
        assert json.loads(done.stdout)["dags"] == 0


@pytest.mark.slow
def test_the_deployments_own_folder(registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder, the DAGs are the deployment's own, without Airflow's examples."""
    dag(tmp_path / "dags", ours(registry.add("app:1")))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path / "dags"))
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
    done = command()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 DAG, 1 task with an image, 1 image in 1 repository: 1 can be pulled"
    (tmp_path / "dags" / "dag.py").unlink()
    done = command()
    assert (done.returncode, done.stderr) == (2, f"--dags: there is no DAG in {tmp_path / 'dags'}.\n")


@pytest.mark.slow
def test_bundle_that_cannot_be_read(registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DAG bundle without its folder is listed, and the rest goes on."""
    if find_spec("airflow.dag_processing.bundles") is None:
        pytest.skip("Airflow 2 has no bundles.")
    dag(tmp_path / "dags", ours(registry.add("app:1")))
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": name, "classpath": local, "kwargs": {"path": str(tmp_path / name)}} for name in ("dags", "gone")
    ]
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(bundles))
    done = command()
    assert done.returncode == 1, done.stderr
    assert "gone: not imported. [Errno 2] No such file or directory" in done.stdout
    assert "1 can be pulled, 1 file not imported" in done.stdout


@pytest.mark.slow
def test_closed_pipe(registry: MemoryRegistry, tmp_path: Path) -> None:
    """A reader that closes the pipe ends the check quietly."""
    dag(tmp_path, ours(registry.add("app:1")))
    line = f"set -o pipefail; '{sys.executable}' -m ecr_docker_operator check --dags {tmp_path} | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.slow
def test_interrupt(registry: MemoryRegistry, tmp_path: Path) -> None:
    """An interrupt ends the check at once and quietly, while AWS is still being asked."""
    dag(tmp_path, ours(registry.add("app:1")))
    line = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "ecr_docker_operator",
        "check",
        "--dags",
        str(tmp_path),
    ]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def interrupt() -> None:
        process.send_signal(signal.SIGINT)
        process.wait(SECONDS)

    registry.aws.at_call = interrupt
    out, err = process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")


@pytest.mark.slow
def test_terminal(registry: MemoryRegistry, tmp_path: Path) -> None:
    """On a terminal, a bar shows the progress, and goes."""
    dag(tmp_path, ours(registry.add("app:1")))
    ours_side, theirs = os.openpty()
    line = [sys.executable, "-m", "ecr_docker_operator", "check", "--dags", str(tmp_path)]
    process = subprocess.Popen(line, stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    written = b""
    with suppress(OSError):  # at its end
        while piece := os.read(ours_side, 1000):
            written += piece
    os.close(ours_side)
    process.communicate()
    assert process.returncode == 0
    assert b"Asking AWS" in written
    assert b"1 can be pulled" in written.splitlines()[-1]
    assert b"aws_default" not in written, "Airflow's log is beside the table"
