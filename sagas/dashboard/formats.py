"""How times, durations, ids, names and JSON are told in plain text."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.utils.text import Truncator

#: (seconds in one, used from so many on, its name, seconds in the unit below, that one's name), longest first.
_UNITS = (
    (86_400, 172_800, "d", 3_600, "h"),
    (3_600, 7_200, "h", 60, "min"),
    (60, 100, "min", 1, "s"),
)
#: How an id is written.
ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
#: Characters of a document that a page shows. A page must fit into one frame of the live socket, too.
LONGEST_TEXT = 100_000
#: Characters of a value, or of a path, beside many others.
BRIEF = 80
#: Names of a list that are shown one by one.
NAMED = 3


def moment(value: Any) -> datetime | None:
    """Read a time from a row or a snapshot."""
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else None


def relative(at: datetime, now: datetime) -> str:
    """Say how far away a time is: "12 s ago", "in 4 min"."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def span(seconds: float | None) -> str:
    """Say how long: "80 ms", "1.2 s", "4 min 10 s", "3 h 5 min"."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, least, name, below, lesser in _UNITS:
        if whole >= least:
            rest = whole % size // below
            return f"{whole // size} {name}" + (f" {rest} {lesser}" if rest and whole < 10 * size else "")
    return f"{whole} s"


def short(value: UUID | str) -> str:
    """Shorten an id to its end, which tells neighbours apart; its beginning is only the time."""
    return f"…{str(value)[-8:]}"


def known_as(correlation_id: str) -> str:
    """Return what people know a saga by: its correlation id; one that nobody chose is an id, and shown by its end."""
    return short(correlation_id) if re.fullmatch(ID, correlation_id) else correlation_id


def operation(command: str) -> str:
    """Shorten a command to what is done; its service is in the title."""
    return command.rpartition(".")[2]


def pretty(value: Any) -> str:
    """Show JSON indented, keys in their order; of what no person would read to the end, the beginning."""
    try:
        text = orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()
    except TypeError:  # a number that does not fit into 64 bits
        text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}\n… {len(text) - LONGEST_TEXT:,} more characters; the API has all of it."


def pairs(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return keys with their values; by ``values.items`` a template finds the value called items, if there is one."""
    return list(values.items())


def compact(value: Any) -> str:
    """Show JSON on one line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def brief(value: Any) -> str:
    """Show JSON on one line, a text in its quotes; of what is long, the beginning."""
    return Truncator(json.dumps(value, ensure_ascii=False, default=str)).chars(BRIEF)


def named(names: Any) -> str:
    """Name a few: "a, b, c and 4 more"; nothing if they are not told, as in a document without values."""
    if not isinstance(names, list):
        return ""
    first = ", ".join(Truncator(name).chars(BRIEF) for name in names[:NAMED])
    return f"{first} and {len(names) - NAMED} more" if len(names) > NAMED else first


def is_text(value: Any) -> bool:
    """Say whether a value is a text, or has parts."""
    return isinstance(value, str)


def words(value: Any) -> str:
    """Turn a code into words: ``retries_spent`` -> "retries spent"."""
    return str(value or "").replace("_", " ")


def below(path: str, place: str) -> bool:
    """Whether a page's path is this place, or something of it."""
    return path.startswith(place)
