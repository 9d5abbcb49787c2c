"""The command ``python -m ecr_docker_operator check``, for one image or, with ``--dags``, for those of all DAGs.

From Airflow 3.2 on, also ``airflow ecr-docker check``.

Every ``airflow`` command imports this file, so the other modules are imported only when the check runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from ecr_docker_operator.check.steps import Step

NAME = "ecr-docker"
HELP = "Docker with Amazon ECR"
CHECK_HELP = (
    "Check, step by step, whether a task could pull and run an image; with --dags, check the images of all tasks. "
    "Nothing is pulled."
)
# Exit statuses.
WRONG_USAGE, NOT_WRITTEN, INTERRUPTED = 2, 3, 130
MARKS = {True: "✓", False: "✗", None: "·"}
PLAIN_MARKS = {True: "+", False: "x", None: "-"}
"""For terminals that cannot show the others."""


def _true_or_false(text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.lower()]
    except KeyError:
        msg = f"expected true or false, got {text!r}"
        raise argparse.ArgumentTypeError(msg) from None


# Flag -> options of its argument. All but the last three are parameters of EcrDockerOperator, passed on if given.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "image": {"nargs": "?", "help": "as in the task"},
    "--aws-conn-id": {"help": "AWS connection whose identity asks for the token; '': boto3's own credential chain"},
    "--region-name": {"help": "region of the registry"},
    "--registry-id": {"help": "AWS account that owns the registry, 12 digits"},
    "--registry-host": {"help": "alias or proxy that stands for that account's registry in that region"},
    "--verify": {"metavar": "BOOL_OR_FILE", "help": "whether, or by which file, to verify AWS's TLS"},
    "--docker-url": {"action": "append", "help": "where the engine is; may be given several times"},
    "--tls-ca-cert": {"metavar": "FILE", "help": "certificate of the authority that signed the engine's"},
    "--tls-client-cert": {"metavar": "FILE", "help": "certificate that is shown to the engine"},
    "--tls-client-key": {"metavar": "FILE", "help": "its key"},
    "--tls-verify": {"type": _true_or_false, "metavar": "BOOL", "help": "whether to verify the engine's certificate"},
    "--dags": {
        "nargs": "?",
        "metavar": "FOLDER",
        "help": "check the images of all tasks in the DAGs of a folder or file; default: the deployment's own",
    },
    "--json": {"action": "store_true", "default": False, "help": "print one JSON document"},
    "--verbose": {"action": "store_true", "default": False, "help": "show Airflow's log, too, on standard error"},
}
_NOT_OF_THE_TASK = ("json", "verbose")
_WITH_DAGS = ("docker_url", "tls_ca_cert", "tls_client_cert", "tls_client_key", "tls_verify")


def get_commands() -> list[Any]:
    """Return the commands for Airflow's command line (provider info, ``cli``)."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand  # noqa: PLC0415 - see above

    arguments = [Arg((flag,), **{"default": argparse.SUPPRESS, **options}) for flag, options in ARGUMENTS.items()]
    return [GroupCommand(NAME, HELP, [ActionCommand("check", CHECK_HELP, check, arguments)])]


def main(arguments: list[str] | None = None) -> None:
    """Run the command in *arguments* (default: those of this process).

    :raises SystemExit: always: 0 if no step failed, 1 if one failed, 2 for invalid arguments, or as :func:`check`.
    """
    parser = argparse.ArgumentParser(prog="python -m ecr_docker_operator", description=HELP)
    command = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "check", help=CHECK_HELP, description=CHECK_HELP, argument_default=argparse.SUPPRESS
    )
    for flag, options in ARGUMENTS.items():
        command.add_argument(flag, **options)
    parsed = parser.parse_args(arguments)
    if wrong := _wrong_usage(parsed):
        command.error(wrong)
    check(parsed)


def check(arguments: argparse.Namespace) -> None:
    """Run the check, and print its result.

    :raises SystemExit: always: 0 if nothing failed, 1 if something failed, 2 for invalid arguments or if there is no
        DAG, 3 if the result could not be written, 130 after an interrupt.
    """
    if wrong := _wrong_usage(arguments):  # from Airflow's command line
        sys.stderr.write(f"{wrong}.\n")
        sys.exit(WRONG_USAGE)
    try:
        status = _check_dags(arguments) if "dags" in _given(arguments) else _check_image(arguments)
    except BrokenPipeError:  # the reader closed the pipe
        status = NOT_WRITTEN
    except OSError as error:  # errors inside a step are reported as that step
        status = NOT_WRITTEN
        sys.stderr.write(f"The result could not be written: {error.strerror}.\n")
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def _wrong_usage(arguments: argparse.Namespace) -> str:
    given = _given(arguments)
    if ("image" in given) == ("dags" in given):
        return "name an image, or --dags"
    if "dags" in given and (wrong := sorted(given.keys() - {"dags", *_NOT_OF_THE_TASK, *_WITH_DAGS})):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
        return f"not with --dags, because each task names its own: {flags}"
    return ""


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    names = [flag.removeprefix("--").replace("-", "_") for flag in ARGUMENTS]
    return {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}


def _check_dags(arguments: argparse.Namespace) -> int:
    """Print the result for all DAGs, and return the exit status."""
    parameters = _given(arguments)
    folder = parameters.pop("dags")
    as_json, verbose = (parameters.pop(name) for name in _NOT_OF_THE_TASK)
    if folder and not Path(folder).exists():
        sys.stderr.write(f"--dags: there is no {folder}.\n")
        return WRONG_USAGE
    with _only_ours(verbose=verbose) as out:
        from ecr_docker_operator.compat import use_database  # noqa: PLC0415 - Airflow may print on import

        use_database()
        from ecr_docker_operator.check.report import run, write_json, write_table  # noqa: PLC0415

        report = run(folder, out, **parameters)
        if as_json:
            write_json(report, out)
        elif report.found.dags or report.found.import_errors:
            write_table(report, out, _marks(out))
    if not report.found.dags and not report.found.import_errors:
        sys.stderr.write(f"--dags: there is no DAG in {', '.join(sorted(report.found.folders)) or 'any DAG bundle'}.\n")
        return WRONG_USAGE
    return int(not report.ok)


def _check_image(arguments: argparse.Namespace) -> int:
    """Print the steps for one image, and return the exit status."""
    parameters = _given(arguments)
    as_json, verbose = (parameters.pop(name) for name in _NOT_OF_THE_TASK)
    with _only_ours(verbose=verbose) as out:
        from ecr_docker_operator.check.steps import run  # noqa: PLC0415 - see above; Airflow may print on import
        from ecr_docker_operator.compat import use_database  # noqa: PLC0415
        from ecr_docker_operator.errors import printable  # noqa: PLC0415
        from ecr_docker_operator.policy import describe  # noqa: PLC0415

        use_database()
        steps = []
        for step in run(**parameters):
            steps.append(step)
            if not as_json:
                out.write(f"{_marks(out)[step.ok]} {step.name:<13} {printable(step.text)}\n")
                out.flush()
        policy = describe()
        if not as_json and policy != "off":
            out.write(f"{_marks(out)[None]} {'policy':<13} {policy}\n")
        well = all(step.ok is not False for step in steps)
        if as_json:
            document = {"ok": well, "policy": policy, "steps": [_document(step) for step in steps]}
            out.write(f"{json.dumps(document, indent=2)}\n")
    return WRONG_USAGE if any(step.wrong_usage for step in steps) else int(not well)


def _document(step: Step) -> dict[str, Any]:
    return {"name": step.name, "ok": step.ok, "text": step.text, **step.facts}


def _marks(out: TextIO) -> dict[bool | None, str]:
    try:
        "".join(MARKS.values()).encode(out.encoding)
    except UnicodeEncodeError:
        return PLAIN_MARKS
    return MARKS


@contextmanager
def _only_ours(*, verbose: bool) -> Iterator[TextIO]:
    """Provide standard output, and redirect all other output, because some versions of Airflow log to it."""
    for stream in range(3):
        try:
            os.fstat(stream)
        except OSError:  # the next opened file would take the number of a closed one
            os.open(os.devnull, os.O_RDWR)
    # Python sets these to None if they were closed at its start.
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    sys.stdout.flush()
    kept = {1: os.dup(1), 2: os.dup(2)}
    with Path(os.devnull).open("w") as nowhere:
        for stream in kept:
            os.dup2(2 if verbose else nowhere.fileno(), stream)
    try:
        with os.fdopen(os.dup(kept[1]), "w", encoding=sys.stdout.encoding, errors="backslashreplace") as out:
            yield out
    finally:
        sys.stdout.flush()
        for stream, before in kept.items():
            os.dup2(before, stream)
            os.close(before)
