"""What an author may have misspelt on a saga's class: Python accepts it, and nobody ever asks for it."""

import difflib
import inspect
from collections.abc import Iterator
from typing import Any

from sagas.orchestrator.outbox import HOOKS

#: What is asked of every class, though not all of ours have it.
_ASKED = frozenset({"saga_deadline", "default_timeout", *HOOKS.values()})
#: What callers call: no author defines these, so nobody has misspelt them.
_VERBS = ("start", "astart", "run", "arun", "handle_", "ahandle_")
#: How alike two names are, of 1, where one is taken for the other.
_ALIKE = 0.8


def misspelt(saga_class: type[Any]) -> Iterator[tuple[str, str]]:
    """Yield for each name that looks misspelt the class that defines it, and a sentence."""
    ours = [each for each in saga_class.__mro__ if _is_ours(each)]
    known = _ASKED.union(*(vars(each).keys() | inspect.get_annotations(each).keys() for each in ours))
    for each in saga_class.__mro__:
        if not _is_ours(each) and each is not object:
            yield from ((_path(each), told) for told in _strange(each, known))


def _strange(saga_class: type[Any], known: frozenset[str]) -> Iterator[str]:
    options = [name for name in known if not name.startswith(("_", *_VERBS))]
    for name, value in vars(saga_class).items():
        if name.startswith("_") or name in known:
            continue
        meant = difflib.get_close_matches(name, options, n=1, cutoff=_ALIKE)
        if meant or name.startswith("on_"):
            does = "calls" if callable(value) else "reads"
            remedy = (
                f"did you mean {meant[0]}?" if meant else f"its hooks are {' and '.join(HOOKS.values())}."
            )
            yield f"{saga_class.__name__}.{name} is nothing that Sagadesk {does}; {remedy}"


def _is_ours(saga_class: type[Any]) -> bool:
    return saga_class.__module__.partition(".")[0] == __name__.partition(".")[0]


def _path(saga_class: type[Any]) -> str:
    return f"{saga_class.__module__}.{saga_class.__qualname__}"
