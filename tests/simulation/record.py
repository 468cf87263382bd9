"""Whether an event may be, by the oracle's books, and what they say after it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .books import Books, demand, name_of
from .graph import FUNCTION

if TYPE_CHECKING:
    from .world import World


def record(books: Books, world: "World", message: Any, event: Any) -> None:
    """Check an event that a message decided, and take it down."""
    name = name_of(event)
    books.sequence += 1
    settled = books.status.get(getattr(event, "step", None) or "") in {"skipped", "standing", "compensated"}
    free = name.startswith("LateEffect") or name == "SagaCompensating"
    demand(free or not settled, "rule 7: what is settled stays settled", event)
    if name in _ON:
        _ON[name](books, world, message, event)


def _dispatched(books: Books, world: "World", message: Any, event: Any) -> None:
    step = event.step
    demand(not books.turned, "rule 5: no action begins once the saga has turned back", step)
    demand(not books.to_begin, "nothing begins before its time", step)
    enough = {"completed", "skipped", *(["rejected"] if books.graph.growing else [])}  # a function went on
    needs = [n for n in books.graph.needs[step] if not books.graph.is_function(n)]
    demand(all(books.status.get(n) in enough for n in needs), "a step waits for all that it needs", step)
    if step in books.action:
        asked = name_of(message) == "Retry" and books.status.get(step) == "rejected"
        demand(asked, "rule 5: only an operator has an action executed anew", step)
    books.status.pop(step, None)
    books.tries[step, "do"] = 0
    books.dispatched(step, "do")
    if step in books.graph.spans:
        books.ends[step] = event.at + timedelta(seconds=books.graph.spans[step])
    if event.waiting is not None:
        demand(not books.graph.calls[step], "who calls a participant does not wait", event)
        books.waiting[step] = event.waiting.value
        books.given.pop(step, None)
    demand(books.graph.calls[step] == (event.waiting is None), "who calls nobody waits", event)
    demand(event.generation == books.generations[step, "do"], "C1: a generation a command", event)


def _rescheduled(books: Books, world: "World", message: Any, event: Any) -> None:
    demand(books.open.get(event.step), "C3: only an open command is tried again", event)
    demand(event.attempt <= event.budget, "C8: retries end with their budget", event)
    number = books.open[event.step]
    forward = books.commands[number][1] == "do"
    books.looked[books.commands[number]] += (
        name_of(message) == "TimeUp" and event.step in books.graph.children
    )
    demand(not (forward and books.turned), "no retry begins once the saga has turned back", event)
    ends = books.ends.get(event.step) if forward and hasattr(message, "number") else None
    demand(ends is None or event.due_at < ends, "no attempt begins behind its step's deadline", event)
    blind = number in books.doubt and books.graph.probe[books.commands[number]]
    demand(not blind or name_of(message) == "NoSuchCommand", "C5: who can be asked is asked first", event)
    books.asked[event.step] = 0
    books.counted.discard(event.step)
    books.waiting.pop(event.step, None)
    if event.step in books.graph.people:
        books.waiting[event.step] = "approval"


def _probed(books: Books, world: "World", message: Any, event: Any) -> None:
    number = books.open.get(event.step)
    demand(number in books.doubt, "only what is in doubt is asked about", event)
    demand(number and books.graph.probe[books.commands[number]], "only who can be asked is asked", event)
    demand(event.probe in {1, books.asked[event.step] + 1}, "C8: questions are counted", event)
    demand(event.probe <= books.graph.questions[event.step], "C8: questions end with their budget", event)
    books.asked[event.step] = event.probe
    books.waiting.pop(event.step, None)


def _awaited(books: Books, world: "World", message: Any, event: Any) -> None:
    demand(name_of(message) == "Later", "only a promise is awaited", message)
    books.waiting[event.step] = "reply"


def _waits_no_more(books: Books, world: "World", message: Any, event: Any) -> None:
    books.waiting.pop(event.step, None)
    if name_of(event) == "StepHeld":
        books.held.add(event.step)
        books.asked[event.step] = 0  # whatever is asked from now on, is asked anew


def _given(books: Books, world: "World", message: Any, event: Any) -> None:
    demand(name_of(message) == "Approve", "only people approve", message)
    books.given[event.step].add(event.person)
    enough = books.graph.people[event.step]
    demand(len(books.given[event.step]) < enough, "who has enough approvals asks for no more", event)


def _started(books: Books, world: "World", message: Any, event: Any) -> None:
    books.to_begin = event.begins_at is not None
    books.begun = not books.to_begin


def _began(books: Books, world: "World", message: Any, event: Any) -> None:
    demand(name_of(message) == "TimeUp", "it begins when its time has come", message)
    books.to_begin, books.begun = False, True


def _expired(books: Books, world: "World", message: Any, event: Any) -> None:
    demand(not books.pivot_passed, "C9: behind the pivot a deadline is past", message)
    books.expired = True


def _completed(books: Books, world: "World", message: Any, event: Any) -> None:
    resolved = name_of(message) == "Resolve" and message.outcome.value == "done"
    done = "Completed" if books.graph.calls[event.step] else "TimeUp"
    if books.graph.is_function(event.step):
        done = "Returned"
    if name_of(message) == "Approve":
        people = books.given[event.step] | {message.person}
        demand(len(people) == books.graph.people[event.step], "as many people as asked for", people)
        done = "Approve"
    demand(resolved or name_of(message) == done, "C5: only a success is a success", message)
    books.done.add(books.action[event.step])
    books.verdict(event.step, "completed")
    books.pivot_passed |= event.step == books.graph.pivot and not books.turned


def _failed(books: Books, world: "World", message: Any, event: Any) -> None:
    resolved = name_of(message) == "Resolve" and message.outcome.value == "none"
    no = {"Rejected"} if books.graph.calls[event.step] else {"Reject", "TimeUp"}
    if books.graph.is_function(event.step):
        no = {"Raised"}
    demand(resolved or name_of(message) in no, "C5: a time-out is not a failure", message)
    books.rejected.add(books.action[event.step])
    books.verdict(event.step, "rejected")


def _skipped(books: Books, world: "World", message: Any, event: Any) -> None:
    demand(name_of(message) == "Skip", "rule 3: only an operator skips", message)
    demand(books.open.get(event.step) not in books.doubt, "what may be there is not skipped", event)
    books.verdict(event.step, "skipped")


def _withdrawn(books: Books, world: "World", message: Any, event: Any) -> None:
    if books.graph.is_function(event.step):  # a run has no effect: nobody waits for it
        books.verdict(event.step, "withdrawn")
        return
    number = books.open[event.step]
    called = world.participants[event.step].calls.get(world.key(world.progress.steps[event.step]))
    under_way = any(request.number == number and not request.wakes for request in world.requests)
    demand(not called and not under_way, "C7: what was sent is awaited, not withdrawn", event)
    books.verdict(event.step, "withdrawn")


def _turned(books: Books, world: "World", message: Any, event: Any) -> None:
    demand(not books.pivot_passed, "C9: behind the pivot there is no way back", message)
    refused = books.status.get(event.step or "") == "rejected" and not books.graph.is_function(event.step)
    demand(not (books.graph.growing and refused), "a function decides what comes of a no", event)
    if getattr(message, "number", None) in books.commands:
        step, _ = books.commands[message.number]
        demand(not books.graph.hold[step], "a held step waits for a person", step)
    books.turned = True


def _undo(books: Books, world: "World", message: Any, event: Any) -> None:
    step = event.step
    demand(books.turned and not books.pivot_passed, "C9: only a rollback undoes", event)
    demand(books.graph.undo[step] not in {None, "CANNOT_UNDO"}, "what has no undo is not undone", event)
    busy = [other for other in books.graph.above[step] if other in books.open]
    demand(not busy, "C7: nothing is undone while something that relies on it is under way", busy)
    books.nothing_stands_on(step)
    doubt = books.open.get(step) in books.doubt
    demand(books.status.get(step) == "completed" or doubt or step in books.owed, "nothing to undo", event)
    if doubt and step not in books.owed:
        demand(books.asked[step] or not books.graph.probe[step, "do"], "C5: who can be asked is asked", event)
        demand(books.doubt[books.open[step]], "C5: without an inbox nobody undoes on a guess", event)
    if step not in books.owed:
        books.tries[step, "undo"] = 0
    books.owed.add(step)
    books.dispatched(step, "undo")
    demand(event.generation == books.generations[step, "undo"], "C1: a generation a command", event)


def _undo_held(books: Books, world: "World", message: Any, event: Any) -> None:
    books.waiting.pop(event.step, None)
    books.asked[event.step] = 0  # a doubtful no that comes later is asked about anew, as an action's is
    if event.outcome == "rejected":
        books.open.pop(event.step)


def _compensated(books: Books, world: "World", message: Any, event: Any) -> None:
    resolved = name_of(message) == "Resolve" and message.outcome.value == "done"
    demand(resolved or name_of(message) == "Completed", "C8: an undo is never silently done", message)
    books.owed.discard(event.step)
    if resolved:
        books.by_hand.add(event.step)
    books.verdict(event.step, "compensated")


def _left_standing(books: Books, world: "World", message: Any, event: Any) -> None:
    waived = name_of(message) == "Resolve" and message.outcome.value == "waived"
    declared = books.graph.undo[event.step] is None
    demand(waived or declared, "rule 7, C8: an undo is never dropped", message)
    books.owed.discard(event.step)
    books.late.discard((event.step, books.action[event.step]))
    books.verdict(event.step, "standing")


def _late_found(books: Books, world: "World", message: Any, event: Any) -> None:
    books.done.add(message.number)
    books.late.add((event.step, message.number))


def _late_settled(books: Books, world: "World", message: Any, event: Any) -> None:
    demand(name_of(message) == "Resolve", "C4: only an operator settles a late effect", message)
    books.late.discard(min(late for late in books.late if late[0] == event.step))


def _ended(books: Books, world: "World", message: Any, event: Any) -> None:
    books.ended = "completed" if name_of(event) == "SagaCompleted" else "failed"
    for step in books.graph.needs:
        _may_end(books, step, books.status.get(step))


def _may_end(books: Books, step: str, status: str | None) -> None:
    if books.ended == "completed":
        went_on = books.graph.growing and status == "rejected" and step not in books.held
        fits = (status in {"completed", "skipped"} or went_on) and not books.turned
        demand(fits, "rule 3: completed when each step is completed or skipped", (step, status))
        return
    left = status in {None, "rejected", "withdrawn", "skipped", "compensated", "standing"}
    declared = status == "completed" and books.graph.undo[step] is None
    fits = books.turned and (left or declared) and step not in books.open
    demand(fits, "rule 2: failed when each step is undone or settled", (step, status))


# How a function grows


def _function_due(books: Books, world: "World", message: Any, event: Any) -> None:
    again = name_of(message) == "Retry" and books.status.get(FUNCTION) == "rejected"
    demand(not books.turned and not books.to_begin, "a function is asked on the way forward", event)
    demand(FUNCTION not in books.open, "a function is run once at a time", event)
    demand(again or books.news or FUNCTION not in books.action, "it is run when there is news", event)
    books.status.pop(FUNCTION, None)
    books.tries[FUNCTION, "do"] = 0
    books.dispatched(FUNCTION, "do")
    demand(event.generation == books.generations[FUNCTION, "do"], "C1: a generation a command", event)


def _grown(books: Books, world: "World", message: Any, event: Any) -> None:
    steps = [each["step"] for each in event.steps]
    known = books.graph.needs.keys() & {step["name"] for step in steps}
    demand(name_of(message) == "Grown" and not known, "only a run asks for steps, each once", event)
    books.graph.grow(steps)


def _function_rests(books: Books, world: "World", message: Any, event: Any) -> None:
    demand(name_of(message) == "Grown", "only a run knows that it has to wait", message)
    demand(message.heard <= books.news | books.heard, "a run hears of verdicts that there are", message)
    books.heard = {*message.heard}
    books.open.pop(FUNCTION)


_ON: Mapping[str, Callable[..., None]] = {
    "SagaStarted": _started,
    "SagaBegan": _began,
    "SagaExpired": _expired,
    "FunctionDispatched": _function_due,
    "SagaGrown": _grown,
    "FunctionWaits": _function_rests,
    "StepDispatched": _dispatched,
    "ReplyAwaited": _awaited,
    "ApprovalGiven": _given,
    "StepHeld": _waits_no_more,
    "StepOutcomeUnknown": _waits_no_more,
    "StepRescheduled": _rescheduled,
    "UndoRescheduled": _rescheduled,
    "ProbeDispatched": _probed,
    "StepCompleted": _completed,
    "StepFailed": _failed,
    "StepSkipped": _skipped,
    "StepWithdrawn": _withdrawn,
    "SagaCompensating": _turned,
    "UndoDispatched": _undo,
    "UndoHeld": _undo_held,
    "StepCompensated": _compensated,
    "StepLeftStanding": _left_standing,
    "LateEffectFound": _late_found,
    "LateEffectSettled": _late_settled,
    "SagaCompleted": _ended,
    "SagaFailed": _ended,
}
