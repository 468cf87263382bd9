"""Pausing a participant's queue: nothing on it is begun until an operator resumes it, at once or slowly.

A pause is a row and an operator action of no saga in particular. No saga changes by it: what is due stays due.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction

from sagas import registry, rows
from sagas.clock import database_now
from sagas.models import Due, OperatorAction, PausedQueue
from sagas.orchestrator.asked import LONGEST_REASON, Asked, Forbidden, Invalid, NotFound, Refused
from sagas.orchestrator.operators import check_reason
from sagas.orchestrator.queues import Queue, queues
from sagas.orchestrator.start import plain
from sagas.signals import committed

#: What can be done to a queue, and what that is called where people read it.
QUEUE_VERBS: Mapping[str, str] = {"pause": "Pause", "resume": "Resume"}
#: The permission for both.
QUEUE_PERMISSION = "sagas.pause_queue"
#: Calls a second, at least and at most, that a queue can be resumed at.
SLOWEST, FASTEST = 0.01, 1000.0
#: What follows its service in a command's name.
_SERVICE = re.compile(r"[. ]")
#: Rows that are put off by one statement.
CHUNK = 5_000


@dataclass(frozen=True)
class QueuePlan:
    """What a verb would do to a queue, before it does it."""

    verb: str
    queue: Queue
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class QueueAnswer:
    """What became of it. ``queue`` is the queue right after it, as plain data."""

    verb: str
    queue: dict[str, Any]
    repeated: bool = False
    """The action id was known: this is the answer given then."""


def queue_named(name: str) -> Queue:
    """Return a queue as it stands. Raises NotFound."""
    found = queues()
    for queue in found:
        if queue.name == name:
            return queue
    raise NotFound(f"There is no queue {name!r}; there are {', '.join(q.name for q in found if q.pausable)}.")


def act_on_queue(name: str, verb: str, asked: Asked, per_second: float | None = None) -> QueueAnswer:
    """Pause or resume a queue, and record it, in one transaction.

    What is due when it is resumed begins at once, or ``per_second`` a second. ``asked.version`` is the number of
    the pause that was seen. Raises NotFound, Forbidden, Invalid, and Refused where it does not apply, or the pause
    is another by now. The same action id again returns the stored answer.
    """
    _check(verb, asked, per_second)
    check_reason(asked)
    try:
        with transaction.atomic():
            stored = _stored(name, verb, asked, per_second)
            if stored:
                return stored
            queue = queue_named(name)
            _check_applies(queue, verb, asked)
            now = database_now()
            if queue.pause is None:
                PausedQueue.objects.create(
                    queue=name, since=now, operator_name=asked.name, reason=asked.reason
                )
            else:
                _resume(queue.pause, per_second, now)
            return _record(name, verb, asked, per_second, now)
    except (
        IntegrityError
    ):  # somebody else did it in the same moment; or it is the same action, by another door
        stored = _stored(name, verb, asked, per_second)
        if stored is None:
            _check_applies(queue_named(name), verb, asked)
            raise
        return stored


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
    if asked.operator is None and asked.via != "command":
        raise Forbidden("Nobody is logged in.")
    if asked.operator is not None and not asked.operator.has_perm(QUEUE_PERMISSION):
        raise Forbidden(f"You may not {verb} queues; it needs the permission {QUEUE_PERMISSION}.")
    for field in ("reason", "action_id"):
        plain(getattr(asked, field), field)
    if len(asked.reason or "") > LONGEST_REASON:
        raise Invalid("reason", f"must be at most {LONGEST_REASON} characters")
    if asked.action_id is not None and not 0 < len(asked.action_id) <= 100:
        raise Invalid("action_id", "must be a text of 1 to 100 characters")
    if per_second is None:
        return
    if verb != "resume":
        raise Invalid("per_second", "is not taken by pause; a queue is resumed slowly")
    if not math.isfinite(per_second) or not SLOWEST <= per_second <= FASTEST:
        raise Invalid("per_second", f"must be from {SLOWEST:g} to {FASTEST:g}")


def _check_applies(queue: Queue, verb: str, asked: Asked) -> None:
    """Raise Refused unless the verb applies to the queue as it is."""
    pause = queue.pause
    by = f"by {pause.operator_name} since {_in_utc(pause.since)}: {pause.reason}" if pause else ""
    if not queue.pausable:
        raise Refused(f"{queue.name} is no participant's: what is due there is that a time is up.")
    if verb == "pause" and pause:
        raise Refused(f"{queue.name} is paused already, {by}")
    if verb == "resume" and pause is None:
        raise Refused(f"{queue.name} is not paused.")
    if verb == "resume" and pause and asked.version is not None and asked.version != pause.pk:
        raise Refused(f"It is another pause than you saw: {queue.name} is paused {by}")


def _resume(pause: PausedQueue, per_second: float | None, now: datetime) -> None:
    queue = pause.queue
    ended, _ = PausedQueue.objects.filter(pk=pause.pk).delete()
    if not ended:
        raise Refused(f"{queue} is not paused any more: somebody resumed it in this moment.")
    if per_second is not None:
        _put_off(queue, per_second, now)
    transaction.on_commit(lambda: committed.send_robust(sender=PausedQueue, changes=[], queues={queue}))


def _put_off(queue: str, per_second: float, now: datetime) -> None:
    """Have what is due come one after the other, the longest due first. What somebody has locked is not put off."""
    due = Due.objects.free().filter(queue=queue, due_at__lte=now).order_by("due_at", "pk")
    ids = list(due.select_for_update(skip_locked=True).values_list("pk", flat=True))
    turns = [(pk, now + timedelta(seconds=place / per_second)) for place, pk in enumerate(ids)]
    for first in range(0, len(turns), CHUNK):
        batch = rows.Batch(Due)
        batch.update(Due, ("id",), ("due_at",), turns[first : first + CHUNK])
        batch.write()


def _stored(name: str, verb: str, asked: Asked, per_second: float | None) -> QueueAnswer | None:
    if asked.action_id is None:
        return None
    known = OperatorAction.objects.filter(action_id=asked.action_id).first()
    if known is None:
        return None
    if (known.verb, known.request) != (f"{verb}_queue", _request(name, per_second)):
        raise Invalid("action_id", "was already used, for something else")
    return QueueAnswer(verb, known.answer["queue"], repeated=True)


def _record(name: str, verb: str, asked: Asked, per_second: float | None, now: datetime) -> QueueAnswer:
    after = queue_named(name).document()
    OperatorAction.objects.create(
        action_id=asked.action_id or uuid4().hex,
        verb=f"{verb}_queue",
        operator=asked.operator,
        operator_name=asked.name,
        via=asked.via,
        reason=asked.reason,
        request=_request(name, per_second),
        version_before=0,
        version_after=0,
        answer={"queue": after},
        at=now,
    )
    return QueueAnswer(verb, after)


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
    told.append(
        "Sagas start and go on until they need it. Their deadlines and timers go on: a saga whose deadline passes "
        "rolls back, and an undo on this queue waits, too."
    )
    return told


def _of_resume(queue: Queue, per_second: float | None) -> list[str]:
    if per_second is None:
        told = [f"Workers begin with what is due on {queue.name}, the longest due first: {queue.due} now."]
    else:
        last = _lasting(max(queue.due - 1, 0) / per_second)
        told = [
            f"What is due on {queue.name} begins one after the other, {per_second:g} a second, the longest due first: "
            f"{queue.due} now, the last of them after {last}.",
            "What becomes due from now on is begun at once, as ever.",
        ]
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


def _in_utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
