"""Plain JSON: what both databases can store, and every participant can read."""

import json
import re
from typing import Any

from sagas.core.offence import DEEPEST, first_offence

#: Bits of a whole number that nobody need write down to know that it can be.
_WORD = 64
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode
#: An escaped NUL character, which PostgreSQL has no room for.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class NotPlain(ValueError):
    """A value that plain JSON, or a database, has no room for. Its text says where it stands, and what is wrong."""


def plain(value: Any, name: str = "it") -> Any:
    """Return a value as it will be read back. Raises :class:`NotPlain`, which calls it by its name."""
    if _is_flat(value):
        return dict(value)
    try:
        text = _encode(value)
        text.encode()
    except (TypeError, ValueError, RecursionError) as wrong:
        raise NotPlain(_said(value, name)) from wrong
    except Exception as own:  # the value is of a class whose own code was asked for its parts
        raise NotPlain(_unreadable(name, own)) from own
    if "\\u0000" in text and _NUL.search(text):
        raise NotPlain(_said(value, name))
    read_back = json.loads(text)
    if text.count("[") + text.count("{") > DEEPEST and _depth(read_back) > DEEPEST:
        raise NotPlain(f"{name} is nested more than {DEEPEST} levels deep")
    return read_back


def _said(value: Any, name: str) -> str:
    """Say what is wrong with a value, also where its own code does not bear to be looked at."""
    try:
        return first_offence(value, name)
    except Exception as own:
        return _unreadable(name, own)


def _unreadable(name: str, own: Exception) -> str:
    return f"{name} cannot be read: {type(own).__name__}: {words_of(own)[:200]}"


def _is_flat(value: Any) -> bool:
    """Whether it is an object of short values, as most are, that are read back as they are: no need to write them."""
    return type(value) is dict and all(
        type(key) is str and key.isprintable() and _is_short(each) for key, each in value.items()
    )


def _is_short(value: Any) -> bool:
    # What is printable has neither a NUL character nor half of one.
    if type(value) is str:
        return value.isprintable()
    return value is None or type(value) is bool or (type(value) is int and value.bit_length() < _WORD)


def _depth(value: Any) -> int:
    """Count the levels, without recursion: that is what it guards against."""
    depth, level = 0, [value]
    while level := [inner for each in level for inner in _inside(each)]:
        depth += 1
    return depth


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def printable(text: str, limit: int = 2000) -> str:
    """Return a text without what databases have no room for, cut to a length."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:limit]


def words_of(fault: BaseException) -> str:
    """Return what an exception says; somebody's own kind may not know how."""
    try:
        return printable(str(fault))
    except Exception:
        return "it cannot say what"
