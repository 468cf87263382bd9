"""Given, when, then: a whole saga, played against scripted answers, without broker or database.

What is decided is decided by the very code that decides in earnest; only the answers are made up.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import DueCommand
from sagas.core.decide import Refused
from sagas.core.waits import OF_CHILDREN
from sagas.core.words import Direction, SagaState, StepStatus, Verdict
from sagas.testing import answers as a
from sagas.testing.calling import call_handler
from sagas.testing.play import Play, author_of, is_function, is_probe, is_undo
from sagas.testing.telling import note, said, told


class Place(NamedTuple):
    """Which of a step's calls a script speaks of."""

    step: str
    direction: Direction = Direction.DO
    probe: bool = False


def undo(step: str) -> Place:
    """Name a step's undo: ``when(undo("process_payment"), rejects("closed"))``."""
    return Place(step, Direction.UNDO)


def probe(step: str | Place) -> Place:
    """Name the probe that asks what became of a step's action, or of its undo: ``probe(undo("process_payment"))``."""
    return Place(step, probe=True) if isinstance(step, str) else step._replace(probe=True)


def given(saga: Any, data: Mapping[str, Any] | None = None, *, handled: bool = False) -> "Story":
    """Begin a story about one saga: its class, its type's name or an object, and the data it is started with.

    Without ``data`` it is the class's ``sample_data``. Commands that no ``when`` speaks of succeed with no
    result; with ``handled`` their registered handlers are called, for real.
    """
    author = author_of(saga)
    return Story(author, data if data is not None else getattr(author, "sample_data", None) or {}, handled)


class Story:
    """What is answered, what time passes, what an operator does; and what must come of it.

    Each verb returns the story itself. Nothing is played before ``until``, ``after``, ``operator`` or ``then``.
    """

    def __init__(self, author: Any, data: Mapping[str, Any], handled: bool) -> None:
        self.play = Play(author, data)
        if self.play.definition.flow is not None:
            raise TypeError(
                f"{author.saga_type} is a choreography, and a story says what commands are answered: what subscribers"
                f" publish is played by drill({type(author).__name__}), as docs/testing-sagas.md says."
            )
        self._script: dict[Place, list[a.Answer]] = {}
        self._usual: a.Answer = a.handled() if handled else a.completes()
        self._told = 0

    def when(self, step: str | Place, *answers: a.Answer) -> "Story":
        """Say what a step's action, its ``undo`` or its ``probe`` is answered, each time; the last one ever after."""
        place = Place(step) if isinstance(step, str) else step
        if not self.play.definition.growing:  # what a function will ask for is known when it has
            self._known(place.step)
        if not answers or not all(isinstance(answer, a.Answer) for answer in answers):
            raise TypeError(
                "when(step, …) takes answers: completes(…), rejects(…), unknown(…), unseen(), late(…), handled()."
            )
        self._script[place] = list(answers)
        return self

    def until(self, step: str, status: str = "completed") -> "Story":
        """Play until a step has a status."""
        if not self.play.definition.growing:
            self._known(step)
        wanted = StepStatus(status)
        while not self._has(step, wanted) and self._move():
            pass
        self._known(step)
        if self.play.step(step).status is not wanted:
            self._fail([f"{step} was never {wanted}; in the end it is {self.play.step(step).status}."])
        return self

    def after(self, time: timedelta | float) -> "Story":
        """Let time pass, in seconds or as a timedelta, and play what happens meanwhile."""
        span = time if isinstance(time, timedelta) else timedelta(seconds=time)
        self.play.rest(self._answer, until=self.play.now + span)
        self._note()
        return self

    def operator(
        self, verb: str, step: str | None = None, *, refused: str | None = None, **more: Any
    ) -> "Story":
        """Let an operator act: ``operator("resolve", "process_payment", outcome="done", result={…})``.

        Who approves is told apart by name: ``operator("approve", "manager", by="mia", comment="fine")``.

        With ``refused`` the verb must be refused, with a reason that contains this text.
        """
        message = _verb(verb, step, more)
        self.play.say(step or "", f"an operator: {verb}")
        try:
            self.play.tell(message)
        except Refused as no:
            self.play.lines[-1].became = f"refused: {no}"
            if refused is None or refused not in str(no):
                self._fail([f"the operator's {verb} was refused: {no}"])
            return self
        self._note()
        if refused is not None:
            self._fail([f"the operator's {verb} was not refused; expected: {refused}"])
        return self

    def replied(self, step: str | Place, answer: a.Answer) -> "Story":
        """Let somebody outside answer a step's open action, or its ``undo``: ``completes(…)`` or ``rejects(…)``."""
        place = Place(step) if isinstance(step, str) else step
        self._known(place.step)
        open_one = self.play.step(place.step)
        if open_one.open is not place.direction or open_one.number is None:
            self._fail([f"{place.step} has no open {_noun(place)} that could be answered"])
        self.play.say(
            place.step, "answered from outside", said(reply := _reply(open_one.number or 0, answer))
        )
        self.play.tell(reply)
        self._note()
        return self

    def then(
        self,
        *,
        state: str | None = None,
        attention: Any = ...,
        waiting: Any = ...,
        steps: Mapping[str, str] | None = None,
        completed: Iterable[str] | None = None,
        compensated: Iterable[str] | None = None,
        undone_in_order: Sequence[str] | None = None,
        sent: Sequence[str] | None = None,
        error: str | None = None,
        results: Mapping[str, Any] | None = None,
        within: timedelta | float | None = None,
    ) -> "Story":
        """Play until nothing happens any more by itself, and check what has come of it.

        Timers pass; people and replies from outside are waited for, and ``after`` lets their deadlines pass.
        ``waiting`` is for what it then waits: ``"approval"``, ``"reply"``, ``"timer"`` or None.
        ``steps`` are statuses by name; ``completed`` and ``compensated`` all steps of that status, in any order;
        ``undone_in_order`` the steps in the order in which they were undone; ``sent`` every command that was
        called, attempts included; ``error`` a part of the saga's error; ``within`` a time, from the start.
        Raises AssertionError that tells what is otherwise, and all that happened.
        """
        self.play.rest(self._answer)
        self._note()
        progress = self.play.progress
        check = _Check()
        check.same("state", state, progress.state.value)
        if attention is not ...:
            check.equal("attention", attention, progress.attention and progress.attention.value)
        if waiting is not ...:
            check.equal("waiting", waiting, (progress.waiting or {}).get("kind"))
        for name, status in (steps or {}).items():
            self._known(name)
            check.same(name, status, self.play.step(name).status.value)
        check.same("completed", _sorted(completed), _sorted(self._with(StepStatus.COMPLETED)))
        check.same("compensated", _sorted(compensated), _sorted(self._with(StepStatus.COMPENSATED)))
        undone = [event.step for event in self.play.events if isinstance(event, e.StepCompensated)]
        check.same("undone_in_order", _listed(undone_in_order), undone)
        check.same("sent", _listed(sent), [call.name for call in self.play.calls])
        for name, result in (results or {}).items():
            self._known(name)
            check.equal(f"result of {name}", result, self.play.step(name).result)
        if error is not None and error not in (progress.error or ""):
            check.off.append(f"error: expected one with {error!r}, but it is {progress.error!r}")
        if within is not None:
            limit = within if isinstance(within, timedelta) else timedelta(seconds=within)
            took = self.play.now - self.play.began
            if took > limit:
                check.off.append(f"within: expected at most {limit}, but it took {took}")
        if check.off or progress.state is SagaState.COMPLETED:
            check.off += self._unasked()
        if check.off:
            self._fail(check.off)
        return self

    def _unasked(self) -> Iterator[str]:
        """Yield what was said of steps that a function has not asked for: a misspelt one, most likely.

        Before its end that proves nothing, and where the saga has turned back it may not have come to them.
        """
        definition = self.play.definition
        if not definition.growing:
            return
        names = [name for name in definition.names if not is_function(definition, name)]
        for name in dict.fromkeys(place.step for place in self._script if place.step not in definition.names):
            close = difflib.get_close_matches(name, names, n=1)
            meant = f"did you mean {close[0]}?" if close else f"it has asked for {', '.join(names) or 'none'}"
            yield f"when({name!r}, …): the function has not asked for such a step; {meant}"

    # What is played

    def _move(self) -> bool:
        moved = self.play.move(self._answer)
        self._note()
        return moved

    def _answer(self, due: DueCommand) -> None:
        if self.play.is_run(due):
            self.play.tell(self.play.run(due))
            return
        if due.waits:
            self.play.say(due.step, "the time is up")
            self.play.tell(m.TimeUp(due.number))
            return
        place = Place(due.step, due.direction, is_probe(self.play, due))
        answer = self._next(place)
        line = self.play.say(due.step, f"ask {due.name}" if place.probe else due.name, undo=is_undo(due))
        match answer:
            case a.Handled() if due.name in OF_CHILDREN:
                self._fail([f"{due.step} is answered by a child saga; say in a when(…) what comes of that"])
            case a.Handled():
                reply = call_handler(self.play.work(due)).reply
            case a.Late(answer=later, after=seconds):
                line.became = "no reply in its time"
                self._time_out(due, later.inbox)  # type: ignore[attr-defined]
                self.play.later(seconds, lambda: self._come_late(due, later))
                return
            case _:
                reply = _reply(due.number, answer)
        line.became = said(reply)
        self.play.tell(reply)
        self._note()

    def _next(self, place: Place) -> a.Answer:
        script = self._script.get(place)
        if script:
            return script.pop(0) if len(script) > 1 else script[0]
        return a.unseen() if place.probe and not isinstance(self._usual, a.Handled) else self._usual

    def _time_out(self, due: DueCommand, inbox: bool) -> None:
        self.play.now += timedelta(seconds=due.timeout)
        self.play.tell(m.Unknown(due.number, f"no reply within {due.timeout:g} s", inbox))

    def _come_late(self, due: DueCommand, answer: a.Answer) -> None:
        reply = _reply(due.number, answer)
        line = self.play.say(due.step, due.name, undo=is_undo(due))
        taken = self.play.tell(reply)
        line.became = f"late: {said(reply)}" + ("" if taken else "; nobody waits for it any more")

    def _note(self) -> None:
        """Tell of the saga's own doings since the last time."""
        for event in self.play.events[self._told :]:
            note(self.play, event)
        self._told = len(self.play.events)

    def _has(self, step: str, status: StepStatus) -> bool:
        found = self.play.progress.steps.get(step)
        return found is not None and found.status is status

    def _with(self, status: StepStatus) -> list[str]:
        """Return the steps of that status; a function is what has steps, and none to be counted."""
        return [
            name
            for name, step in self.play.progress.steps.items()
            if step.status is status and not is_function(self.play.definition, name)
        ]

    def _known(self, name: str) -> None:
        if name not in self.play.definition.names:
            known = ", ".join(self.play.definition.names)
            raise LookupError(f"{self.play.definition.saga_type} has no step {name!r}; it has {known}.")

    def _fail(self, off: Sequence[str]) -> None:
        raise AssertionError(
            "\n".join(
                [
                    f"{self.play.definition.saga_type} is not as expected:",
                    *(f"  • {each}" for each in off),
                    "",
                    "What happened:",
                    *(f"  {line}" for line in told(self.play.lines)),
                ]
            )
        )


class _Check:
    """Collects what is otherwise."""

    def __init__(self) -> None:
        self.off: list[str] = []

    def same(self, what: str, expected: Any, found: Any) -> None:
        """Compare, if anything is expected."""
        if expected is not None:
            self.equal(what, expected, found)

    def equal(self, what: str, expected: Any, found: Any) -> None:
        """Compare."""
        if found != expected:
            self.off.append(f"{what}: expected {expected!r}, but it is {found!r}")


def _noun(place: Place) -> str:
    return "undo" if place.direction is Direction.UNDO else "action"


def _sorted(names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _listed(names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else list(names)


def _reply(number: int, answer: a.Answer) -> m.Reply:
    match answer:
        case a.Completes(result=result, inbox=inbox):
            return m.Completed(number, result, inbox)
        case a.Rejects(reason=reason, inbox=inbox):
            return m.Rejected(number, reason, inbox)
        case a.Unknown(error=error, inbox=inbox):
            return m.Unknown(number, error, inbox)
        case a.Promises(within=within, inbox=inbox):
            return m.Later(number, within, inbox)
        case a.Unseen():
            return m.NoSuchCommand(number)
    raise TypeError(f"{answer!r} is no answer")


_ON_STEPS: Mapping[str, Callable[..., m.Verb]] = {
    "retry": m.Retry,
    "skip": m.Skip,
    "approve": lambda step, by="somebody", comment="": m.Approve(step, by, comment, person=by),
    "reject": m.Reject,
}
_ON_SAGAS: Mapping[str, Callable[..., m.Verb]] = {
    "compensate": m.Compensate,
    "edit": m.Edit,
    "pause": m.Pause,
    "resume": m.Resume,
}


def _verb(verb: str, step: str | None, more: Mapping[str, Any]) -> m.Verb:
    if verb in _ON_SAGAS:
        return _ON_SAGAS[verb](**more)
    if step is None:
        raise TypeError(f"operator({verb!r}, step): which step?")
    if verb == "resolve":
        return m.Resolve(step, Verdict(more["outcome"]), more.get("result"), more.get("reason", ""))
    if verb in _ON_STEPS:
        return _ON_STEPS[verb](step, **more)
    raise TypeError(f"{verb!r} is not a verb; there are {', '.join((*_ON_STEPS, 'resolve', *_ON_SAGAS))}.")
