"""Pausing a participant's queue: nothing on it is begun until an operator resumes it, at once or slowly.

A pause is a row and an operator action of no saga in particular. No saga changes by it: what is due stays due.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Coalesce

from sagas import registry, rows
from sagas.clock import database_now
from sagas.core.telling import in_utc
from sagas.models import Due, PausedQueue, Step
from sagas.orchestrator import trail
from sagas.orchestrator.asked import QUEUE_VERBS, Asked, Invalid, NotFound, Refused
from sagas.orchestrator.operators import check_operator, check_reason, check_words
from sagas.orchestrator.queues import Queue, queues
from sagas.signals import committed

#: The permission for both.
QUEUE_PERMISSION = "sagas.pause_queue"
#: Calls a second, at least and at most, that a queue can be resumed at.
SLOWEST, FASTEST = 0.01, 1000.0
#: What follows its service in a command's name.
_SERVICE = re.compile(r"[. ]")
#: Rows that are given their turns by one statement: somebody who wants one of them meanwhile waits for no more.
CHUNK = 900


@dataclass(frozen=True)
class QueuePlan:
    """What a verb would do to a queue, before it does it."""

    verb: str
    queue: Queue
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class QueueAnswer:
    """What became of it. ``queue`` is as plain data what it was about, with the pause as it is right after it."""

    verb: str
    queue: dict[str, Any]
    repeated: bool = False
    """The action id was known: this is the answer given then."""


def queue_named(name: str) -> Queue:
    """Return a queue as it stands. Raises NotFound."""
    for queue in queues(name):
        return queue
    known = ", ".join(queue.name for queue in queues() if queue.pausable)
    raise NotFound(f"There is no queue {name!r}; there are {known}.")


def act_on_queue(name: str, verb: str, asked: Asked, per_second: float | None = None) -> QueueAnswer:
    """Pause or resume a queue, and record it, in one transaction.

    What is due when it is resumed begins at once, or ``per_second`` a second: it is given its turns before the pause
    ends, so that none of it is begun meanwhile. ``asked.version`` is the number of the pause that is to be ended.
    Raises NotFound, Forbidden, Invalid, and Refused where it does not apply, or the pause is another by now. The
    same action id again returns the stored answer.
    """
    _check(verb, asked, per_second)
    check_reason(asked)
    stored = _stored(name, verb, asked, per_second)
    if stored:
        return stored
    try:
        return trail.once(
            lambda: _turn(name, verb, asked, per_second), lambda: _stored(name, verb, asked, per_second)
        )
    except IntegrityError:  # somebody else did it in this moment
        _check_applies(queue_named(name), verb, asked)
        raise


def preview_queue(name: str, verb: str, asked: Asked, per_second: float | None = None) -> QueuePlan:
    """Say what :func:`act_on_queue` would do, and change nothing. Raises as it does."""
    _check(verb, asked, per_second)
    queue = queue_named(name)
    _check_applies(queue, verb, asked)
    told = _of_pause(queue) if verb == "pause" else _of_resume(queue, per_second)
    return QueuePlan(verb, queue, tuple(told))


def _check(verb: str, asked: Asked, per_second: float | None) -> None:
    if verb not in QUEUE_VERBS:
        raise Invalid("verb", f"{verb!r} is not for queues; there are {', '.join(QUEUE_VERBS)}")
    check_operator(asked, QUEUE_PERMISSION, f"{verb} queues")
    check_words(asked)
    if verb == "pause" and asked.version is not None:
        raise Invalid("pause", "is not taken by pause: it is the number of the one that is to be ended")
    if per_second is None:
        return
    if verb != "resume":
        raise Invalid("per_second", "is not taken by pause; a queue is resumed slowly")
    if not math.isfinite(per_second) or not SLOWEST <= per_second <= FASTEST:
        raise Invalid("per_second", f"must be from {SLOWEST:g} to {FASTEST:g}")


def _check_applies(queue: Queue, verb: str, asked: Asked) -> None:
    """Raise Refused unless the verb applies to the queue as it is."""
    pause = queue.pause
    by = f"{pause.operator_name} paused it at {in_utc(pause.since)}: {pause.reason}" if pause else ""
    if not queue.pausable:
        raise Refused(f"{queue.name} is no participant's: what is due there is that a time is up.")
    if verb == "pause" and pause:
        raise Refused(f"{queue.name} is paused already: {by}")
    if verb == "resume" and pause is None:
        raise Refused(f"{queue.name} is not paused.")
    if verb == "resume" and pause and asked.version is not None and asked.version != pause.pk:
        raise Refused(f"It is another pause than you saw: {by}")


def _turn(name: str, verb: str, asked: Asked, per_second: float | None) -> QueueAnswer:
    if verb == "resume":
        _check_applies(queue_named(name), verb, asked)
        _give_turns(name, per_second)
    return _act(name, verb, asked, per_second)


@transaction.atomic
def _act(name: str, verb: str, asked: Asked, per_second: float | None) -> QueueAnswer:
    queue, now = queue_named(name), database_now()
    _check_applies(queue, verb, asked)
    pause = None
    if queue.pause is None:
        pause = PausedQueue.objects.create(
            queue=name, since=now, operator_name=asked.name, reason=asked.reason
        )
    else:
        ended, _ = PausedQueue.objects.filter(pk=queue.pause.pk).delete()
        if not ended:
            raise Refused(f"{name} is not paused any more: somebody resumed it in this moment.")
        transaction.on_commit(lambda: committed.send_robust(sender=PausedQueue, changes=[], queues={name}))
    after = replace(queue, pause=pause).document()
    trail.record(asked, f"{verb}_queue", _request(name, per_second), at=now, answer={"queue": after})
    return QueueAnswer(verb, after)


def _give_turns(queue: str, per_second: float | None) -> None:
    """Have what is due come one after the other, the longest due first; or, with no pace, undo that.

    The last first, each by the time of its own chunk: however long it takes, no more is due at once. What somebody
    has locked is left as it is, so that nobody is waited for.
    """
    now = database_now()
    put_off = list(_put_off(queue, now).values_list("since", "pk"))
    if per_second is None:
        for first in range(0, len(put_off), CHUNK):
            _move({pk: since for since, pk in put_off[first : first + CHUNK]})
        return
    due = _free(queue).filter(due_at__lte=now).values_list("since", "pk")
    ids = [pk for _, pk in sorted([*due, *put_off])]
    for last in range(len(ids), 0, -CHUNK):
        first, now = max(0, last - CHUNK), database_now()
        turns = enumerate(ids[first:last], first)
        _move({pk: now + timedelta(seconds=place / per_second) for place, pk in turns})


def _free(queue: str) -> Any:
    """Return what nobody holds there, and ``since`` when it is due by its step, whatever turn it was given."""
    step = Step.objects.filter(saga=OuterRef("saga"), name=OuterRef("step"))
    since = Coalesce(Subquery(step.values("due_at")[:1]), F("due_at"))
    return Due.objects.free().filter(queue=queue).annotate(since=since)


def _put_off(queue: str, now: datetime) -> Any:
    """Return what is due by its step, and was given a later turn by who resumed slowly."""
    return _free(queue).filter(due_at__gt=now, since__lte=now)


def _move(due_at: Mapping[int, datetime]) -> None:
    with transaction.atomic():
        found = Due.objects.free().filter(pk__in=due_at).order_by("pk").select_for_update(skip_locked=True)
        batch = rows.Batch(Due)
        batch.update(
            Due, ("id",), ("due_at",), [(pk, due_at[pk]) for pk in found.values_list("pk", flat=True)]
        )
        batch.write()


def _stored(name: str, verb: str, asked: Asked, per_second: float | None) -> QueueAnswer | None:
    known = trail.replayed(asked, f"{verb}_queue", _request(name, per_second))
    return QueueAnswer(verb, known.answer["queue"], repeated=True) if known else None


def _request(name: str, per_second: float | None) -> dict[str, Any]:
    return {"queue": name} if per_second is None else {"queue": name, "per_second": per_second}


def _of_pause(queue: Queue) -> list[str]:
    services = tuple(dict.fromkeys(_SERVICE.split(command)[0] for command in queue.commands))
    what = f": no action, no undo, no probe{f' of {_listed(services)}' if services else ''}"
    if queue.name == registry.EVENTS_QUEUE:
        what = ": hooks and subscribers hear later of what happened"
    told = [
        f"Within a second, no worker begins anything on {queue.name} any more, until it is resumed{what}."
    ]
    if queue.leased:
        told.append(f"{_counted(queue.leased)} under way: that goes on, and its reply is taken.")
    if queue.due or queue.later:
        later = f", and {queue.later} that would come later" if queue.later else ""
        told.append(f"{_counted(queue.due)} due there now{later}. It waits, and no attempt of it is used up.")
    told += [
        "Sagas start, and go on until they need it.",
        "Deadlines and timers go on. A saga whose deadline passes rolls back, and an undo on this queue waits, too; "
        "a step whose own deadline passes while it waits here is tried once, and not again; and a choreography "
        "in which what is expected does not happen in time, asks for a person.",
    ]
    return told


def _of_resume(queue: Queue, per_second: float | None) -> list[str]:
    put_off = _put_off(queue.name, database_now()).count()
    backlog = queue.due + put_off
    if per_second is None:
        told = [f"Workers begin with what is due on {queue.name}, the longest due first: {backlog} now."]
    else:
        last = _lasting(max(backlog - 1, 0) / per_second)
        told = [
            f"What is due on {queue.name} begins one after the other, {per_second:g} a second, the longest due first: "
            f"{backlog} now, the last of them after {last}.",
            "What becomes due from now on is begun at once, as ever. To change the pace, pause it again.",
        ]
    if put_off:
        told.append(f"Among them, {_counted(put_off)} still put off by who resumed it slowly before.")
    if queue.held:
        told.append(f"{_counted(queue.held)} of sagas that are paused themselves: that stays so.")
    if not queue.workers:
        told.append("No worker serves it at the moment: it waits for one.")
    return told


def _lasting(seconds: float) -> str:
    """Say how long that is, in the unit in which one thinks of it."""
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _counted(count: int) -> str:
    return "1 call is" if count == 1 else f"{count} calls are"


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
