"""The oracle of choreographies: checks each decision against its own score.

It shares no code with ``sagas.core.choreography``. ``rule`` numbers those of docs/concepts, C and I the rows of
docs/reliability.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..books import demand, name_of
from ..oracle import LONGEST, check_transition
from .score import END, TAKEN, Score

if TYPE_CHECKING:
    from .bus import Bus


class Conductor:
    """Watches one choreography. Raises :class:`~..books.Violation`."""

    def __init__(self, score: Score) -> None:
        self.score = score

    def __call__(self, world: "Bus", before: Any, message: Any, events: Sequence[Any]) -> None:
        """Check one decision: the message, the events, and the rows after it."""
        score = self.score
        check_transition(score, before, world.progress, events)
        if score.ended:
            late = all(name_of(event).startswith("LateEffect") for event in events)
            demand(late, "rule 1, C19: terminal is final", events)
        if hasattr(message, "number"):
            self._reply(message, events)
        if name_of(message) == "Published" and not score.ended:
            self._told(message, events)
        if events and name_of(message) in {"Retry", "Resolve"}:
            self._verb(world, message)
        for event in events:
            score.sequence += 1
            name = name_of(event)
            if name in _ON:
                _ON[name](score, message, event)
        _check_rows(score, world)

    def _reply(self, reply: Any, events: Sequence[Any]) -> None:
        """Check that a reply speaks for its own delivery, and what it decides."""
        score, number, kind = self.score, reply.number, name_of(reply)
        step = score.commands[number]
        garbled = getattr(reply, "arrived", False)
        codes = [f"{name_of(event)} {getattr(event, 'code', '')}" for event in events]
        place = score.place[step]
        taken = place in {"expected", "overdue"}
        kept = taken and step in score.promised and kind in {"Completed", "Rejected"}
        awaited = score.open.get(step) == number and (kept or taken == (kind == "TimeUp"))
        if not awaited:
            late = kind == "Completed" and step != END and score.too_late(step, number, reply)
            fits = [name_of(event) for event in events] == (["LateEffectFound"] if late else [])
            demand(fits, "C2, C4: a late reply changes nothing but what it tells", (reply, codes))
            return
        expected = _must(score, step, reply)
        fits = len(codes) >= len(expected) and all(map(str.startswith, codes, expected))
        demand(fits and events[0].step == step, "C3, C5: what a reply decides", (reply, codes, expected))
        if "EventPublished" in expected:
            told = (events[1].event, events[1].by)
            demand(told == (score.publishes(step)[0], step), "an undo leads on", told)
        if expected == ("StepFailed",):
            demand(f"StepHeld {step}" not in _of_steps(events), "a no behind the undo asks nobody", codes)
        self._undone(step, reply, events)
        if kind == "Unknown" or garbled or "EventAwaited" in expected:
            score.trusted[step] = reply.inbox if step not in score.promised else score.trusted[step]
        if kind == "Completed":
            score.delivered.add(step)
        elif kind == "Unknown" or garbled or (kind == "Rejected" and expected[0] != "StepFailed"):
            score.tries[step] += not garbled  # it is still that attempt, if another answer of it comes
            score.doubt.add(number)

    def _undone(self, step: str, reply: Any, events: Sequence[Any]) -> None:
        """Check that nobody is asked about, or waits for, what an undo has met; and nothing else is let go."""
        of = self.score.parts[step].get("compensates") if step != END else None
        sure = name_of(reply) == "Completed" and reply.inbox
        moot = {f"StepCompensated {of}"} if of and sure and self.score.is_moot(of, reply.number) else set()
        let_go = {each for each in _of_steps(events) if each.startswith("StepCompensated")}
        demand(let_go == moot, "rule 2: what is undone for certain asks nobody", (step, let_go, moot))

    def _told(self, message: Any, events: Sequence[Any]) -> None:
        """Check that an event is told to whoever hears it, and only once."""
        score, names = self.score, [name_of(event) for event in events]
        if message.event in score.told:
            demand(not names, "C2: an event that is repeated changes nothing", message)
        else:
            demand(names[:1] == ["EventPublished"], "I6: what is published is told", message)
        heard = score.listeners(message.event) or message.event in score.endings
        demand(heard or names == ["EventPublished"], "what nobody hears changes nothing", names)

    def _verb(self, world: "Bus", verb: Any) -> None:
        score, step = self.score, verb.step
        if name_of(verb) == "Retry":
            score.retries[step] += 1
            score.tries[step] = 0
        elif step == END:
            score.insisted = True
        elif verb.outcome == "none":
            subscriber, key = world.participants[step], world.key(world.progress.steps[step])
            called = any(request.key == key for request in world.requests)
            if score.standing(step) or called or subscriber.is_at(key):
                score.lied.add(step)


def _of_steps(events: Sequence[Any]) -> set[str]:
    return {f"{name_of(event)} {event.step}" for event in events if hasattr(event, "step")}


def _must(score: Score, step: str, reply: Any) -> tuple[str, ...]:
    """Return the first events that a reply to an open delivery has to decide."""
    parked = f"StepHeld {'compensation_failed' if score.turned else 'held'}"
    kind = name_of(reply)
    if kind == "Rejected" and score.open[step] in score.doubt and not score.inbox[step]:
        kind = "Unknown"  # one attempt's no does not speak for another
    match kind:
        case "TimeUp":
            return ("StepHeld expectation_missed",)
        case "Completed" | "Later":
            due = score.publishes(step)
            waits = due and not any(event in score.told for event in due)
            if waits and _found_nothing(score, step, reply):
                return ("StepCompleted", "EventPublished")
            return ("EventAwaited",) if waits else ("StepCompleted",)
        case "Rejected" if any(score.place[undo] in TAKEN for undo in score.undos(step)):
            return ("StepFailed",)
        case "Rejected":
            return ("StepFailed", parked)
        case "Unknown" if score.tries[step] + 1 < score.attempts[step]:
            return ("DeliveryRescheduled",)
        case "Unserved" if reply.arrived:
            return ("StepOutcomeUnknown", "StepHeld misconfigured")
        case "Unknown":
            return ("StepOutcomeUnknown", parked.replace(" held", " retries_spent"))
        case _:
            return ("StepHeld",)


def _found_nothing(score: Score, step: str, reply: Any) -> bool:
    """Whether an undo was not done, as there was nothing to undo: then nobody was called who could have said so."""
    result = getattr(reply, "result", None)
    return bool(score.parts[step].get("compensates")) and (result or {}).get("undone") is False


# What each event may be, and what is known after it


def _published(score: Score, message: Any, event: Any) -> None:
    name = event.event
    heard = score.listeners(name)
    free = {step for step in heard if score.place[step] == "silent"}
    demand(name not in score.told, "an event is told once", event)
    demand(free == heard, "an event is delivered once", event)
    ends = name in score.endings
    demand({*event.to} == heard | ({END} if ends else set()), "I6: it is told to all who subscribe", event)
    for step in heard:
        score.place[step] = "queued"
    if heard or name in score.endings:
        score.told.setdefault(name, score.sequence)
    score.ending = score.ending or (name if ends else None)


def _dispatched(score: Score, message: Any, event: Any) -> None:
    step = event.step
    part = score.parts[step]
    again = score.place[step] == "refused" and name_of(message) == "Retry"
    demand(score.place[step] == "queued" or again, "rule 5: a delivery is made once", event)
    demand(not score.in_the_way(step), "a subscriber takes one event after the other", event)
    before = [s for s, p in score.parts.items() if p["by"] == part["by"] and score.place[s] == "queued"]
    first = min(before, key=lambda s: score.told[score.parts[s]["on"]], default=step)
    demand(again or first == step, "a subscriber hears a saga's events in their order", event)
    score.generations[step] += 1
    demand(event.generation == score.generations[step], "C1: a generation a command", event)
    score.commands[score.sequence] = step
    score.open[step] = score.sequence
    score.denied.discard(step)
    score.tries[step] = 0
    score.place[step] = "sent"


def _rescheduled(score: Score, message: Any, event: Any) -> None:
    demand(event.step in score.open, "C3: only an open delivery is made again", event)
    demand(event.attempt <= event.budget, "C8: retries end with their budget", event)
    demand(event.at <= event.due_at <= event.at + LONGEST, "C16: a retry is due in time", event)
    if name_of(message) == "Remap":
        score.retries[event.step] += 1
        score.tries[event.step] = 0
    score.place[event.step] = "sent"


def _awaited(score: Score, message: Any, event: Any) -> None:
    step = event.step
    if step != END:
        demand(name_of(message) in {"Completed", "Later"}, "C5: what is delivered is delivered", message)
        score.doubt.discard(score.open[step])
        score.promised.discard(step)
        if name_of(message) == "Later":
            score.promised.add(step)
            score.doubt.add(score.open[step])
    elif step not in score.open:
        score.commands[score.sequence] = END
        score.open[END] = score.sequence
    score.place[step] = "expected"


def _completed(score: Score, message: Any, event: Any) -> None:
    step, kind = event.step, name_of(message)
    if step == END:
        said = score.insisted and score.ending in score.endings
        demand(not score.under_way and (score.ending or said), "it ends once all is delivered", message)
    else:
        own = getattr(message, "number", None) == score.open.get(step) and kind in {"Completed", "Later"}
        settled = kind == "Resolve" and message.step == step and message.outcome == "done"
        kept = score.place[step] in {"expected", "overdue"} and {*score.publishes(step)} & score.told.keys()
        demand(own or settled or kept, "C5: only a success is a success", (message, event))
    score.open.pop(step, None)
    score.found.add(score.latest(step))  # of one that was refused, too, of which an operator knows better
    score.place[step] = "done"


def _failed(score: Score, message: Any, event: Any) -> None:
    rejected, none = name_of(message) == "Rejected", getattr(message, "outcome", None) == "none"
    demand(rejected or none, "C5: a time-out is not a failure", message)
    score.doubt.discard(score.open.pop(event.step))
    score.denied.add(event.step)
    over = any(score.place[undo] in TAKEN for undo in score.undos(event.step))
    score.place[event.step] = "failed" if over else "refused"


def _held(score: Score, message: Any, event: Any) -> None:
    step, missed = event.step, event.code == "expectation_missed"
    if step == END:
        in_vain = not score.under_way
        demand(missed and (in_vain or name_of(message) == "TimeUp"), "the end is asked about in time", event)
    if score.place[step] != "refused":
        score.place[step] = "overdue" if missed else "parked"


def _dropped(score: Score, message: Any, event: Any) -> None:
    answered = name_of(message) == "Compensate" and score.place[event.step] == "refused"
    demand(name_of(message) == "Skip" or answered, "rule 3: only an operator skips", message)
    number = score.open.pop(event.step, None)
    demand(number not in score.doubt, "what may be there is not skipped", event)
    score.place[event.step] = "skipped"


def _let_go(score: Score, message: Any, event: Any) -> None:
    score.doubt.discard(score.open.pop(event.step, 0))
    score.promised.discard(event.step)
    score.place[event.step] = "undone"


def _late_found(score: Score, message: Any, event: Any) -> None:
    demand(name_of(message) == "Completed", "C4: only a success tells of an effect", message)
    score.found.add(message.number)
    if message.number != score.latest(event.step):
        score.besides.add((event.step, message.number))
        return
    place = score.place[event.step]
    # That it is late stands for the no that was asked about.
    score.given_up[event.step] = "failed" if place == "refused" else place
    score.place[event.step] = "late"


def _late_settled(score: Score, message: Any, event: Any) -> None:
    demand(name_of(message) == "Resolve", "C4: only an operator settles a late effect", message)
    before = {each for each in score.besides if each[0] == event.step}
    if before:
        score.besides.discard(min(before))
    else:
        score.place[event.step] = score.given_up.pop(event.step)


def _turned(score: Score, message: Any, event: Any) -> None:
    failing = score.ending in score.failed and not score.under_way
    demand(score.turns & score.told.keys() or failing, "it turns when an event turns it", message)
    score.turned = True


def _ended(score: Score, message: Any, event: Any) -> None:
    score.ended = "completed" if name_of(event) == "SagaCompleted" else "failed"
    demand(not score.under_way, "rule 1: a terminal saga has nothing in flight", score.under_way)
    if score.insisted:
        return
    if score.ended == "completed":
        demand(score.ending in score.completed and not score.turned, "rule 3: it ends as it was told", event)
        bad = [step for step in score.parts if score.place[step] == "failed"]
        demand(not bad, "rule 3: completed when each delivery is done or left out by name", bad)
        return
    demand(score.ending in score.failed, "rule 2: it ends as it was told", event)
    for step in score.parts:
        undoing = score.undos(step)
        settled = any(score.place[s] in {"done", "skipped"} for s in undoing)
        stands = score.place[step] == "done" and score.standing(step) and undoing and not settled
        demand(not stands, "rule 2: failed when each step is undone or settled", step)
        # Of a step whose effect an operator denied, and that was made anew, the undo is that of the second.
        undone = score.place[step] == "undone" and score.inbox[step] and step not in score.lied
        demand(not (undone and score.standing(step)), "rule 2: what is undone does not stand", step)


_ON: Mapping[str, Callable[[Score, Any, Any], None]] = {
    "EventPublished": _published,
    "DeliveryDispatched": _dispatched,
    "DeliveryRescheduled": _rescheduled,
    "EventAwaited": _awaited,
    "StepCompleted": _completed,
    "StepFailed": _failed,
    "StepHeld": _held,
    "DeliveryDropped": _dropped,
    "StepCompensated": _let_go,
    "LateEffectFound": _late_found,
    "LateEffectSettled": _late_settled,
    "SagaCompensating": _turned,
    "SagaCompleted": _ended,
    "SagaFailed": _ended,
}


def _check_rows(score: Score, world: "Bus") -> None:
    """Check what the rows say after a decision."""
    now, due, steps = world.progress, world.due, world.progress.steps.values()
    demand({s.name: s.number for s in steps if s.open} == score.open, "I4: rows say which delivery is open")
    goes_on = {score.open[s] for s in score.open if score.place[s] in {"sent", "expected"}}
    demand(goes_on == due.keys(), "rule 6: due is what is on its way, or awaited", (goes_on, due))
    asks = {step.name for step in steps if step.attention}
    demand(asks == score.asking, "C8: who is stuck asks", asks)
    for subscriber in {part["by"] for part in score.parts.values()}:
        mine = [s for s, part in score.parts.items() if part["by"] == subscriber]
        idle = not score.untaken(subscriber)
        queued = [s for s in mine if score.place[s] == "queued"]
        demand(
            not (idle and queued), "I6: what is told is delivered as soon as its subscriber is free", queued
        )
    for step in {s for s in score.parts if score.place[s] in {"expected", "overdue"}}:
        met = {*score.publishes(step)} & score.told.keys()
        demand(not met, "C4: what was waited for has come", (step, met))
    if score.ended:
        late = all(score.asks_of_late(step) for step in asks)
        demand(not due and not score.open and late, "rule 1: nothing in flight behind the end", due)
    elif score.told:
        demand(due or asks, "rule 6: a saga that asks nobody has work due", now.state)
        demand(score.under_way or END in asks, "rule 6: what leads nowhere asks", now.state)
        turned = bool(score.turns & score.told.keys())
        demand((now.state == "compensating") == turned, "it is on the way back once it turned", now.state)
