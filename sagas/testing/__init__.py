"""For the tests of saga authors: given / when / then for whole sagas, and the drill.

Importing this needs no app registry: pytest loads the plugin before Django is set up.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sagas.testing.answers import completes as completes
    from sagas.testing.answers import handled as handled
    from sagas.testing.answers import late as late
    from sagas.testing.answers import promises as promises
    from sagas.testing.answers import rejects as rejects
    from sagas.testing.answers import unknown as unknown
    from sagas.testing.answers import unseen as unseen
    from sagas.testing.drilling import DrillFailed as DrillFailed
    from sagas.testing.drilling import drill as drill
    from sagas.testing.judging import Ending as Ending
    from sagas.testing.refusals import CannotDrill as CannotDrill
    from sagas.testing.story import given as given
    from sagas.testing.story import probe as probe
    from sagas.testing.story import undo as undo

_HOME = {
    "CannotDrill": "refusals",
    "DrillFailed": "drilling",
    "Ending": "judging",
    "completes": "answers",
    "drill": "drilling",
    "given": "story",
    "handled": "answers",
    "late": "answers",
    "probe": "story",
    "promises": "answers",
    "rejects": "answers",
    "undo": "story",
    "unknown": "answers",
    "unseen": "answers",
}

__all__ = [
    "CannotDrill",
    "DrillFailed",
    "Ending",
    "completes",
    "drill",
    "given",
    "handled",
    "late",
    "probe",
    "promises",
    "rejects",
    "undo",
    "unknown",
    "unseen",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"sagas.testing.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
