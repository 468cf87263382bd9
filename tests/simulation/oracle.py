"""The oracle: checks each decision against its own books. It shares no code with ``decide`` or ``evolve``.

It reads names, numbers and plain values of what was decided, and names the rule that did not hold:
``rule`` numbers those of docs/concepts, C and I the rows of docs/reliability.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from .answers import must, must_of_a_run
from .books import Books, demand, name_of
from .record import record
from .rows import check_rows

if TYPE_CHECKING:
    from .world import World

#: The longest that a retry may be put off: what a participant may ask for.
LONGEST = timedelta(hours=1)


#: The number of the first command; those below are the saga's own.
FIRST = 2


class Counted(Protocol):
    """What the books know of the transitions so far."""

    at: datetime | None
    ended: str | None


def check_transition(books: Counted, before: Any, after: Any, events: Sequence[Any]) -> None:
    """Check versions, sequences and times; and that the end is the end."""
    demand(after.version == before.version + bool(events), "rule 8, C10: a transition is one version")
    demand(after.sequence == before.sequence + len(events), "rule 8, I4: a gapless sequence")
    for event in events:
        demand(event.version == after.version, "rule 8: events carry their version", event)
        demand(books.at is None or event.at >= books.at, "I9: time goes forward", event)
        books.at = event.at
    if books.ended:
        same = (before.state, before.finished_at) == (after.state, after.finished_at)
        demand(same, "rule 1, C19: terminal is final", events)


class Oracle:
    """Watches one world. Raises :class:`~.books.Violation`."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self._seen = 0
        """How many attempts were sent when it last looked."""

    def __call__(self, world: "World", before: Any, message: Any, events: Sequence[Any]) -> None:
        """Check one decision: the message, the events, and the rows after it."""
        check_transition(self.books, before, world.progress, events)
        if self.books.ended:
            late = all(name_of(event).startswith("LateEffect") for event in events)
            demand(late, "rule 1, C19: terminal is final", events)
        self._sent(world, before)
        if hasattr(message, "number") and message.number < FIRST:
            self._own_time(world, message, events)
        elif hasattr(message, "number"):
            self._reply(world, message, events)
        if events and name_of(message) in {"Retry", "Resolve", "Skip"}:
            self._verb(world, message)
        if name_of(message) == "Remap":
            self._remapped(before, events)
        for event in events:
            due = getattr(event, "due_at", None)
            demand(due is None or event.at <= due <= event.at + LONGEST, "C16: a retry is due in time", event)
            self._asked(before, message, event)
            record(self.books, world, message, event)
        check_rows(self.books, world)

    def _asked(self, before: Any, message: Any, event: Any) -> None:
        """Check that a person is asked once, unless another answer says the same."""
        if hasattr(event, "code") and before.steps[event.step].attention == event.code:
            number = getattr(message, "number", FIRST)
            answered = self.books.commands.get(number, ("", ""))[0] == event.step
            demand(answered, "who asks already is not asked again", event)

    def _sent(self, world: "World", before: Any) -> None:
        """Check that attempts carry the saga's data, or what an earlier attempt carried that may have acted."""
        for request in world.sent[self._seen :]:
            data = self.books.bound.get(request.number, before.data)
            demand(
                request.data == data, "C1: a command that was sent keeps its input, no other does", request
            )
        self._seen = len(world.sent)

    def _reply(self, world: "World", reply: Any, events: Sequence[Any]) -> None:
        """Check that a reply speaks for its own command, and for nothing else."""
        books, number, kind = self.books, reply.number, name_of(reply)
        step, direction = books.commands[number]
        names = [name_of(event) for event in events]
        if kind == "Completed" and direction == "do":
            books.told.add(number)
        if books.open.get(step) != number or (kind == "TimeUp" and step not in books.waiting):
            late = kind == "Completed" and direction == "do" and books.too_late(step, number, reply)
            expected = ["LateEffectFound"] if late else []
            demand(
                names == expected, "C2, C4: a late reply changes nothing but what it tells", (reply, names)
            )
            return
        codes = [f"{name_of(event)} {getattr(event, 'code', '')}" for event in events]
        if books.graph.is_function(step):
            expected = must_of_a_run(books, reply)
            demand(_begins(codes, expected), "what a run decides", (reply, codes, expected))
            books.tries[step, direction] += kind == "Unknown"
            return
        expected = must(books, number, reply, again="StepRescheduled" in names)
        promised = books.waiting.get(step) == "reply"
        fits = _begins(codes, expected) and events[0].step == step
        demand(fits, "C3, C5, C8: what a reply decides", (reply, codes, expected))
        asked = books.asked[step]
        if kind != "Completed":
            missed = promised and not books.looks(step, direction)
            over = missed if kind == "TimeUp" else kind not in {"Unserved", "Later"}
            if over and not asked and step not in books.counted:
                books.tries[step, direction] += 1
                books.counted.update({step} & {e.step for e in events if name_of(e) == "ProbeDispatched"})
            wait = timedelta(seconds=getattr(reply, "retry_after", None) or 0)
            due = getattr(events[0], "due_at", None)
            demand(
                due is None or due >= events[0].at + wait, "who asks us to wait is not asked before", reply
            )
        if (kind in {"Unknown", "Later"} or getattr(reply, "arrived", False)) and not asked:
            self._doubted(world, number, reply)

    def _own_time(self, world: "World", message: Any, events: Sequence[Any]) -> None:
        """Check what comes of the saga's own time: it begins, or it has to end."""
        books, names = self.books, [name_of(event) for event in events]
        if message.number not in books.own:
            demand(not names, "a time that is past is past", names)
        elif message.number:
            demand(names[:1] == ["SagaBegan"], "it begins when its time has come", names)
        else:
            pivot = world.progress.steps[books.graph.pivot].number if books.graph.pivot else None
            awaited = pivot in world.due and world.due[pivot].token is not None
            expected = ["SagaExpired"] if awaited else ["SagaExpired", "SagaCompensating"]
            demand(names[:2] == expected, "a deadline turns a saga back, once its pivot has answered", names)

    def _doubted(self, world: "World", number: int, reply: Any) -> None:
        """Take down that an attempt may have acted: from now on the command keeps its input."""
        self.books.doubt[number] = reply.inbox
        data = next(request.data for request in reversed(world.sent) if request.number == number)
        if data is not None:
            self.books.bound.setdefault(number, data)

    def _verb(self, world: "World", verb: Any) -> None:
        step = verb.step
        if name_of(verb) == "Retry":
            self._afresh(step)
            return
        said = verb.outcome.value if name_of(verb) == "Resolve" else "skip"
        self.books.said[step].add(said)
        if said == "none" and (self.books.standing(step) or _under_way(world, step)):
            self.books.lied.add(step)

    def _remapped(self, before: Any, events: Sequence[Any]) -> None:
        for event in events[1:]:
            missing = before.steps[event.step].attention == "no_handler"
            demand(missing, "a new name has nothing tried again but what had no handler", event)
            self._afresh(event.step)

    def _afresh(self, step: str) -> None:
        """Take down that an operator gave a step a fresh budget."""
        self.books.retries[step] += 1
        self.books.tries[step, "do"] = self.books.tries[step, "undo"] = 0


def _begins(codes: Sequence[str], expected: Sequence[str]) -> bool:
    enough = len(codes) >= len(expected) and bool(expected) == bool(codes)
    return enough and all(map(str.startswith, codes, expected))


def _under_way(world: "World", step: str) -> bool:
    """Whether an effect of a step may still come about."""
    called = any(request.step == step and not (request.wakes or request.probe) for request in world.requests)
    return called or bool(world.participants[step].taken_on)
