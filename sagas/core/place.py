"""Where in its author's code an exception came from: what it says alone, such as ``KeyError: 'b'``, finds nobody."""

import os
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from sagas.core.plain import printable

#: Python's own modules, what is installed beside them, and ours: no author looks for a mistake there.
_NO_AUTHORS = (
    *{os.path.join(folder, "") for folder in map(sysconfig.get_path, ("stdlib", "platstdlib"))},
    os.path.join(Path(__file__).parents[1], ""),
)
_INSTALLED = frozenset({"site-packages", "dist-packages"})


class Line(NamedTuple):
    """A line of an author's code."""

    file: str
    number: int
    function: str


def place(fault: BaseException) -> str:
    """Return the innermost line of an author that it came through, as `` (sagas.py:41, in pay)``; "" if none."""
    line = line_of(fault)
    return f" ({line.file}:{line.number}, in {line.function})" if line else ""


def line_of(fault: BaseException) -> Line | None:
    """Return the innermost line of an author that an exception came through, if there is one."""
    return innermost((frame.f_code, line) for frame, line in traceback.walk_tb(fault.__traceback__))


def line_here() -> Line | None:
    """Return the line of an author that has called us, if one has."""
    calls = ((frame.f_code, line) for frame, line in traceback.walk_stack(sys._getframe(1)))
    return next(filter(None, map(_authors, calls)), None)


def innermost(calls: Iterable[tuple[CodeType, int]]) -> Line | None:
    """Return the last of some lines of code, the outermost first, that is an author's."""
    return next(filter(None, map(_authors, reversed([*calls]))), None)


def _authors(call: tuple[CodeType, int]) -> Line | None:
    code, number = call
    if not _is_an_authors(code.co_filename):
        return None
    return Line(printable(Path(code.co_filename).name), number, printable(code.co_name))


@lru_cache(maxsize=1024)
def _is_an_authors(file: str) -> bool:
    generated = file.startswith("<")  # as <string> and <frozen importlib>
    return not (generated or file.startswith(_NO_AUTHORS) or _INSTALLED.intersection(Path(file).parts))
