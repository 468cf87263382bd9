"""Replies: what became of commands, taken in groups, one transaction for all of them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from sagas import rows
from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import idempotency_key
from sagas.core.plain import printable
from sagas.core.progress import BEGINNING, StepProgress
from sagas.core.words import Direction
from sagas.models import Event, LateReply
from sagas.orchestrator import ledger, loading
from sagas.orchestrator.asked import Invalid, NotFound
from sagas.orchestrator.intake import Intake
from sagas.orchestrator.start import plain

log = logging.getLogger(__name__)


class Answered(NamedTuple):
    """A reply, and the lease under which it was found out; None for one from outside."""

    saga_id: UUID
    reply: m.Reply
    lease_token: UUID | None = None
    claimed_at: datetime | None = None
    """By the database's clock, unless that was set back, what comes of the command comes no earlier."""


@dataclass
class Delivered:
    """What became of a group of replies."""

    sagas: Mapping[UUID, loading.Held]
    """The sagas as they are now."""
    claimed: list[ledger.Claimed]
    queues: set[str]
    """Those on which something became due that nobody holds."""
    undecided: list[tuple[Answered, Exception]]
    """Replies of sagas that could not be decided; nothing of them was written."""


def deliver(
    answers: Sequence[Answered],
    claim: ledger.Claim | None = None,
    known: loading.Known = MappingProxyType({}),
    *,
    trust: bool = False,
) -> Delivered:
    """Take replies and commit all that they decide, and what they make due next, together.

    ``known`` sagas are not read again if they are as they were. With ``trust``, if all are known, and
    whole, they are not even locked: raises :class:`rows.Stale` if one has moved on, and then nothing
    was written. A saga that cannot be decided drops out; the others are committed.
    """
    group = ledger.Group(claim)
    if trust and all(each.saga_id in known and known[each.saga_id].whole for each in answers):
        group.trust(known[each.saga_id] for each in answers)
        return _deliver(group, answers, sure=False)
    with transaction.atomic(savepoint=False):
        group.lock((answer.saga_id for answer in answers), known)
        return _deliver(group, answers, sure=True)


def _deliver(group: ledger.Group, answers: Sequence[Answered], *, sure: bool) -> Delivered:
    """Decide and write. Who is not ``sure`` that nothing has moved on cannot call a reply late."""
    late: list[LateReply] = []
    broken = set(group.broken)
    undecided = [(each, group.broken[each.saga_id]) for each in answers if each.saga_id in broken]
    intake = Intake(group)
    for saga_id, fault in intake.decide().items():
        log.error("saga %s cannot be decided", saga_id, exc_info=fault)
        broken.add(saga_id)
        del group.sagas[saga_id]
        undecided += [(each, fault) for each in answers if each.saga_id == saga_id]
    for answer in answers:
        held = group.sagas.get(answer.saga_id)
        if answer.saga_id in broken:
            continue
        try:
            taken = held is not None and take(group, held, answer)
        except Exception as fault:  # one saga's fault is not its neighbours'
            log.exception("saga %s cannot be decided", answer.saga_id)
            broken.add(answer.saga_id)
            del group.sagas[answer.saga_id]
            undecided += [(each, fault) for each in answers if each.saga_id == answer.saga_id]
            continue
        if not taken and not sure:
            raise rows.Stale
        if not taken and isinstance(answer.reply, m.Completed | m.Rejected):
            late.append(late_reply(held, answer))
    late += intake.remove()
    group.write()
    if late:
        LateReply.objects.bulk_create([each for each in late if each.saga_id not in broken])
    return Delivered(group.sagas, group.claimed, group.queues, undecided)


def take(group: ledger.Group, held: loading.Held, answer: Answered) -> bool:
    """Decide a reply; False if it is late, or about a saga that is not ours to decide."""
    if held.imported:
        return False
    if answer.lease_token is not None and _superseded(held, answer):
        return False
    _let_go(held, answer)
    if group.decide(held, answer.reply, answer.claimed_at):
        return True
    recalled = isinstance(answer.reply, m.Completed) and _recall(held, answer.reply.number)
    return recalled and bool(group.decide(held, answer.reply, answer.claimed_at))


def _recall(held: loading.Held, number: int) -> bool:
    """Have a step remember an action that it does not know any more: it was sent anew by a version that forgot it.

    False if there is none to remember.
    """
    steps = held.progress.steps
    if number <= BEGINNING or any(_sent(step, number) for step in steps.values()):
        return False
    log = Event.objects.filter(saga_id=held.id)
    sent = log.filter(sequence=number, type__in=_SENDING).values_list("step", "data__generation").first()
    name, generation = sent or (None, 0)
    if name is None:
        return False
    if log.filter(type=e.LateEffectFound.__name__, step=name, data__generation=generation).exists():
        return False  # it is settled
    former = {**(steps[name].former or {}), str(number): {"generation": generation}}
    held.progress = held.progress._replace(steps={**steps, name: steps[name]._replace(former=former)})
    return True


#: What sends an action that has an effect.
_SENDING = (e.StepDispatched.__name__, e.DeliveryDispatched.__name__)


def _let_go(held: loading.Held, answer: Answered) -> None:
    """Count a command as held by nobody once its holder has spoken: what is decided next may withdraw it."""
    number = answer.reply.number
    row = held.due.get(number)
    if row is not None and row.lease_token == answer.lease_token:
        held.due = {**held.due, number: loading.DueRow(row.id, number, None)}


def _superseded(held: loading.Held, answer: Answered) -> bool:
    """Whether the lease was lost meanwhile, and with it the right to speak for the command.

    A definite reply still counts while nobody else holds the command, or only asks about it: refusing it
    could only make the participant repeat itself. An unknown outcome was recorded when the lease was lost.
    """
    row = held.due.get(answer.reply.number)
    if row is not None and row.lease_token == answer.lease_token:
        return False
    if isinstance(answer.reply, m.Completed | m.Rejected):
        step = held.progress.awaiting(answer.reply.number)
        probing = step is not None and step.probe > 0
        return row is not None and row.lease_token is not None and not probing
    return True


def late_reply(held: loading.Held | None, answer: Answered) -> LateReply:
    """Return the row of a reply that changed nothing."""
    reply = answer.reply
    steps = held.progress.steps.values() if held else ()
    step = next((s.name for s in steps if _sent(s, reply.number)), "")
    kind = type(reply).__name__.lower()
    payload = reply.result if isinstance(reply, m.Completed) else _why(reply)
    return LateReply(saga_id=answer.saga_id, step=step, number=reply.number, kind=kind, payload=payload)


def _sent(step: StepProgress, number: int) -> bool:
    """Whether it is the number of a command of the step, as far as it remembers them."""
    return number in (step.action_number, step.undo_number) or str(number) in (step.former or {})


def _why(reply: m.Reply) -> str:
    return reply.reason if isinstance(reply, m.Rejected) else getattr(reply, "error", "")


def step_completed(
    saga_id: UUID | str, step_name: str, result: Any = None, *, key: str | None = None
) -> bool:
    """Answer a step's open action with success, or that with this key. False: it was late, and is recorded apart.

    Of one that was closed as without effect, or that an undo has not met, an operator is asked.
    """
    plainly = plain(result, "result")

    def reply(number: int, step: StepProgress) -> m.Reply:
        # Whoever says so need not be the participant, and has no inbox that we know of. But with what an undo
        # of the participant's has met, as far as we know it, nobody is troubled.
        return m.Completed(number, plainly, inbox=step.open is not Direction.DO and step.inbox)

    return _outside(saga_id, step_name, Direction.DO, key, reply)


def step_failed(saga_id: UUID | str, step_name: str, error: str = "", *, key: str | None = None) -> bool:
    """Answer a step's open action with a rejection, if it has this key. False: it was late, and is recorded apart.

    It speaks for the attempt that is being made. Where there were others, of a participant without an inbox, one of
    them may have had the effect: then the outcome is unknown.
    """
    return _outside(
        saga_id,
        step_name,
        Direction.DO,
        key,
        lambda number, step: m.Rejected(number, printable(str(error)), _one(step)),
    )


def compensation_completed(saga_id: UUID | str, step_name: str, *, key: str | None = None) -> bool:
    """Answer a step's open undo with success, if it has this key. False: it was late, and is recorded apart."""
    return _outside(saga_id, step_name, Direction.UNDO, key, lambda number, _: m.Completed(number))


def _outside(
    saga_id: UUID | str,
    step_name: str,
    direction: Direction,
    key: str | None,
    reply: Callable[[int, StepProgress], m.Reply],
) -> bool:
    """Take a reply that names a step instead of a command: it answers that step's open one, or is late.

    With the ``key`` of a command of the step it answers that one, or is late. ``reply`` is made of the command's
    number, and of the step as it stands.
    """
    pk = as_uuid(saga_id)
    with transaction.atomic():
        group = ledger.Group()
        group.lock([pk])
        held = group.sagas.get(pk)
        step = held.progress.steps.get(step_name) if held else None
        if held is None or step is None:
            kind = type(reply(0, StepProgress(""))).__name__.lower()
            LateReply.objects.create(saga_id=pk, step=str(step_name)[:100], kind=kind)
        else:
            number = _number(held, step, direction, key)
            if take(group, held, Answered(pk, reply(number, step))):
                group.write()
                return True
            told = number if number > 0 else step.number_of(direction) or 0
            late_reply(held, Answered(pk, reply(told, step))).save()
    if held is None:
        raise NotFound(f"There is no saga {saga_id}; the reply is recorded among the late ones.")
    if step is None:
        raise Invalid(
            "step", f"The saga has no step {step_name!r}; it has {', '.join(held.definition.names)}."
        )
    return False


def _one(step: StepProgress) -> bool:
    """Whether what a step was told last is all that it can have done: it has an inbox, or was called once."""
    return step.inbox or step.attempt <= 1


def _number(held: loading.Held, step: StepProgress, direction: Direction, key: str | None) -> int:
    """Return the number of the command that is answered: of the open one, if there is no key.

    Else that of the latest action; -1, which no command has, if there is none, or the key is not known any more.
    An action that undoes what another saga did is an undo to its participant, who may answer it as such.
    """
    undoes = held.definition.step(step.name).undoes is not None
    if key is not None:
        return _number_under(key, held, step, Direction.DO if undoes else direction)
    if step.open is direction or (undoes and step.open is Direction.DO):
        number = step.number
    else:  # what is said of a closed action may be that it had its effect after all
        number = step.action_number if direction is Direction.DO else None
    return -1 if number is None else number


def _number_under(key: str, held: loading.Held, step: StepProgress, direction: Direction) -> int:
    """Return the number of a step's command by its key. Raises Invalid for a key of none that it ever had."""
    former = (step.former or {}).items() if direction is Direction.DO else ()
    numbers = {each["generation"]: int(number) for number, each in former}
    latest = step.generation if direction is Direction.DO else step.undo_generation
    numbers[latest] = step.number_of(direction) or 0
    for generation in range(latest, 0, -1):
        if idempotency_key(held.id, step.name, direction, generation) == key:
            return numbers.get(generation) or _sent_as(held, step, direction, generation)
    what = "action" if direction is Direction.DO else "undo"
    raise Invalid(
        "key", f"must be that of an {what} of {step.name}, as command.meta.key says it, not {key!r:.200}"
    )


def _sent_as(held: loading.Held, step: StepProgress, direction: Direction, generation: int) -> int:
    """Return the number of a command that its step does not remember any more, from the log."""
    sending = _SENDING if direction is Direction.DO else (e.UndoDispatched.__name__,)
    sent = Event.objects.filter(
        saga_id=held.id, step=step.name, type__in=sending, data__generation=generation
    )
    return sent.values_list("sequence", flat=True).first() or -1


def as_uuid(saga_id: UUID | str) -> UUID:
    """Return a saga's id as a UUID; NotFound for what cannot be one."""
    try:
        return saga_id if isinstance(saga_id, UUID) else UUID(str(saga_id))
    except ValueError:
        raise NotFound(f"{str(saga_id)[:100]!r} is not a saga's id; an id is a UUID.") from None
