"""Running a durable function against what is recorded of its saga, as far as that goes.

A step whose result is recorded is answered with it. At one whose result is missing the run ends: nothing is waited
for here. What the function asks for then, and is not recorded yet, are the saga's next steps. So a function is run
from its top each time there is news, and has to do the same each time it is told the same.

A step is found again by its place: the branch in which it was asked for, its name, and how often the branch had used
that name before. What the record has at a place and what the function asks for there have to agree, and all that is
recorded has to be asked for: otherwise the function is not the one that made the record, and nothing is done.
"""

import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from inspect import isawaitable, iscoroutine, iscoroutinefunction, unwrap
from typing import Any

from sagas.core import messages as m
from sagas.core.context import CommandInput, Meta
from sagas.core.definition import (
    FUNCTION,
    InvalidDefinition,
    SagaDefinition,
    SagaStep,
    approval,
    child,
    step_document,
    timer,
)
from sagas.core.plain import NotPlain, plain, printable
from sagas.core.progress import Progress, StepProgress
from sagas.core.waits import moment
from sagas.core.words import Attention, StepStatus
from sagas.registry import Rejected, former_names

#: More steps than a saga should have: a loop that never ends is found here, and not when the disk is full.
MOST_STEPS = 1_000
#: What a step may say beside its name, action, undo and input.
OPTIONS = frozenset(
    {
        "pivot",
        "retriable",
        "hold",
        "timeout",
        "deadline",
        "retry",
        "undo_retry",
        "probe",
        "undo_probe",
        "probe_retry",
    }
)


class Suspended(BaseException):
    """The run ends here: a result is missing. Not an Exception, so that no ``except Exception`` keeps it."""


class Astray(Exception):
    """The function does not match its record, or does what a durable function cannot. Its text says what."""


class Record(CommandInput):
    """What a run is made of: the saga's data, as a mapping, and where the saga stood when it was claimed."""

    def __init__(self, name: str, meta: Meta, definition: SagaDefinition, progress: Progress) -> None:
        super().__init__(name, progress.data or {}, meta)
        self.definition = definition
        self.progress = progress


def run(function: Callable[..., Any], record: Record, *, hold: bool = False) -> m.Ran | m.Unserved:
    """Run a function and say what comes next: new steps, its result, its rejection, or why it makes no sense.

    ``hold`` is what its steps have where they say nothing of it.
    """
    number = record.meta.number
    replay = _Replay(record, hold=hold)
    saga = (AsyncSaga if iscoroutinefunction(unwrap(function)) else Saga)(replay)
    try:
        result = saga._begin(function, deepcopy(dict(record)))
    except Suspended:
        outcome: m.Ran | m.Unserved = m.Grown(number, tuple(replay.new), frozenset(replay.heard))
    except Rejected as no:
        outcome = m.Raised(number, printable(str(no)) or "rejected")
    except Exception as fault:
        return _faulty(number, replay.fault or fault, function)
    else:
        try:
            outcome = m.Returned(number, plain(result))
        except NotPlain as wrong:
            return _faulty(number, Astray(f"what it returned cannot be recorded: {wrong}"), function)
    try:
        replay.check(ended=not isinstance(outcome, m.Grown))
    except Astray as wrong:
        return _faulty(number, wrong, function)
    return outcome


def _faulty(number: int, fault: Exception, function: Callable[..., Any]) -> m.Unserved:
    text = (
        str(fault)
        if isinstance(fault, Astray)
        else f"{type(fault).__name__}: {fault}{_where(fault, function)}"
    )
    return m.Unserved(number, printable(text), Attention.MISCONFIGURED)


def _where(fault: Exception, function: Callable[..., Any]) -> str:
    """Say in which line of the function it was."""
    code = getattr(function, "__code__", None)
    lines = [line for frame, line in traceback.walk_tb(fault.__traceback__) if frame.f_code is code]
    return f" (in line {lines[-1]} of {function.__name__})" if lines else ""


class _Branch:
    """One line of execution: the function's own, or one of those that run in parallel."""

    def __init__(self, scope: str, frontier: tuple[str, ...], now: datetime) -> None:
        self.scope = scope
        """Where it is: a path that is the same in each run."""
        self.frontier = frontier
        """The steps whose verdicts it has just waited for: what it does now stands on them."""
        self.now = now
        self.used: Counter[str] = Counter()
        """How often it has used a name."""
        self.missing: str | None = None
        """The step at which it had to end."""


class _Replay:
    """One run: what it was told, and what it asks for."""

    def __init__(self, record: Record, *, hold: bool) -> None:
        self.definition = record.definition
        self.steps = record.progress.steps
        self.hold = hold
        self.saga_id = record.meta.saga_id
        self.correlation_id = record.meta.correlation_id
        begun = self.steps[FUNCTION].dispatched_at or record.progress.created_at
        assert begun is not None  # what is claimed was dispatched
        self.branch = _Branch("", (FUNCTION,), begun)
        self.top = self.branch
        self.places = {s.grown["place"]: name for name, s in self.steps.items() if s.grown}
        self.asked: list[str] = []
        """The recorded steps that it has asked for."""
        self.heard: set[str] = set()
        self.new: list[dict[str, Any]] = []
        self.loose: list[str] = []
        """Steps that an asynchronous function has named, and not awaited."""
        self.fault: Exception | None = None
        """What must not be kept by whatever the function catches."""

    def fail(self, text: str) -> Exception:
        """Remember that the run makes no sense; return what to raise."""
        self.fault = self.fault or Astray(text)
        return self.fault

    # Asking

    def ask(self, step: SagaStep) -> Any:
        """Return a step's recorded result; raise its rejection, or end the run where there is no verdict."""
        branch = self._going_on()
        branch.used[step.name] += 1
        place = f"{branch.scope}{step.name}:{branch.used[step.name]}"
        name = self.places.get(place)
        if name is None:
            name = self._add(replace(step, name=self._free(step.name), needs=branch.frontier), place)
        else:
            self._compare(self.definition.step(name), replace(step, name=name, needs=branch.frontier))
            self.asked.append(name)
        branch.frontier = (name,)
        return self._verdict(branch, name)

    def _going_on(self) -> _Branch:
        branch = self.branch
        if branch.missing is not None:
            raise self.fail(_swallowed(branch.missing))
        return branch

    def _free(self, wanted: str) -> str:
        """Number a name that is taken: ``charge``, ``charge-2``, ``charge-3``."""
        if wanted == FUNCTION:
            raise self.fail(
                f"a step cannot be called {FUNCTION}: that is the function itself; give it another name"
            )
        if len(self.steps) + len(self.new) > MOST_STEPS:
            raise self.fail(
                f"it has asked for {MOST_STEPS} steps; more are not taken on: does a loop not end?"
            )
        taken = self.steps.keys() | {each["step"]["name"] for each in self.new}
        name, times = wanted, 1
        while name in taken:
            times += 1
            name = f"{wanted}-{times}"
        return name

    def _add(self, step: SagaStep, place: str) -> str:
        try:
            document = plain(step_document(step))
            self.definition.grown([*self.new, {"step": document}])
        except (NotPlain, InvalidDefinition) as wrong:
            raise self.fail(f"step {step.name} cannot be: {wrong}") from wrong
        self.new.append({"step": document, "place": place})
        return step.name

    def _compare(self, recorded: SagaStep, now: SagaStep) -> None:
        """Hold what the function asks for against what the record has there; not its input, which was sent."""
        for had, has in zip(_essence(recorded), _essence(now), strict=True):
            if had != has:
                raise self.fail(
                    f"the record has step {recorded.name} {had}, and the code asks for it {has} now"
                )

    def _verdict(self, branch: _Branch, name: str) -> Any:
        step = self.steps.get(name)
        if step is None or not step.heard_of:
            branch.missing = name
            raise Suspended
        self.heard.add(name)
        branch.now = max(branch.now, _when(step) or branch.now)
        if step.status is StepStatus.FAILED:
            raise Rejected(step.error or "rejected")
        return deepcopy(step.result)

    # Branches

    def each_branch(self, calls: Iterable[Callable[[], Any]]) -> tuple[Any, ...]:
        """Run every branch up to its first missing result; return all results, or raise the first rejection."""
        parent = self._going_on()
        parent.used[""] += 1
        results: list[Any] = []
        no: Rejected | None = None
        branches = []
        for place, call in enumerate(calls):
            scope = f"{parent.scope}{parent.used['']}.{place}/"
            self.branch = _Branch(scope, parent.frontier, parent.now)
            branches.append(self.branch)
            try:
                results.append(call())
            except Suspended:
                continue
            except Rejected as reason:
                no = no or reason
            finally:
                self.branch = parent
            if branches[-1].missing is not None:
                raise self.fail(_swallowed(branches[-1].missing))
        parent.missing = next((each.missing for each in branches if each.missing), None)
        if parent.missing is not None:
            raise Suspended
        self._join(parent, branches)
        if no is not None:
            raise no
        return tuple(results)

    def _join(self, parent: _Branch, branches: list[_Branch]) -> None:
        moved = [name for each in branches for name in each.frontier if each.frontier != parent.frontier]
        parent.frontier = tuple(dict.fromkeys(moved)) or parent.frontier
        parent.now = max([parent.now, *(each.now for each in branches)])

    # The end

    def check(self, *, ended: bool) -> None:
        """Raise :class:`Astray` if the run has not done what a durable function does."""
        if self.fault is not None:
            raise self.fault
        if ended and self.top.missing is not None:
            raise Astray(_swallowed(self.top.missing))
        if ended and self.loose:
            raise Astray(f"it has asked for {', '.join(sorted(self.loose))} and not awaited it")
        left = [name for name in self.places.values() if name not in self.asked]
        if left:
            raise Astray(self._left_out(left[0], ended=ended))

    def _left_out(self, name: str, *, ended: bool) -> str:
        text = f"the record has step {name} ({self.definition.step(name).action}), and the code "
        asks = [f"{each['step']['name']} ({each['step']['action']})" for each in self.new]
        if asks:
            return f"{text}asks for {', '.join(asks)} instead"
        return f"{text}{'ends without asking' if ended else 'does not ask'} for it any more"


def _swallowed(name: str) -> str:
    return (
        f"it went on behind {name}, whose result is not there yet: "
        "a bare except, or a finally that calls the saga, must let the end of a run pass"
    )


def _when(step: StepProgress) -> datetime | None:
    return step.executed_at if step.status is StepStatus.COMPLETED else step.refused_at


def _essence(step: SagaStep) -> Iterator[str]:
    """Yield what makes a step what it is, each as it stands in a sentence."""
    yield f"with action {_today(step.action)}"
    yield f"with undo {_today(step.compensation)}" if step.compensation else "without an undo"
    yield "as the pivot" if step.pivot else "not as the pivot"
    yield "at the beginning" if step.needs == (FUNCTION,) else f"after {', '.join(step.needs or ())}"


def _today(name: str) -> str:
    """Return the name that a command has now, if the record has a former one."""
    return former_names().get(name, name)


class _Context:
    """The saga as its function sees it."""

    def __init__(self, replay: _Replay) -> None:
        self._replay = replay

    @property
    def id(self) -> str:
        """The saga's id."""
        return str(self._replay.saga_id)

    @property
    def correlation_id(self) -> str:
        """The saga's correlation id."""
        return str(self._replay.correlation_id)

    @property
    def now(self) -> datetime:
        """When the last result was there that the function has waited for: the same in every run."""
        return self._replay.branch.now

    def step(
        self,
        name: str,
        action: str,
        undo: str | None = None,
        input: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Have an action carried out, with the undo that goes with it; return its result.

        Options are those of :class:`~sagas.SagaStep`: timeout, deadline, retry, undo_retry, probe, undo_probe,
        probe_retry, pivot, retriable, hold. Raises :class:`~sagas.Rejected` if its participant says no.
        """
        unknown = options.keys() - OPTIONS
        if unknown:
            raise TypeError(
                f"saga.step() takes no {', '.join(sorted(unknown))}; options are {', '.join(sorted(OPTIONS))}"
            )
        options.setdefault("hold", self._replay.hold)
        return self._ask(SagaStep(name, action, undo, input=input, **options))

    def wait(
        self, name: str, span: timedelta | float | None = None, *, until: datetime | str | None = None
    ) -> Any:
        """Wait for a while, a timedelta or seconds, or until a moment with a time zone."""
        at = (
            moment(until.isoformat() if isinstance(until, datetime) else until) if until is not None else None
        )
        return self._ask(timer(name, wait=span, until=at))

    def approval(self, name: str, *, by: str, **options: Any) -> Any:
        """Ask people, as :func:`~sagas.approval` does; return ``{"approved": true, "by": [...], "comment": ...}``.

        Raises :class:`~sagas.Rejected` if one of them says no.
        """
        options.setdefault("hold", self._replay.hold)
        return self._ask(approval(name, by=by, **options))

    def child(
        self, name: str, saga_type: str, data: Mapping[str, Any] | str | None = None, **options: Any
    ) -> Any:
        """Have a saga of another type started, as :func:`~sagas.child` does, and wait for its end.

        Returns ``{"saga_id": …, "state": "completed", "results": {step: result}}``; raises
        :class:`~sagas.Rejected` if it fails.
        """
        options.setdefault("hold", self._replay.hold)
        return self._ask(child(name, saga_type, data=data, **options))

    def _ask(self, step: SagaStep) -> Any:
        raise NotImplementedError


class Saga(_Context):
    """The saga as a plain function sees it: what it calls returns when there is a result."""

    def parallel(self, *branches: Callable[[], Any]) -> tuple[Any, ...]:
        """Run functions without arguments at the same time; return their results, in their order.

        If one raises :class:`~sagas.Rejected`, that is raised once the others have come to their ends.
        """
        for each in branches:
            if not callable(each):
                raise TypeError(f"saga.parallel() takes functions, as lambda: saga.step(…), not {each!r}")
        return self._replay.each_branch(branches)

    def _ask(self, step: SagaStep) -> Any:
        return self._replay.ask(step)

    def _begin(self, function: Callable[..., Any], data: Mapping[str, Any]) -> Any:
        return function(self, data)


class AsyncSaga(_Context):
    """The saga as an ``async def`` sees it: what it calls is to be awaited."""

    def parallel(self, *branches: Awaitable[Any]) -> Awaitable[tuple[Any, ...]]:
        """Run coroutines, or steps, at the same time; their results are returned in their order.

        If one raises :class:`~sagas.Rejected`, that is raised once the others have come to their ends.
        """
        for each in branches:
            if not isawaitable(each):
                raise TypeError(f"saga.parallel() takes coroutines, or steps, not {each!r}")
        calls = [partial(self._drive, each) for each in branches]
        return _Asked(self._replay, f"parallel of {len(calls)}", lambda: self._each(calls, branches))

    def _each(self, calls: list[Callable[[], Any]], branches: Iterable[Any]) -> tuple[Any, ...]:
        try:
            return self._replay.each_branch(calls)
        finally:
            for each in branches:
                if iscoroutine(each):
                    each.close()

    def _ask(self, step: SagaStep) -> Any:
        return _Asked(self._replay, step.name, lambda: self._replay.ask(step))

    def _begin(self, function: Callable[..., Any], data: Mapping[str, Any]) -> Any:
        return self._drive(function(self, data))

    def _drive(self, awaitable: Awaitable[Any]) -> Any:
        """Run to its end what awaits nothing but the saga's own steps, which do not suspend it."""
        steps = awaitable.__await__() if not iscoroutine(awaitable) else awaitable
        try:
            steps.send(None)
        except StopIteration as end:
            return end.value
        finally:
            steps.close()
        raise self._replay.fail(
            "it awaited something else than the saga's own steps; what has to be done outside is a step"
        )


class _Asked:
    """A step of an asynchronous function, to be awaited once."""

    def __init__(self, replay: _Replay, name: str, take: Callable[[], Any]) -> None:
        self._replay, self._name, self._take = replay, name, take
        self._awaited = False
        replay.loose.append(name)

    def __await__(self) -> Generator[Any, None, Any]:
        if self._awaited:
            raise self._replay.fail(f"it awaited {self._name} twice; keep its result")
        self._awaited = True
        self._replay.loose.remove(self._name)
        return self._take()
        yield  # never reached: it makes this a generator
