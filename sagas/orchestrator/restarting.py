"""Restarting: which sagas may be started anew, and that only once."""

from collections.abc import Mapping
from uuid import UUID

from sagas.core.words import SagaState
from sagas.models import CHILD, REPAIR, UNDO
from sagas.orchestrator.loading import Held

#: Kind of saga -> why one that failed is not restarted by itself.
TAKES_PART: Mapping[str, str] = {
    CHILD: "It is a child saga, and its parent would not undo another one: retry the parent's step, if that is held.",
    REPAIR: "It undoes what another saga did, and is no new start of its type: settle that other saga.",
    UNDO: "It undoes what another saga did, and is no new start of its type: retry the undo that waits for it.",
}


def obstacle(held: Held, successor: UUID | str | None) -> str | None:
    """Return why a saga is not restarted; ``successor`` is the one as which it was already, if it was."""
    if held.progress.state is not SagaState.FAILED:
        return f"The saga is {held.progress.state}; only one that failed can be restarted."
    if held.origin_kind in TAKES_PART:
        return TAKES_PART[held.origin_kind]
    if successor is not None:
        return f"The saga was already restarted, as {successor}; if that failed, restart that."
    return None
