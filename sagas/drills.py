"""What is kept of drills: each saga type's last table, with when and at which code it was made."""

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models.functions import Now

from sagas.core.words import Direction
from sagas.models import Drill


def keep(document: Mapping[str, Any], code: str) -> Drill:
    """Keep a report's document in place of the type's last one; ``code`` says which code was drilled."""
    values = {
        "definition_digest": document["definition"],
        "code": code,
        "points": document["points"],
        "failing": document["failing"],
        "table": document["table"],
        "unreached": document["unreached"],
        "ran_at": Now(),
    }
    return Drill.objects.update_or_create(saga_type=document["type"], defaults=values)[0]


def code_version(file: str) -> str:
    """Return the git commit of the code in which this file is, with ``-dirty`` if it was changed; or nothing."""
    asked = ["git", "-C", str(Path(file).resolve().parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()


@dataclass(frozen=True)
class Grid:
    """A table: a row for each command, a column for each thing that can go wrong there."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """The command's name, and the verdict in each column; empty where it cannot happen."""


def grids(table: Sequence[Mapping[str, Any]]) -> Iterator[Grid]:
    """Yield the failures, and the operators' verbs, of a report's table."""
    for title, verb in (("Failures", False), ("Operators", True)):
        cells = {(_row(each), each["failure"]): each["verdict"] for each in table if each["verb"] is verb}
        columns = tuple(dict.fromkeys(column for _, column in cells))
        names = dict.fromkeys(row for row, _ in cells)
        if cells:
            yield Grid(
                title, columns, tuple((r, tuple(cells.get((r, c), "") for c in columns)) for r in names)
            )


@dataclass(frozen=True)
class Cause:
    """What does not hold at several points in the same words: one of them tells for all."""

    point: str
    trace: str
    others: tuple[str, ...]


def causes(table: Iterable[Mapping[str, Any]]) -> list[Cause]:
    """Gather the points of a table that do not hold, by what is wrong; the shortest trace of each tells it best."""
    alike: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for each in table:
        if each["problems"]:
            key = tuple(_NUMBER.sub("", problem) for problem in each["problems"])
            alike.setdefault(key, []).append(each)
    return [_cause(those) for those in alike.values()]


#: The rows' keys, which differ from run to run.
_NUMBER = re.compile(r"\b[0-9]+\b")


def _cause(those: list[Mapping[str, Any]]) -> Cause:
    shortest = min(those, key=lambda each: each["trace"].count("\n"))
    others = tuple(_point(each) for each in those if each is not shortest)
    return Cause(_point(shortest), shortest["trace"], others)


def _point(each: Mapping[str, Any]) -> str:
    return f"{_row(each)}: {each['failure']}"


def _row(each: Mapping[str, Any]) -> str:
    return f"undo {each['step']}" if each["direction"] == Direction.UNDO else str(each["step"])
