"""A type's last drill, as its page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagas import orchestrator
from sagas.drills import Cause, Grid, causes, grids
from sagas.models import Drill
from sagas.orchestrator.start import check_data


@dataclass(frozen=True)
class Drilled:
    """The table, and what to know of it."""

    drill: Drill
    grids: Sequence[Grid]
    causes: Sequence[Cause]
    """What did not hold, each with a trace."""
    changed: bool
    """The steps are no longer those that were drilled."""


def drill_of(saga_type: str, author: Any) -> Drilled | None:
    """Return the type's last drill, if there was one."""
    drill = Drill.objects.filter(pk=saga_type).first()
    if drill is None:
        return None
    return Drilled(
        drill, list(grids(drill.table)), causes(drill.table), _digest(author) != drill.definition_digest
    )


def _digest(author: Any) -> str | None:
    """Return the digest of the steps that the present code would give the sample data."""
    try:
        return orchestrator.definition_for(author, check_data(author, author.sample_data)).digest
    except Exception:  # an author's code, which may raise anything: then it is not what was drilled
        return None
