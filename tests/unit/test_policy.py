"""The cluster policy: which tasks log in to Amazon ECR by themselves, and what stays as it was."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import new_class
from typing import TYPE_CHECKING, Any

import pytest
from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.providers.docker.hooks.docker import DockerHook
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.providers.docker.operators.docker_swarm import DockerSwarmOperator

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrDockerSwarmOperator, EcrInputError
from ecr_docker_operator.compat import DAG, BaseOperatorLink
from ecr_docker_operator.link import EcrImageLink
from ecr_docker_operator.policy import describe, pull_from_ecr, settings, task_policy
from tests.airflow_names import BaseOperator, task
from tests.recording_engine import execute
from tests.stand.hosts import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording_engine import RecordingEngine
    from tests.stand.aws import Aws

IMAGE = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/app:1"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Read the settings again in each test."""
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


def set_options(monkeypatch: pytest.MonkeyPatch, **options: str) -> None:
    """Set options of the section in the environment."""
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__ECR_DOCKER__{name.upper()}", value)


class Link(BaseOperatorLink):
    """A link of a library."""

    name = "Theirs"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return no link."""
        return ""


class Plain(DockerOperator):
    """A subclass that adds nothing."""


class OfLibrary(DockerOperator):
    """A subclass of a library, with its own parameter, templates, link and methods."""

    template_fields = (*DockerOperator.template_fields, "vars")
    template_ext = (".yaml",)
    template_fields_renderers = {**DockerOperator.template_fields_renderers, "vars": "json"}  # noqa: RUF012
    operator_extra_links = (Link(),)

    def __init__(self, *, vars: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vars = vars

    def pre_execute(self, context: Any) -> None:
        """Count the calls."""
        super().pre_execute(context)
        self.prepared = True

    def execute(self, context: Any) -> Any:
        """Set the command that dbt has, as Cosmos does."""
        self.command = f"dbt {self.vars}"
        return super().execute(context)


class OwnImage(DockerOperator):
    """A subclass that names its image itself."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(image=IMAGE, **kwargs)


class CountingHook(DockerHook):
    """A hook of a user."""

    counted = 0

    def get_conn(self) -> Any:
        """Count the calls."""
        type(self).counted += 1
        return super().get_conn()


class OwnHook(DockerOperator):
    """A subclass with its own hook."""

    @property
    def hook(self) -> DockerHook:
        """Return a hook of the user's."""
        return CountingHook(base_url=self.docker_url, version=self.api_version)


class Slots(DockerOperator):
    """A subclass with slots, and a metaclass of its own."""

    __slots__ = ("more",)


class Meta(type(DockerOperator)):  # type: ignore[misc]
    """A metaclass of a user."""


class WithMeta(DockerOperator, metaclass=Meta):
    """A subclass with a derived metaclass."""


KINDS = [DockerOperator, Plain, OfLibrary, OwnImage, Slots, WithMeta]


def make(kind: type[DockerOperator], **parameters: Any) -> Any:
    """Return a task of *kind* that the policy converted."""
    given = {} if kind is OwnImage else {"image": IMAGE}
    made = kind(**{"task_id": "task", "mount_tmp_dir": False, **given, **parameters})
    pull_from_ecr(made)
    return made


def run(engine: RecordingEngine, made: Any) -> None:
    """Run a task on an engine that pulls but refuses to create a container."""
    made.docker_url = engine.url
    execute(made)


@pytest.mark.parametrize("kind", KINDS)
def test_token_for_every_kind(kind: type[DockerOperator], engine: RecordingEngine, aws: Aws) -> None:
    """Each kind of class pulls with a token, keeps its name, and can be copied and pickled."""
    made = make(kind)
    assert isinstance(made, EcrDockerOperator)
    assert isinstance(made, kind)
    assert (type(made).__name__, type(made).__module__, type(made).__qualname__) == (
        kind.__name__,
        kind.__module__,
        kind.__qualname__,
    )
    assert made.task_type == kind.__name__
    assert type(made).__doc__ == kind.__doc__
    for each in (made, copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):  # noqa: S301
        assert type(each) is type(made)
        run(engine, each)
    assert [token.password for token in aws.tokens] == engine.passwords()
    assert len(aws.tokens) == 4


def test_own_hook_keeps_its_overrides(engine: RecordingEngine, aws: Aws) -> None:
    """A subclass that overrides ``hook`` is asked first by Python, so it needs ours as its first parent."""
    made = make(OwnHook)
    made.docker_url = engine.url
    assert isinstance(made.hook, EcrDockerHook)
    assert isinstance(made.hook, CountingHook)
    run(engine, made)
    assert len(aws.tokens) == 1


def test_templates_and_links_of_both(engine: RecordingEngine, aws: Aws) -> None:
    """Templates, extensions, renderers, links and methods of both parents stay."""
    made = make(OfLibrary, vars="{{ params.vars }}", image="{{ params.image }}")
    assert {"vars", "image", "aws_conn_id", "registry_id"} <= set(made.template_fields)
    assert set(made.template_ext) == {*OfLibrary.template_ext, *DockerOperator.template_ext}
    assert made.template_fields_renderers["vars"] == "json"
    assert {type(link) for link in made.operator_extra_links} == {EcrImageLink, Link}
    made.render_template_fields({"params": {"vars": "--x", "image": IMAGE}})
    made.pre_execute({})
    assert made.prepared
    run(engine, made)
    assert made.command == "dbt --x"
    assert len(aws.tokens) == 1


@pytest.mark.parametrize("bases", [(EcrDockerOperator, OfLibrary), (OfLibrary, EcrDockerOperator)])
def test_mixin_written_by_hand(bases: tuple[type, ...]) -> None:
    """A class with two parents has the templates, extensions, renderers and links of both, unless it sets them."""
    mixed: Any = new_class("Mixed", bases)
    assert {"vars", "aws_conn_id"} <= set(mixed.template_fields)
    assert ".yaml" in mixed.template_ext
    assert mixed.template_fields_renderers["vars"] == "json"
    assert {type(link) for link in mixed.operator_extra_links} == {EcrImageLink, Link}
    own: Any = new_class("Own", bases, {}, lambda body: body.update(template_fields=("image",)))
    assert own.template_fields == ("image",)


def test_mapped() -> None:
    """Mapped tasks become ours when they are expanded, with the templates of both."""
    with DAG("dag", schedule=None) as dag:
        OfLibrary.partial(task_id="mapped", image="{{ params.image }}").expand(command=["a", "b"])
        OfLibrary.partial(task_id="kwargs").expand_kwargs([{"image": IMAGE, "command": "a"}])

        @task.docker(image=IMAGE)
        def function(x: int) -> int:
            return x

        function(1)
        function.override(task_id="mapped_function").expand(x=[1, 2])
    for each in dag.tasks:
        before = each.task_type
        pull_from_ecr(each)
        assert each.task_type == before
        cls = getattr(each, "operator_class", type(each))
        assert issubclass(cls, EcrDockerOperator)
        assert {"image", "aws_conn_id"} <= set(each.template_fields)
    made: Any = dag.task_dict["mapped"]
    one = made.operator_class(task_id="one", image=IMAGE, command="a")
    assert one.aws_conn_id == "aws_default"


def test_mapped_class_that_completes_its_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """A literal image proves nothing, if the class makes another one of it when the task runs."""
    set_options(monkeypatch, task_policy="True")

    class Completes(DockerOperator):
        def __init__(self, *, image: str, **kwargs: Any) -> None:
            super().__init__(image=f"{IMAGE.partition('/')[0]}/{image}", **kwargs)

    with DAG("dag", schedule=None) as dag:
        Completes.partial(task_id="completes", image="app:1").expand(command=["a"])
        DockerOperator.partial(task_id="elsewhere", image="app:1").expand(command=["a"])
    for each in dag.tasks:
        task_policy(each)
    converted = [name for name, each in dag.task_dict.items() if issubclass(each.operator_class, EcrDockerOperator)]
    assert converted == ["completes"]


def test_template_in_a_policy_that_renders_to_nothing(engine: RecordingEngine) -> None:
    """A parameter of a policy of one's own is checked like the operator's."""
    made: Any = DockerOperator(task_id="made", image="app:1", docker_url=engine.url)
    pull_from_ecr(made, registry_id="{{ x }}", region_name="eu-west-1")
    made.registry_id = None
    with pytest.raises(EcrInputError, match="registry_id: its template renders to None"):
        made.execute({})
    assert engine.pulls() == []


def test_swarm() -> None:
    """A Swarm's task becomes one of our Swarm operator, without retention."""
    made = DockerSwarmOperator(task_id="made", image=IMAGE)
    pull_from_ecr(made, image_retention=timedelta(days=1))
    assert isinstance(made, EcrDockerSwarmOperator)
    assert made.image_retention is None


def test_defaults() -> None:
    """Defaults of the deployment are attributes; each set of them has its own class."""
    first, second, third = (Plain(task_id="task", image=IMAGE) for _ in range(3))
    pull_from_ecr(first, aws_conn_id="mine", verify=False)
    pull_from_ecr(second, aws_conn_id=None)
    pull_from_ecr(third, verify=False, aws_conn_id="mine")
    values: list[Any] = [first, second]
    assert [(each.aws_conn_id, each.verify) for each in values] == [("mine", False), (None, None)]
    assert type(first) is type(third)
    with pytest.raises(TypeError, match=r"^aws_con_id: no such parameter; there are aws_conn_id, "):
        pull_from_ecr(Plain(task_id="task", image=IMAGE), aws_con_id="x")


def test_twenty_threads() -> None:
    """Twenty threads at once make one class."""

    class New(DockerOperator):
        pass

    def converted(_: int) -> type:
        made = New(task_id="task", image=IMAGE)
        pull_from_ecr(made)
        return type(made)

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(converted, range(200)))) == 1


def test_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """What is ours, no DockerOperator, refuses subclasses, or uses our names for something else stays as it is."""

    class Ours(EcrDockerOperator):
        pass

    class Final(DockerOperator):
        def __init_subclass__(cls, **kwargs: Any) -> None:
            msg = "no subclass"
            raise TypeError(msg)

    class Taken(DockerOperator):
        def __init__(self, *, verify: str = "", **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.verify = verify

    class Other(BaseOperator):
        pass

    tasks: list[Any] = [kind(task_id="task", image=IMAGE) for kind in (Ours, EcrDockerOperator, Final, Taken)]
    tasks += [Other(task_id="task"), Final(task_id="task", image=IMAGE), object()]
    before = [type(each) for each in tasks]
    for each in tasks:
        pull_from_ecr(each)
    assert [type(each) for each in tasks] == before
    assert caplog.text.count("takes no subclass") == 1
    assert caplog.text.count("has verify of its own") == 1


@pytest.mark.parametrize(
    ("image", "converted"),
    [
        (IMAGE, True),
        ("public.ecr.aws/docker/library/busybox", True),
        ("{{ params.image }}", True),
        ("busybox", False),
        ("ghcr.io/me/job:1", False),
        (f"{IMAGE.partition('/')[0]}.evil.example/app", False),
    ],
)
@pytest.mark.parametrize("on", ["True", "False", None])
def test_policy(image: str, converted: bool, on: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy is off by default; literal images that are plainly elsewhere are left alone."""
    if on:
        set_options(monkeypatch, task_policy=on)
    made = DockerOperator(task_id="made", image=image)
    task_policy(made)
    assert isinstance(made, EcrDockerOperator) == (converted and on == "True")


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The options of the deployment become parameters; an empty connection is boto3's own chain."""
    set_options(monkeypatch, task_policy="true", aws_conn_id="", verify="False", image_retention="604800")
    made: Any = DockerOperator(task_id="task", image=IMAGE)
    task_policy(made)
    assert (made.aws_conn_id, made.verify, made.image_retention) == (None, False, timedelta(days=7))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"task_policy": "yes please"}, "task_policy: expected True or False, got 'yes please'"),
        ({"image_retention": "-5"}, "image_retention: expected a number of seconds above 0, .*, got '-5'"),
        ({"image_retention": "7d"}, "image_retention: expected a number of seconds above 0, .*, got '7d'"),
        ({"image_retention": "0"}, "image_retention: expected a number of seconds above 0, .*, got '0'"),
        ({"image_retention": "9" * 30}, "image_retention: expected a number of seconds above 0"),
        ({"verify": "/missing.pem"}, "verify: expected True, False or the path of a CA bundle .*, got '/missing.pem'"),
        ({"retention": "5"}, "retention: expected one of the options task_policy, aws_conn_id, verify"),
    ],
)
def test_bad_options(options: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid option fails, with its section and name, only for tasks that may be on Amazon ECR."""
    set_options(monkeypatch, **{"task_policy": "True", **options})
    with pytest.raises(AirflowClusterPolicyViolation, match=rf"^\[ecr_docker\] {sentence}"):
        task_policy(DockerOperator(task_id="task", image=IMAGE))
    task_policy(DockerOperator(task_id="task", image="busybox"))
    task_policy(BaseOperator(task_id="task"))


def test_description(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check says whether the policy is on, with which settings, or what is wrong with them."""
    assert describe() == "off"
    set_options(monkeypatch, task_policy="True")
    settings.cache_clear()
    assert describe() == "on, with the defaults"
    set_options(monkeypatch, aws_conn_id="mine", verify="false")
    settings.cache_clear()
    assert describe() == "on, with aws_conn_id='mine', verify=False"
    set_options(monkeypatch, image_retention="7d")
    settings.cache_clear()
    assert describe().startswith("[ecr_docker] image_retention: expected a number of seconds above 0")


def test_deleted_connection(engine: RecordingEngine, aws: Aws, logged: Callable[[str], int]) -> None:
    """A docker_conn_id that was deleted is not needed for an image in Amazon ECR; elsewhere, it is an error."""
    run(engine, make(DockerOperator, docker_conn_id="deleted"))
    assert len(aws.tokens) == 1
    assert logged("Docker connection 'deleted' does not exist. An image in Amazon ECR needs none") == 1
    elsewhere = make(DockerOperator, docker_conn_id="deleted", image="busybox", docker_url=engine.url)
    with pytest.raises(Exception, match=r"deleted|SUPERVISOR_COMMS"):  # the latter: Airflow 3.1.0
        elsewhere.execute({})


@pytest.mark.slow
def test_first_import() -> None:
    """The policy works, too, in a process that imports it before anything of Airflow's."""
    lines = [
        "import ecr_docker_operator.policy",
        "from airflow import settings",
        "from airflow.providers.docker.operators.docker import DockerOperator",
        f"task = DockerOperator(task_id='task', image={IMAGE!r})",
        "settings.task_policy(task)",
        "print([cls.__name__ for cls in type(task).__mro__][1])",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env={**os.environ, "AIRFLOW__ECR_DOCKER__TASK_POLICY": "True"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["EcrDockerOperator"], done.stderr


def test_costs_nothing_where_it_is_not_needed() -> None:
    """In a process without a DockerOperator, the policy imports neither docker nor boto3."""
    program = """
import sys
try:
    from airflow.sdk import BaseOperator
except ImportError:  # Airflow 2
    from airflow.models import BaseOperator
from ecr_docker_operator.policy import task_policy
task_policy(BaseOperator(task_id="task"))
print(sorted({name.partition(".")[0] for name in sys.modules} & {"docker", "boto3", "botocore"}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
