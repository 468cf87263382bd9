"""What is different between two documents: one entry for each path whose value is another one."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

#: Levels that are looked into; what lies deeper is one value.
DEEPEST = 20
_ABSENT = object()


class Difference(NamedTuple):
    """One path, as people write it (``items[0].price``), and what is there in the one and in the other."""

    path: str
    kind: str
    """added, removed or changed."""
    before: Any
    """None where it is added."""
    after: Any
    """None where it is removed."""


def differences(before: Any, after: Any, path: str = "", levels: int = DEEPEST) -> Iterator[Difference]:
    """Yield what is different, in the order of the first document, what the second adds behind it."""
    parts = _parts(before, after, path) if levels else None
    if parts is None:
        if _written(before) != _written(after):
            yield Difference(path, "changed", before, after)
        return
    for part, old, new in parts:
        if old is _ABSENT:
            yield Difference(part, "added", None, new)
        elif new is _ABSENT:
            yield Difference(part, "removed", old, None)
        else:
            yield from differences(old, new, part, levels - 1)


def _parts(before: Any, after: Any, path: str) -> Iterable[tuple[str, Any, Any]] | None:
    """Return the parts of two objects, or of two arrays, side by side; None if there are none to compare."""
    if isinstance(before, dict) and isinstance(after, dict):
        start = f"{path}." if path else ""
        names = dict.fromkeys([*before, *after])
        return [(f"{start}{name}", before.get(name, _ABSENT), after.get(name, _ABSENT)) for name in names]
    if isinstance(before, list) and isinstance(after, list):
        most = max(len(before), len(after))
        return [(f"{path}[{at}]", _at(before, at), _at(after, at)) for at in range(most)]
    return None


def _at(values: list[Any], at: int) -> Any:
    return values[at] if at < len(values) else _ABSENT


def _written(value: Any) -> str:
    """Return a value as it is written: to Python, true, 1 and 1.0 are one."""
    return json.dumps(value, sort_keys=True)
