"""Every row of every table of next steps can match, and uses only the names that it gets."""

from __future__ import annotations

import errno
import inspect
import os

import botocore.endpoint
import botocore.exceptions
import botocore.parsers
import botocore.session
import pytest
from botocore.config import Config

from ecr_docker_operator import hints
from tests.troubleshooting import NAMES, TABLES

ROWS = [pytest.param(table, row, id=f"{name}-{row.pieces}") for name, table in TABLES.items() for row in table]


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_row(table: tuple[hints.Hint, ...], row: hints.Hint) -> None:
    """No earlier row matches the same messages, and no placeholder remains in the step."""
    step = hints.next_step(table, f"before {' between '.join(row.pieces)} behind", **NAMES)
    assert step == row.step.format(**NAMES)
    assert step.endswith(".")
    assert not {"{", "}"} & set(step)


def test_no_row() -> None:
    """A message without a matching row has no next step."""
    assert hints.next_step(hints.AWS, "something else", **NAMES) == ""


def test_words_are_botocores() -> None:
    """Quotes without brackets in the AWS table are messages and operations of the installed botocore, or Python's."""
    said = " ".join(
        str(getattr(error, "fmt", "")) for error in vars(botocore.exceptions).values() if isinstance(error, type)
    )
    said += " ".join(botocore.session.get_session().get_service_model("sts").operation_names)
    with pytest.raises(TypeError) as unknown:
        Config(nonsense=1)
    said += inspect.getsource(botocore.parsers)
    said += f" {unknown.value} <html <!doctype [Errno assume-role "
    said += " ".join(map(os.strerror, (errno.ENOENT, errno.EISDIR, errno.EACCES)))
    said += inspect.getsource(botocore.endpoint)
    ours = {hints.NO_TOKEN, hints.NO_END, hints.NO_HEADER, hints.UNREADABLE_ANSWER, hints.UNREADABLE_SETTINGS}
    ours |= {"//sts.", "HTTP status 3", "HTTP status 5", "Signature expired", "Signature not yet current"}
    quoted = {piece for row in hints.AWS for piece in row.pieces if not piece.startswith("(")} - ours
    assert {piece for piece in quoted if piece not in said} == set()
