"""The audit trail: who did what, and why; and by its id, whether an action was carried out before.

An entry is written in the transaction that it describes. The same action id again gives the answer that was given
then; but an id that stands for something else is refused.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

from django.db import IntegrityError

from sagas.models import IMPORT, OperatorAction
from sagas.orchestrator.asked import ALERT_VERBS, BATCH_VERBS, QUEUE_VERBS, VERBS, Asked, Invalid, Refused

#: All that is ever recorded, by the name under which it is.
DEEDS = (
    *VERBS,
    *(f"{verb}_alert" for verb in ALERT_VERBS),
    *(f"{verb}_queue" for verb in QUEUE_VERBS),
    *(f"{verb}_batch" for verb in ("start", *BATCH_VERBS)),
    "remap",
    IMPORT,
    "prune",
)
#: What a recorded request has beside what was asked for: what was found, or made.
_FOUND = {"edit": {"before", "changed"}, "start_batch": {"batch", "sagas"}}
#: Where a request of no saga in particular says what it was about.
_ABOUT = ("alert", "queue", "batch")

_Answer = TypeVar("_Answer")


class Otherwise(Invalid):
    """The action was carried out before, by its id, and not as it is asked for now."""

    def __init__(self, known: OperatorAction) -> None:
        super().__init__("action_id", f"was already used, to {_deed(known)}, and not as it is asked for now")
        self.known = known


def once(do: Callable[[], _Answer], stored: Callable[[], _Answer | None]) -> _Answer:
    """Return what comes of it; or, if in this moment it was done by another door, the answer that is stored."""
    try:
        return do()
    except (IntegrityError, Refused):
        answer = stored()
        if answer is None:
            raise
        return answer


def replayed(
    asked: Asked, verb: str, request: Mapping[str, Any], saga_id: UUID | None = None
) -> OperatorAction | None:
    """Return the entry of what is asked for, if by its id it was carried out before.

    Raises Invalid if that was something else; Otherwise if it was the same verb, with other particulars.
    """
    if asked.action_id is None:
        return None
    known = OperatorAction.objects.filter(action_id=asked.action_id).select_related("batch").first()
    if known is None:
        return None
    if (known.saga_id, known.verb, known.step) != (saga_id, verb, asked.step):
        raise Invalid("action_id", f"was already used, to {_deed(known)}")
    then = {name: value for name, value in known.request.items() if name not in _FOUND.get(verb, ())}
    if then != request:
        raise Otherwise(known)
    return known


def entry(
    asked: Asked, verb: str, request: Mapping[str, Any], *, at: datetime, **more: Any
) -> OperatorAction:
    """Return an entry that is not written yet; ``more`` are columns of its own, such as the saga and its versions."""
    assert verb in DEEDS
    given = {
        "action_id": asked.action_id or uuid4().hex,
        "verb": verb,
        "step": asked.step,
        "operator": asked.operator,
        "operator_name": asked.name,
        "via": asked.via,
        "batch": asked.batch,
        "reason": asked.reason,
        "request": request,
        "version_before": 0,
        "version_after": 0,
        "at": at,
    }
    return OperatorAction(**(given | more))


def record(asked: Asked, verb: str, request: Mapping[str, Any], *, at: datetime, **more: Any) -> None:
    """Write an entry. Raises IntegrityError if its action id has one."""
    entry(asked, verb, request, at=at, **more).save(force_insert=True)


def _deed(known: OperatorAction) -> str:
    about = next((str(known.request[name]) for name in _ABOUT if name in known.request), "sagas")
    step = f"{known.step} of " if known.step else ""
    return f"{known.verb.replace('_', ' ')} {f'{step}saga {known.saga_id}' if known.saga_id else about}"
