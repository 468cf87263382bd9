"""Callbacks: what participants elsewhere answer when they are done, to the command that they name by its number.

The first answer counts and is remembered with it. The same one again gets the same reply and does nothing. Another one
is refused, but for a success after a no: it tells of an effect that nobody knew.
"""

import hashlib
import json
from collections.abc import Iterator
from uuid import UUID

from django.db import transaction

from sagas.core import messages as m
from sagas.core.draft import Refused
from sagas.core.events import DefinitionChanged
from sagas.core.words import Direction
from sagas.models import Callback, Event
from sagas.orchestrator import ledger, loading
from sagas.orchestrator.asked import NotFound
from sagas.orchestrator.replies import Answered, as_uuid, late_reply, take

_DISPATCHES = {"StepDispatched": Direction.DO, "UndoDispatched": Direction.UNDO}


def call_back(saga_id: UUID | str, service: str, reply: m.Completed | m.Rejected) -> bool:
    """Take a service's answer to a command of its own; return whether it was late: nobody waited for it any more.

    Raises NotFound for a command that the service was never sent, Refused for another answer than its first.
    """
    pk, digest = as_uuid(saga_id), _digest(reply)
    with transaction.atomic():
        group = ledger.Group()
        group.lock([pk])
        held = group.sagas.get(pk)
        if held is None or not _was_sent(held, service, reply.number):
            raise NotFound(f"{service} was sent no command {reply.number} of a saga {pk}.")
        told = Callback.objects.filter(saga_id=pk, number=reply.number).first()
        if told is not None and told.digest == digest:
            return told.late
        if told is not None and not _takes_back(told, reply):
            raise Refused(
                f"Command {reply.number} was answered otherwise before, and the first answer counts."
            )
        if _adds_nothing(held, reply):
            return False
        answer, late = Answered(pk, reply), held.progress.awaiting(reply.number) is None
        if not take(group, held, answer):
            late_reply(held, answer).save()
        group.write()
        # One that leaves its command open, as a no that may not speak for an earlier attempt, is not the last word.
        if late or held.progress.awaiting(reply.number) is None:
            kept = {"kind": _kind(reply), "digest": digest, "late": late}
            Callback.objects.update_or_create(kept, saga_id=pk, number=reply.number)
    return late


def _takes_back(told: Callback, reply: m.Completed | m.Rejected) -> bool:
    """Whether a participant that said no tells of a success after all."""
    return told.kind == "rejected" and isinstance(reply, m.Completed)


def _kind(reply: m.Completed | m.Rejected) -> str:
    return "completed" if isinstance(reply, m.Completed) else "rejected"


def _adds_nothing(held: loading.Held, reply: m.Completed | m.Rejected) -> bool:
    """Whether it is a no, such as one that is repeated, to a command whose outcome is unknown and that nobody awaits.

    It cannot speak for what was tried before, so all is as it was: to take it would cost an attempt.
    """
    step = held.progress.awaiting(reply.number)
    if step is None or not isinstance(reply, m.Rejected) or reply.inbox:
        return False
    return step.unresolved and step.waiting is None and reply.number not in held.claimed


def _was_sent(held: loading.Held, service: str, number: int) -> bool:
    event = Event.objects.filter(saga_id=held.id, sequence=number, type__in=_DISPATCHES).first()
    if event is None or event.step is None:
        return False
    name = held.definition.step(event.step).command(_DISPATCHES[event.type])
    names = {name, *_names_then(held, name, number)} if name is not None else ()
    return any(each.partition(".")[0] == service for each in names)


def _names_then(held: loading.Held, name: str, number: int) -> Iterator[str]:
    """Yield the names that a command had when it was sent, before operators had it called by this one."""
    since = Event.objects.filter(saga_id=held.id, sequence__gt=number, type=DefinitionChanged.__name__)
    for data in since.order_by("-sequence").values_list("data", flat=True):
        for before, after in data["renamed"].items():
            if after == name:
                name = before
                yield name
                break


def _digest(reply: m.Completed | m.Rejected) -> str:
    said = [_kind(reply), reply.result if isinstance(reply, m.Completed) else reply.reason]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
