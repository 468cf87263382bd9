"""Where in its author's code an exception came from: what it says alone, such as ``KeyError: 'b'``, finds nobody."""

import os
import sysconfig
import traceback
from functools import lru_cache
from pathlib import Path

from sagas.core.plain import printable

#: Python's own modules, what is installed beside them, and ours: no author looks for a mistake there.
_NO_AUTHORS = (
    *{os.path.join(folder, "") for folder in map(sysconfig.get_path, ("stdlib", "platstdlib"))},
    os.path.join(Path(__file__).parents[1], ""),
)
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def place(fault: BaseException) -> str:
    """Return the innermost line of an author that it came through, as `` (sagas.py:41, in pay)``; "" if none."""
    came = [(frame.f_code, line) for frame, line in traceback.walk_tb(fault.__traceback__)]
    for code, line in reversed(came):
        if _is_an_authors(code.co_filename):
            return printable(f" ({Path(code.co_filename).name}:{line}, in {code.co_name})")
    return ""


@lru_cache(maxsize=1024)
def _is_an_authors(file: str) -> bool:
    generated = file.startswith("<")  # as <string> and <frozen importlib>
    return not (generated or file.startswith(_NO_AUTHORS) or _INSTALLED.intersection(Path(file).parts))
