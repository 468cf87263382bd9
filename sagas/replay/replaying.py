"""What a run was told, and what it asks for: step by step, each found again at its place."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from typing import Any

from sagas.core.answers import Rejected
from sagas.core.definition import (
    FUNCTION,
    InvalidDefinition,
    SagaStep,
    step_document,
)
from sagas.core.place import Line
from sagas.core.plain import NotPlain, plain
from sagas.core.problems import input_problem
from sagas.core.progress import StepProgress
from sagas.core.words import StepStatus
from sagas.registry import former_names
from sagas.replay.record import Record

#: More steps than a saga should have: a loop that never ends is found here, and not when the disk is full.
MOST_STEPS = 1_000


class Suspended(BaseException):
    """The run ends here: a result is missing. Not an Exception, so that no ``except Exception`` keeps it."""


class Astray(Exception):
    """The function does not match its record, or does what a durable function cannot. Its text says what."""

    def __init__(self, text: str, line: Line | None = None) -> None:
        super().__init__(text)
        self.line = line
        """The author's line, where it did not come through there."""


class Branch:
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


class Replay:
    """One run: what it was told, and what it asks for."""

    def __init__(self, record: Record, *, hold: bool) -> None:
        self.definition = record.definition
        self.steps = record.progress.steps
        self.hold = hold
        self.saga_id = record.meta.saga_id
        self.correlation_id = record.meta.correlation_id
        begun = self.steps[FUNCTION].dispatched_at or record.progress.created_at
        assert begun is not None  # what is claimed was dispatched
        self.branch = Branch("", (FUNCTION,), begun)
        self.top = self.branch
        self.places = {s.grown["place"]: name for name, s in self.steps.items() if s.grown}
        self.asked: list[str] = []
        """The recorded steps that it has asked for."""
        self.heard: set[str] = set()
        self.new: list[dict[str, Any]] = []
        self.loose: list[tuple[str, Line | None]] = []
        """Steps that an asynchronous function has named, and not awaited; and where."""
        self.fault: Exception | None = None
        """What must not be kept by whatever the function catches."""

    def fail(self, text: str, line: Line | None = None) -> Exception:
        """Remember that the run makes no sense; return what to raise."""
        self.fault = self.fault or Astray(text, line)
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
            self._compare(self.definition.step(name), step, branch.frontier)
            self.asked.append(name)
        branch.frontier = (name,)
        return self._verdict(branch, name)

    def _going_on(self) -> Branch:
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
            document = plain(step_document(step), "step")
            self.definition.grown([*self.new, {"step": document}])
        except (NotPlain, InvalidDefinition) as wrong:
            raise self.fail(f"step {step.name} cannot be: {wrong}") from wrong
        if problem := input_problem(step):
            raise self.fail(problem)
        self.new.append({"step": document, "place": place})
        return step.name

    def _compare(self, recorded: SagaStep, now: SagaStep, frontier: tuple[str, ...]) -> None:
        """Hold what the function asks for against what the record has there; not its input, which was sent."""
        if _marks(recorded, recorded.needs) == _marks(now, frontier):
            return
        for had, has in zip(_essence(recorded), _essence(replace(now, needs=frontier)), strict=True):
            if had != has:
                raise self.fail(
                    f"the record has step {recorded.name} {had}, and the code asks for it {has} now"
                )

    def _verdict(self, branch: Branch, name: str) -> Any:
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
            self.branch = Branch(scope, parent.frontier, parent.now)
            branches.append(self.branch)
            try:
                results.append(call())
            except Suspended:
                continue
            except Rejected as reason:
                no = no or reason
            except BaseException as other:
                if (missing := branches[-1].missing) is not None:  # it took the place of the end of the run
                    raise self.fail(_swallowed(missing)) from other
                raise
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

    def _join(self, parent: Branch, branches: list[Branch]) -> None:
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
            names = ", ".join(sorted(name for name, _ in self.loose))
            raise Astray(f"it has asked for {names} and not awaited it", self.loose[0][1])
        asked = set(self.asked)
        left = [name for name in self.places.values() if name not in asked]
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


def _marks(step: SagaStep, needs: tuple[str, ...] | None) -> tuple[Any, ...]:
    """Return what a step's essence is made of."""
    return step.action, step.compensation, step.pivot, needs


def _essence(step: SagaStep) -> Iterator[str]:
    """Yield what makes a step what it is, each as it stands in a sentence."""
    yield f"with action {_today(step.action)}"
    yield f"with undo {_today(step.compensation)}" if step.compensation else "without an undo"
    yield "as the pivot" if step.pivot else "not as the pivot"
    yield "at the beginning" if step.needs == (FUNCTION,) else f"after {', '.join(step.needs or ())}"


def _today(name: str) -> str:
    """Return the name that a command has now, if the record has a former one."""
    return former_names().get(name, name)
