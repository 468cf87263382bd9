"""A type's last drill, as its page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagas import orchestrator
from sagas.drills import Cause, Grid, causes, grids
from sagas.models import Definition, Drill


@dataclass(frozen=True)
class Drilled:
    """The table, and what to know of it."""

    drill: Drill
    grids: Sequence[Grid]
    causes: Sequence[Cause]
    """What did not hold, each with a trace."""
    changed: bool
    """The steps are no longer those that were drilled."""
    other: bool
    """What the page shows is another definition, of a saga whose data gave it other steps than the sample data."""


def drill_of(saga_type: str, author: Any, shown: Definition | None) -> Drilled | None:
    """Return the type's last drill, if there was one; ``shown`` is the definition that the page shows."""
    drill = Drill.objects.filter(pk=saga_type).first()
    if drill is None:
        return None
    digest = drill.definition_digest
    return Drilled(
        drill,
        list(grids(drill.table)),
        causes(drill.table),
        changed=_digest(author) != digest,
        other=shown is not None and shown.digest != digest,
    )


def _digest(author: Any) -> str | None:
    """Return the digest of the steps that the present code would give the sample data."""
    try:
        return orchestrator.sample_definition(author).digest
    except Exception:  # an author's code, which may raise anything: then it is not what was drilled
        return None
