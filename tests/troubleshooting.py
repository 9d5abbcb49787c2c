"""Update the tables of ``dags/TROUBLESHOOTING.md`` from the package's tables of next steps."""

from __future__ import annotations

import re
from pathlib import Path

from ecr_docker_operator import hints
from ecr_docker_operator.ecr.registry import EcrRegistry
from tests.stand.hosts import ACCOUNT, REGION

LIST = Path(__file__).parents[1] / "dags" / "TROUBLESHOOTING.md"
TABLES = {
    name: table for name, table in vars(hints).items() if isinstance(table, tuple) and isinstance(table[0], hints.Hint)
}
NAMES = {"actions": "ecr:GetAuthorizationToken", **EcrRegistry.private(ACCOUNT, REGION).hint_names}


def rows(table: tuple[hints.Hint, ...]) -> list[str]:
    """Return the rows of *table* in Markdown; rows with the same step are merged."""
    answers: dict[str, list[str]] = {}
    for pieces, step in table:
        answer = f"`{' … '.join(pieces)}`" if any(pieces) else "anything else"
        answers.setdefault(step.format(**NAMES), []).append(answer)
    return [f"| {', '.join(dict.fromkeys(quoted))} | {step} |" for step, quoted in answers.items()]


def renewed(text: str) -> str:
    """Return *text* with every table below a mark such as ``<!-- hints.AWS -->`` updated from the package."""
    return re.sub(
        r"^<!-- hints\.(\w+) -->\n(\|.*\n)*",
        lambda mark: "\n".join(
            (
                f"<!-- hints.{mark[1]} -->",
                "| the error quotes | what to do |",
                "|---|---|",
                *rows(TABLES[mark[1]]),
                "",
            )
        ),
        text,
        flags=re.MULTILINE,
    )


if __name__ == "__main__":
    LIST.write_text(renewed(LIST.read_text()))
