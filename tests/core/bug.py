"""What a bug is that is put into the core on purpose."""

from typing import Any, NamedTuple


class Bug(NamedTuple):
    """One function's line, replaced."""

    owner: Any
    function: str
    line: str
    instead: str
