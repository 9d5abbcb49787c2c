"""The check of all DAGs: runs it, and writes its result as a table or as one JSON document."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import dropwhile, groupby
from typing import TYPE_CHECKING, Any

from ecr_docker_operator.check.dags import ELSEWHERE, LATER, PULLED, REFUSED, UNKNOWN, Found, Image, Task, find
from ecr_docker_operator.check.leftovers import Leftover, leftovers
from ecr_docker_operator.check.questions import EngineQuestions, Login, ask_aws
from ecr_docker_operator.check.steps import connect
from ecr_docker_operator.ecr.reference import repository_of, split_image
from ecr_docker_operator.engine.progress import in_bytes
from ecr_docker_operator.errors import printable
from ecr_docker_operator.policy import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import TextIO

ORDER = (REFUSED, UNKNOWN, LATER, PULLED, ELSEWHERE)
"""Order of the states in the table."""
OK = {PULLED: True, REFUSED: False}
SHOWN = 10
"""Most images of one kind of failure, and most tasks of one reason, in the table."""
WIDTH = 40
"""Columns are at most this wide; longer values push the next one to the right."""


@dataclass
class Report:
    """The result of a check of all DAGs."""

    found: Found
    logins: list[Login] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    engine: Mapping[str, Any] | None = None
    """URL, version and platform; ``None`` if no engine was asked."""
    engine_error: str = ""
    """Why the engine that was named could not be asked."""
    policy: str = "off"

    @property
    def ok(self) -> bool:
        """Whether no image is refused, every file imports, and the engine that was named answers."""
        refused = any(image.state == REFUSED for image in self.found.images)
        return not (refused or self.found.import_errors or self.engine_error)


def run(folder: str | None, out: TextIO, **engine: Any) -> Report:
    """Read the DAGs, ask AWS and the engine about their images, and return the result.

    :param folder: folder or file with DAGs; default: the deployment's own.
    :param out: where progress is shown, if it is a terminal.
    :param engine: parameters of EcrDockerOperator that name an engine; without ``docker_url``, the default one is
        asked only if it answers, and only about the tasks that run on it.
    """
    report = Report(find(folder), policy=describe())
    images = report.found.images
    with _progress(out) as progress:
        report.logins = ask_aws(images, progress)
    try:
        questions = EngineQuestions(connect(**engine))
    except Exception as error:  # noqa: BLE001 - most machines have no engine, and AWS has answered
        if "docker_url" in engine:
            report.engine_error = str(error) or repr(error)
    else:
        report.engine = questions.facts
        questions.ask(image for image in images if "docker_url" in engine or image.on_default_engine)
    report.leftovers = leftovers(report.found)
    return report


@contextmanager
def _progress(out: TextIO) -> Iterator[Callable[[int, int], None]]:
    if not out.isatty():
        yield lambda _done, _total: None
        return
    # Airflow's own; only a terminal needs it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(
        # Not to standard output and error, which Airflow logs to.
        console=Console(file=out),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task("Asking AWS", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def write_table(report: Report, out: TextIO, marks: Mapping[bool | None, str]) -> None:
    """Write the table: failures first, each reason once, and a last line of sums."""
    out.writelines(f"{line}\n" for line in _lines(report, marks))


def _lines(report: Report, marks: Mapping[bool | None, str]) -> Iterator[str]:
    for path, error in report.found.import_errors.items():
        yield f"{marks[False]} {path}: not imported. {_cause(error)}"
    if report.engine_error:
        yield f"{marks[False]} {report.engine_error}"
    widths = [len(value) for value in _HEAD]
    for task in report.found.tasks:
        row = _row(task, marks)
        widths = [min(WIDTH, max(width, len(value))) for width, value in zip(widths, row, strict=True)]
    if report.found.tasks:
        yield _line(_HEAD, widths)
    by_state: dict[str, list[Task]] = {}
    for task in report.found.tasks:
        by_state.setdefault(task.image.state, []).append(task)
    for state in ORDER:
        tasks = by_state.get(state, [])
        if state in (REFUSED, UNKNOWN):
            yield from _with_reasons(tasks, widths, marks)
        else:
            yield from (_line(_row(task, marks), widths) for task in tasks)
    yield from (f"{marks[None]} {each.registry}: asked by {printable(each.name)}" for each in _strange(report.logins))
    if report.policy != "off":
        yield f"{marks[None]} policy: {report.policy}"
    if report.leftovers:
        yield ""
        yield "What can go:"
        yield from (f"- {printable(each.text)}" for each in report.leftovers)
    yield ""
    yield _sums(report)


_ONCE = ", once it logs in"
_HEAD = ("", "DAG", "task", "registry", "image", "state", "size")


def _row(task: Task, marks: Mapping[bool | None, str]) -> tuple[str, ...]:
    image = task.image
    size = image.answer.size if image.answer else None
    ok, state = OK.get(image.state), image.state
    if ok and task.lacks_login:
        ok, state = None, f"{state}{_ONCE}"
    state = f"{state}, on the engine" if image.on_engine else state
    names = ("", image.text) if image.state == LATER else _short(image)
    return (marks[ok], task.dag_id, task.task_id, *names, state, in_bytes(size) if size else "")


def _short(image: Image) -> tuple[str, str]:
    """Return the registry, and the rest of the name with a short digest."""
    registry = image.registry
    if registry is None and image.state == REFUSED:
        return "", printable(image.name)
    host, rest = split_image(image.name)
    before, at, digest = rest.partition("@")
    shown = f"{registry.registry_id} {registry.region_name}" if registry and registry.registry_id else host or ""
    return printable(shown), printable(f"{before}{at}{digest[: len('sha256:') + 12]}")


def _line(values: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(value.ljust(width) for value, width in zip(values, widths, strict=True)).rstrip()


def _with_reasons(tasks: list[Task], widths: list[int], marks: Mapping[bool | None, str]) -> Iterator[str]:
    by_kind: dict[str, list[Task]] = {}
    for task in tasks:
        by_kind.setdefault(task.image.kind, []).append(task)
    for same_kind in by_kind.values():
        same_kind.sort(key=lambda task: task.image.text)
        reasons = [(text, list(same)) for text, same in groupby(same_kind, key=lambda task: task.image.text)]
        for text, same in reasons[:SHOWN]:
            yield from (_line(_row(task, marks), widths) for task in same[:SHOWN])
            if len(same) > SHOWN:
                yield f"  … and {len(same) - SHOWN} more tasks, for the same reason (all: --json)"
            yield f"  {printable(text)}"
        if rest := reasons[SHOWN:]:
            count = sum(len(same) for _, same in rest)
            yield f"  … and {count} more tasks with {len(rest)} more images like these (all: --json)"


def _strange(logins: Iterable[Login]) -> list[Login]:
    """Return the logins whose AWS connection does not exist, but was asked for."""
    return [each for each in logins if each.ok and _connection_missing(each) and each.identity.aws_conn_id != _DEFAULT]


_DEFAULT = "aws_default"


def _connection_missing(login: Login) -> bool:
    return login.name != str(login.identity)


def _cause(error: str) -> str:
    """Return the exception and its message, without the traceback before it."""
    *_, last = error.split("Traceback (most recent call last):")
    lines = [line.rstrip() for line in last.splitlines() if line.strip()]
    message = list(dropwhile(lambda line: line.startswith(" "), lines))
    if message:
        return printable(" ".join(line.strip() for line in message))
    # That of a group of exceptions is indented.
    inner = [line.strip(" |+-") for line in lines if line.strip(" |+-")]
    return printable(inner[-1]) if inner else "Airflow does not say why."


def _sums(report: Report) -> str:
    found = report.found
    counts = _counts(found)
    parts = [f"{counts[state]} {state}" for state in ORDER if counts[state]]
    if lacking := len({(task.dag_id, task.task_id) for task in found.tasks if task.lacks_login}):
        parts.append(f"{_number(lacking, 'task')} without a login of {'their' if lacking > 1 else 'its'} own")
    if found.import_errors:
        parts.append(f"{_number(len(found.import_errors), 'file')} not imported")
    numbers = (
        _number(found.dags, "DAG"),
        f"{_number(len({(task.dag_id, task.task_id) for task in found.tasks}), 'task')} with an image",
        f"{_number(len(found.images), 'image')} in {_number(_repositories(found), 'repository')}",
    )
    return f"{', '.join(numbers)}: {', '.join(parts) or 'nothing to pull'}"


def _number(count: int, name: str) -> str:
    return f"{count} {name if count == 1 else name.replace('repository', 'repositorie') + 's'}"


def _counts(found: Found) -> dict[str, int]:
    return {state: sum(task.image.state == state for task in found.tasks) for state in ORDER}


def _repositories(found: Found) -> int:
    return len({repository_of(image.name) for image in found.images if image.state != LATER})


def write_json(report: Report, out: TextIO) -> None:
    """Write one JSON document; dags/README.md describes its keys."""
    found = report.found
    numbers = {id(image): number for number, image in enumerate(found.images)}
    document = {
        "ok": report.ok,
        "policy": report.policy,
        "dags": found.dags,
        "engine": {**report.engine} if report.engine else None,
        "engine_error": report.engine_error or None,
        "sums": _counts(found),
        "tasks": [
            {
                "dag": task.dag_id,
                "task": task.task_id,
                "operator": task.operator,
                "logs_in": task.logs_in,
                "docker_conn_id": task.docker_conn_id,
                "image": numbers[id(task.image)],
            }
            for task in found.tasks
        ],
        "images": [_image(image) for image in found.images],
        "logins": [
            {
                "registry_id": login.registry.registry_id,
                "region_name": login.registry.region_name,
                "aws_conn_id": login.identity.aws_conn_id,
                "ok": login.ok,
                "text": login.text or login.name,
            }
            for login in report.logins
        ],
        "import_errors": found.import_errors,
        "can_go": [
            {"kind": each.kind, "name": each.name, "text": each.text, "tasks": each.tasks} for each in report.leftovers
        ],
    }
    out.write(f"{json.dumps(document, indent=2)}\n")


def _image(image: Image) -> dict[str, Any]:
    answer = image.answer
    return {
        "image": image.name,
        "aws_conn_id": image.aws_conn_id,
        "registry_id": image.registry.registry_id if image.registry else None,
        "region_name": image.registry.region_name if image.registry else None,
        "state": image.state,
        "ok": OK.get(image.state),
        "text": image.text or None,
        "platforms": list(answer.platforms) if answer else [],
        "size": answer.size if answer else None,
        "on_engine": image.on_engine,
    }
