"""Finds the tasks of a deployment that run a Docker image, and the images that they would pull."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.providers.docker.operators.docker import DockerOperator
from airflow.providers.docker.operators.docker_swarm import DockerSwarmOperator

from ecr_docker_operator import policy
from ecr_docker_operator.check.apart import ApartError, run_apart
from ecr_docker_operator.compat import DAG, dag_folders, file_timeout, read_dags
from ecr_docker_operator.ecr.reference import literal
from ecr_docker_operator.errors import printable
from ecr_docker_operator.operator import EcrDockerOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    from ecr_docker_operator.aws.identity import AwsIdentity
    from ecr_docker_operator.aws.manifest import ImageAnswer
    from ecr_docker_operator.ecr.registry import EcrRegistry

PULLED, REFUSED, UNKNOWN, LATER, ELSEWHERE = (
    "can be pulled",
    "cannot be pulled",
    "not known",
    "known when it runs",
    "not on Amazon ECR",
)
"""States of an image."""

PARAMETERS = (
    "image",
    "aws_conn_id",
    "region_name",
    "registry_id",
    "registry_host",
    "verify",
    "botocore_config",
)
"""Parameters of EcrDockerOperator that choose the image and the identity that pulls it."""

_CONNECTION = "docker_conn_id"
_READ = (*PARAMETERS, _CONNECTION)

REFRESHES = ("RefreshEcrDockerConnectionOperator", "EcrCredentialRegisterOperator")
"""Operators that only refresh a stored login: of airflow-ecr-plugin, and of a widely copied recipe."""


@dataclass(eq=False, slots=True)
class Image:
    """An image, as one AWS identity pulls it, and what is known about it. Tasks share it."""

    name: str
    """Full name, or what is known of it before the task runs."""
    aws_conn_id: str | None = None
    registry: EcrRegistry | None = None
    """``None`` if the image is not in Amazon ECR, or not known yet."""
    identity: AwsIdentity | None = None
    state: str = UNKNOWN
    text: str = ""
    """Why it is in this state, and what to do."""
    kind: str = ""
    """What failures with the same cause have in common."""
    answer: ImageAnswer | None = None
    on_default_engine: bool = False
    """Whether a task runs it on the engine of ``DOCKER_HOST``, or of the default socket."""
    on_engine: bool | None = None
    """Whether the engine that was asked has it; ``None`` if none was asked."""

    def set(self, state: str, text: str = "", kind: str = "") -> None:
        """Set the state, and the reason for it."""
        self.state, self.text, self.kind = state, text, kind or text


@dataclass(frozen=True, slots=True)
class Task:
    """A task that runs an image; a mapped task that runs several is listed once for each."""

    dag_id: str
    task_id: str
    operator: str
    """Name of its class."""
    logs_in: bool
    """Whether it logs in to Amazon ECR by itself."""
    docker_conn_id: str | None
    image: Image

    @property
    def lacks_login(self) -> bool:
        """Whether the registry needs a login, and the task makes none; Amazon ECR Public needs none."""
        registry = self.image.registry
        return not self.logs_in and registry is not None and registry.registry_id is not None


@dataclass
class Found:
    """What the DAGs of a deployment contain."""

    dags: int = 0
    all_tasks: int = 0
    """Number of tasks, of whatever operator."""
    tasks: list[Task] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    """Folders, or files, that were read."""
    import_errors: dict[str, str] = field(default_factory=dict)
    """File, or name of a DAG bundle -> Airflow's error."""
    refreshes: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """DAG, or file that does not import, and operator that only refreshes a login -> its tasks."""
    refreshing_dags: set[str] = field(default_factory=set)
    """DAGs that do nothing else."""

    @property
    def images(self) -> list[Image]:
        """The images of all tasks, each once."""
        return list({id(task.image): task.image for task in self.tasks}.values())

    def add(self, other: Found) -> None:
        """Add what other files contain."""
        self.dags += other.dags
        self.all_tasks += other.all_tasks
        self.tasks += other.tasks
        self.folders |= other.folders
        self.import_errors.update(other.import_errors)
        self.refreshes.update(other.refreshes)
        self.refreshing_dags |= other.refreshing_dags

    def add_error(self, path: Path, error: str) -> None:
        """Add a file that does not import, and the operators in it that only refresh a login."""
        self.import_errors[str(path)] = error
        for operator in _refreshes_in(path):
            self.refreshes.setdefault((str(path), operator), [])


def find(folder: str | None = None) -> Found:
    """Read the DAGs, and return their tasks that run an image.

    :param folder: folder or file with DAGs; default: the deployment's own folder or bundles.
    """
    found, images = Found(), _Images()
    for file in _files(folder):
        images.share(file)
        found.add(file)
    # The order of files in a folder says nothing.
    found.tasks.sort(key=lambda task: task.dag_id)
    return found


def _files(folder: str | None) -> Iterator[Found]:
    """Yield what each file contains, read in a process of its own; if a file ends that, another goes on after it."""
    option, seconds = file_timeout()
    path = ""
    started: set[str] = set()

    def patience() -> float:
        return seconds if path else inf

    def broken(reason: str) -> Found:
        found = Found()
        found.add_error(Path(path or folder or "DAG bundles"), reason)
        return found

    while True:
        try:
            for name, found in run_apart(partial(_read, folder, started), patience):
                if path and name != path:
                    yield broken(_UNREAD)
                path = ""
                if found is not None:
                    yield found
                else:
                    path = name
                    started.add(path)
            reason = _UNREAD
        except (ApartError, TimeoutError) as error:
            reason = str(error) or f"It took longer than {seconds:.0f} s ({option})."
        if path or reason != _UNREAD:
            yield broken(reason)
        if not path:
            return
        path = ""


_UNREAD = "What it contains could not be read."

Send: TypeAlias = "Callable[[tuple[str, Found | None]], None]"
"""Takes the path of a file before it is read, then with what it contains."""


def _read(folder: str | None, without: Container[str], send: Send) -> None:
    reader = _Reader(without, send)
    for name, place in [(folder, Path(folder).absolute())] if folder else dag_folders():
        error = place
        if not isinstance(place, Exception):
            try:
                reader.read(place)
                continue
            except Exception as raised:  # noqa: BLE001 - for instance, .airflowignore cannot be read
                error = raised
        send(("", Found(import_errors={str(name): str(error) or repr(error)})))


class _Images:
    def __init__(self) -> None:
        self._by_name: dict[tuple[str, ...], Image] = {}

    def share(self, found: Found) -> None:
        """Let the tasks of *found* have the images of earlier tasks where they are the same."""
        for number, task in enumerate(found.tasks):
            image = task.image
            key = (
                image.name,
                image.state,
                image.text,
                str(image.registry),
                str(image.identity and vars(image.identity)),
            )
            same = self._by_name.setdefault(key, image)
            same.on_default_engine |= image.on_default_engine
            found.tasks[number] = replace(task, image=same)


class _Reader:
    """Reads DAGs, and sends what they contain."""

    def __init__(self, without: Container[str], send: Send) -> None:
        self._without, self._send = without, send
        self._folder = Path()
        self._path = ""
        self._found = Found()
        self._by_parameters: dict[str, Image] = {}
        self._default_url = _operator(image="check").docker_url

    def read(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        self._send(("", Found(folders={str(folder)})))
        read_dags(folder, self._start, self._take)

    def _start(self, path: str) -> bool:
        if path in self._without:
            return False
        self._path = path
        self._send((path, None))
        return True

    def _take(self, dags: Iterable[Any], errors: Mapping[str, str]) -> None:
        self._found = Found()
        for dag in dags:
            self._read(dag)
        for name, error in errors.items():
            self._found.add_error(self._folder if self._folder.is_file() else self._folder / name, error)
        self._send((self._path, self._found))

    def _read(self, dag: Any) -> None:
        self._found.dags += 1
        refreshes = 0
        for task in dag.tasks:
            self._found.all_tasks += 1
            cls = task.operator_class if _is_mapped(task) else type(task)
            if issubclass(cls, DockerOperator):
                try:
                    self._add(dag.dag_id, task, cls)
                except Exception as error:  # noqa: BLE001 - its parameters may be anything
                    text = f"The check cannot read its parameters: {type(error).__name__}."
                    self._add_image(dag.dag_id, task, cls, Image("?", text=text, kind=text))
            elif name := next((parent.__name__ for parent in cls.__mro__ if parent.__name__ in REFRESHES), ""):
                self._found.refreshes.setdefault((dag.dag_id, name), []).append(task.task_id)
                refreshes += 1
        if refreshes and refreshes == len(dag.tasks):
            self._found.refreshing_dags.add(dag.dag_id)

    def _add(self, dag_id: str, task: Any, cls: type[DockerOperator]) -> None:
        url = _given(task, "docker_url")
        here = not issubclass(cls, DockerSwarmOperator) and url in (None, self._default_url)
        later = None
        if _is_mapped(task) and policy.sets_image(cls):
            text = f"image is what {cls.__qualname__} makes of it"
            later = Image(_shown(_given(task, "image")), state=LATER, text=text)
        images: dict[tuple[int, str | None], Image] = {}
        for parameters in _parameters(task, cls):
            connection = literal(parameters.pop(_CONNECTION, None)) or None
            image = later or self._image(parameters)
            image.on_default_engine |= here
            images[id(image), connection] = image
        for (_, connection), image in images.items():
            self._add_image(dag_id, task, cls, image, connection)

    def _add_image(
        self, dag_id: str, task: Any, cls: type[DockerOperator], image: Image, connection: str | None = None
    ) -> None:
        self._found.tasks.append(
            Task(
                dag_id,
                task.task_id,
                f"{cls.__module__}.{cls.__qualname__}",
                logs_in=issubclass(cls, EcrDockerOperator),
                docker_conn_id=connection,
                image=image,
            )
        )

    def _image(self, parameters: dict[str, Any]) -> Image:
        key = repr(parameters)
        if key not in self._by_parameters:
            self._by_parameters[key] = _resolve(parameters)
        return self._by_parameters[key]


def _resolve(parameters: dict[str, Any]) -> Image:
    shown = _shown(parameters.get("image"))
    connection = parameters.get("aws_conn_id", "aws_default")
    for name, value in parameters.items():
        if name != "botocore_config" and not _is_known(value):
            text = f"{name} is {_shown(value)}"
            return Image(shown, _shown(connection) if connection else None, state=LATER, text=text, kind=text)
    try:
        task = _operator(**parameters)
        image, registry = task.resolve_image()
        if registry is None:
            return Image(image, state=ELSEWHERE)
        return Image(image, connection, registry, task.resolve_identity())
    except Exception as error:  # noqa: BLE001 - the task would fail with any error
        text = str(error) or repr(error)
        return Image(shown, connection, state=REFUSED, text=text, kind=type(error).__name__)


def _operator(**parameters: Any) -> EcrDockerOperator:
    return EcrDockerOperator(task_id="check", dag=DAG("check", schedule=None), **parameters)


def _parameters(task: Any, cls: type) -> Iterator[dict[str, Any]]:
    """Yield the parameters of a task; for a mapped one, those of each instance that the DAG names."""
    if not issubclass(cls, EcrDockerOperator):
        # What the task would do if the policy converted it.
        settings = _settings()
        for parameters in _of_ours(task, ("image", _CONNECTION)):
            yield {**settings, **parameters}
        return
    yield from _of_ours(task, _READ)


def _of_ours(task: Any, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    given = {name: value for name in names if (value := _given(task, name, _MISSING)) is not _MISSING}
    for overrides in _expanded(task) if _is_mapped(task) else [{}]:
        yield {**given, **{name: value for name, value in overrides.items() if name in names}}


def _expanded(task: Any) -> Iterable[Mapping[str, Any]]:
    """Return what the DAG gives to each instance of a mapped task; what is known at run time only, stays as it is."""
    value = task.expand_input.value
    if not isinstance(value, dict):  # expand_kwargs
        is_known = isinstance(value, list | tuple) and all(isinstance(each, dict) for each in value)
        return value if is_known else [{"image": value}]
    ours = {name: each for name, each in value.items() if name in _READ}
    columns = [each if isinstance(each, list | tuple) else [each] for each in ours.values()]
    return [dict(zip(ours, row, strict=True)) for row in product(*columns)]


def _settings() -> dict[str, Any]:
    try:
        return {name: value for name, value in policy.settings().items() if name in PARAMETERS}
    except Exception:  # noqa: BLE001 - AirflowClusterPolicyViolation; reported with the policy
        return {}


_MISSING: Any = object()


def _given(task: Any, name: str, default: Any = None) -> Any:
    if _is_mapped(task):
        # Airflow adds the last when the task runs.
        places = (task.partial_kwargs, getattr(task.task_group, "default_args", {}), task.dag.default_args)
        given = next((place[name] for place in places if name in (place or {})), _MISSING)
        return getattr(task.operator_class, name, default) if given is _MISSING else given
    return getattr(task, name, default)


def _is_mapped(task: Any) -> bool:
    return hasattr(task, "partial_kwargs")


def _is_known(value: Any) -> bool:
    return value is None or isinstance(value, int) or literal(value) is not None


def _shown(value: Any) -> str:
    """Return a value of a task in a line; what the task before it returns, as its template."""
    if isinstance(value, str | int | None):
        return printable(str(value))
    classes = {cls.__name__ for cls in type(value).__mro__}
    # Others show all that the DAG gives to them.
    if "XComArg" in classes:
        text = str(value)
        return printable(text) if text.startswith("{{") else "what a task before it returns"
    if "MappedArgument" in classes:
        return "what its task group is mapped over"
    return f"<{type(value).__name__}>"


def _refreshes_in(path: Path) -> list[str]:
    """Return the operators that only refresh a login and are named in a file, which does not import."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, ValueError, SyntaxError):
        return []
    names = {getattr(node, name, None) for node in ast.walk(tree) for name in ("attr", "id", "name")}
    return [name for name in REFRESHES if name in names]
