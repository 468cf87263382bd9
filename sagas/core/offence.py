"""What of a value is not plain JSON: where it stands, what it is, and how else to write it."""

import math
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

#: More levels than any sane document has; SQLite itself stops at 1,000.
DEEPEST = 200
#: Of these the text says all.
_TEXTS = (date, datetime, time, timedelta, Decimal, UUID)


def first_offence(value: Any, name: str) -> str:
    """Say of the first part of a value that is not plain where it stands and what it is.

    It goes by hand through what it has yet to look at: a value may contain itself, or be deeper than Python goes.
    """
    todo = [(value, name, 0)]
    while todo:
        each, where, depth = todo.pop()
        if depth > DEEPEST:
            return f"{name} is nested more than {DEEPEST} levels deep, or contains itself"
        wrong = _offence(each)
        if wrong is not None:
            return f"{where} {wrong}"
        todo += [(part, where + place, depth + 1) for place, part in reversed([*_parts(each)])]
    return f"{name} is not plain JSON"


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f".{key!s:.80}", part) for key, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))


def _offence(value: Any) -> str | None:
    """Say what is wrong with a value by itself, whatever it contains."""
    match value:
        case None | bool() | list() | tuple():
            return None
        case str():
            return _offence_of_text(value)
        case int():
            return None if _is_written(value) else "has more digits than Python writes"
        case float():
            return None if math.isfinite(value) else f"is {value}, which JSON has no room for"
        case dict():
            return next(filter(None, map(_offence_of_key, value)), None)
    return _kind(value)


def _offence_of_text(text: str) -> str | None:
    if "\x00" in text:
        return "contains the NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "contains half a character (a lone surrogate)"
    return None


def _offence_of_key(key: Any) -> str | None:
    """Say what is wrong with a key. Numbers, booleans and None are written as texts, as JSON's encoder does."""
    if isinstance(key, str):
        wrong = _offence_of_text(key)
        return wrong and f"has the key {key!a:.80}, which {wrong}"
    written = key is None or isinstance(key, int) or (isinstance(key, float) and math.isfinite(key))
    return None if written else f"has the key {key!r:.80}, which is no text"


def _is_written(number: int) -> bool:
    try:
        int.__repr__(number)
    except ValueError:
        return False
    return True


def _kind(value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, Awaitable):
        return f"is a {kind}: did you forget await?"
    if isinstance(value, bytes | bytearray):
        return "is bytes; write it as text"
    what = f"is {'an' if kind[0] in 'AEIOaeio' else 'a'} {kind}"
    remedy = _remedy(value)
    return f"{what}; write it as {remedy}" if remedy else f"{what}, which is not plain JSON"


def _remedy(value: Any) -> str:
    if isinstance(value, _TEXTS):
        return "text"
    if hasattr(value, "model_dump"):  # pydantic's, which can be iterated over, too
        return "its model_dump(mode='json')"
    if isinstance(value, Mapping):
        return "a dict"
    return "a list" if isinstance(value, Iterable) else ""
