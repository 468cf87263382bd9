"""What a saga is made of: steps, their graph, their policies. Plain values only.

A definition is pinned as data when a saga starts, so nothing here holds a function:
actions and compensations are names, looked up when they are needed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from functools import cached_property
from math import log2
from typing import Any, Final

from sagas.core.flow import Flow
from sagas.core.problems import problems, step_problems
from sagas.core.waits import APPROVAL, OF_CHILDREN, TIMER, Approval, Child, Timer, seconds
from sagas.core.words import Direction

#: ``compensation=CANNOT_UNDO``: a rollback stops at this step and asks an operator.
CANNOT_UNDO: Final = "CANNOT_UNDO"
#: The step that is a durable function itself: it says which steps come next, and ends the saga.
FUNCTION: Final = "function"
#: The fields of a step that name commands.
COMMANDS: Final = ("action", "compensation", "probe", "undo_probe")
#: What may stand in those, and is no participant's command.
NO_COMMANDS: Final = frozenset({CANNOT_UNDO, TIMER, APPROVAL, *OF_CHILDREN})


class InvalidDefinition(ValueError):
    """A saga definition that could not run, or could not be rolled back. Its text says why."""


@dataclass(frozen=True)
class Retry:
    """How often, and how far apart, a command without a definite answer is sent again.

    Exponential back-off with full jitter (Brooker, "Exponential Backoff And Jitter", 2015):
    the n-th wait is drawn evenly from zero to ``first * factor ** (n - 1)``, at most ``cap``.
    Seconds throughout.
    """

    max_attempts: int = 5
    first: float = 1.0
    factor: float = 2.0
    cap: float = 60.0

    def delay(self, failures: int, jitter: float) -> timedelta:
        """Return the wait after so many failures; ``jitter`` is drawn from [0, 1)."""
        # Bounded, so that an operator's hundredth retry does not overflow a float.
        doublings = min(failures - 1, 64)
        ceiling = self.cap if doublings * log2(self.factor) > 64 else self.first * self.factor**doublings
        return timedelta(seconds=min(self.cap, ceiling) * jitter)


ACTION_RETRY: Final = Retry(max_attempts=5)
UNDO_RETRY: Final = Retry(max_attempts=10)
PROBE_RETRY: Final = Retry(max_attempts=10)


@dataclass(frozen=True)
class SagaStep:
    """One step: an action at a participant, and the compensation that undoes it."""

    name: str
    """Unique in its saga; the step's address for ever."""
    action: str
    """The command to send, such as ``PaymentService.ProcessPayment``."""
    compensation: str | None = None
    """The command that undoes it; None: nothing to undo; ``CANNOT_UNDO``: only a person can settle it."""
    needs: tuple[str, ...] | None = None
    """Names of the steps that must be completed first; None: the step before this one."""
    pivot: bool = False
    """The point of no return: once it is completed, the saga only goes forward."""
    retriable: bool = False
    """It can only succeed in the end; required of every step after the pivot."""
    hold: bool = False
    """When it fails, wait for an operator instead of rolling back."""
    timeout: float = 300.0
    """Seconds one attempt may take, from its claim; then its outcome is unknown."""
    deadline: float | None = None
    """Seconds all attempts of the action may take, from its dispatch; then no other one begins."""
    retry: Retry = ACTION_RETRY
    undo_retry: Retry = UNDO_RETRY
    probe: str | None = None
    """The command that asks what became of the action, before an unknown outcome is retried or undone."""
    undo_probe: str | None = None
    """The command that asks what became of the undo."""
    probe_retry: Retry = PROBE_RETRY
    """How often either is asked, until a person is."""
    input: Mapping[str, Any] | None = None
    """Values laid over the saga's data for this step alone."""
    undoes: str | None = None
    """For the one step of a repair saga: the idempotency key of the effect that its action undoes."""
    timer: Timer | None = None
    """It calls nobody, and waits for a moment; see :func:`sagas.timer`."""
    approval: Approval | None = None
    """It calls nobody, and waits for people; see :func:`sagas.approval`."""
    child: Child | None = None
    """It starts another saga, and waits for its end; see :func:`sagas.child`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "timeout", seconds(self.timeout))
        object.__setattr__(self, "deadline", seconds(self.deadline))
        if self.needs is not None:
            needs = (self.needs,) if isinstance(self.needs, str) else tuple(self.needs)
            object.__setattr__(self, "needs", needs)

    @property
    def undo(self) -> str | None:
        """The command that undoes it; None: there is nothing to undo, or no command can."""
        return None if self.compensation == CANNOT_UNDO else self.compensation

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with it by itself: found once, though a definition that grows is checked each time."""
        return tuple(step_problems(self))

    def command(self, direction: Direction) -> str | None:
        """Return the name of the step's command in that direction."""
        return self.action if direction is Direction.DO else self.compensation

    def probe_of(self, direction: Direction) -> str | None:
        """Return the command that asks what became of the step's command in that direction."""
        return self.probe if direction is Direction.DO else self.undo_probe


@dataclass(frozen=True)
class SagaDefinition:
    """A saga's steps as a checked dependency graph.

    Raises :class:`InvalidDefinition` for no steps, unnamed or duplicate steps, unknown or
    circular ``needs``, a second pivot, a step beside the pivot, and a step behind the pivot
    that is not retriable.
    """

    saga_type: str
    steps: tuple[SagaStep, ...]
    deadline: float | None = None
    """Seconds from its beginning to its point of no return, or its end; then it rolls back."""
    flow: Flow | None = None
    """The events that move it, if it is a choreography: its steps are then its subscribers' deliveries."""
    growing: bool = False
    """Whether it is a durable function's: pinned is then the step :data:`FUNCTION`, which adds the others."""
    _needs: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        needs: dict[str, tuple[str, ...]] = {}
        before: tuple[str, ...] = ()
        for step in self.steps:
            needs[step.name] = before if step.needs is None else step.needs
            before = (step.name,)
        object.__setattr__(self, "_needs", needs)
        for problem in problems(self):
            raise InvalidDefinition(f"{self.saga_type}: {problem}")

    def step(self, name: str) -> SagaStep:
        """Return the step of that name; KeyError if there is none."""
        return self._by_name[name]

    def needs(self, name: str) -> tuple[str, ...]:
        """Return the names of the steps that this one stands on, directly."""
        return self._needs[name]

    def dependents(self, name: str) -> tuple[str, ...]:
        """Return the names of the steps that stand on this one, directly."""
        return self._dependents[name]

    def ancestors(self, name: str) -> frozenset[str]:
        """Return the names of all steps that this one stands on, directly or not."""
        known = self._ancestors.get(name)
        if known is None:
            known = self._ancestors[name] = frozenset(_reach(self.needs, name))
        return known

    def before(self, name: str) -> tuple[str, ...]:
        """Return the ancestors' names, in the order in which they were defined."""
        known = self._before.get(name)
        if known is None:
            known = self._before[name] = tuple(filter(self.ancestors(name).__contains__, self.names))
        return known

    @cached_property
    def pivot(self) -> SagaStep | None:
        """The point of no return, if the saga has one."""
        return next((step for step in self.steps if step.pivot), None)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The steps' names, in the order in which they were defined."""
        return tuple(step.name for step in self.steps)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The steps' names, each behind all that it needs."""
        placed: dict[str, None] = {}
        while len(placed) < len(self.steps):
            for name in self.names:
                if name not in placed and all(need in placed for need in self._needs[name]):
                    placed[name] = None
        return tuple(placed)

    def renamed(self, names: Mapping[str, str]) -> "SagaDefinition":
        """Return the definition with commands called by their new names, given by the old ones; else as it is."""
        return replace(self, steps=tuple(_renamed(step, names) for step in self.steps))

    def grown(self, documents: Iterable[Mapping[str, Any]]) -> "SagaDefinition":
        """Return the definition with steps that a function has added. Raises :class:`InvalidDefinition`."""
        added = tuple(step_from(each["step"]) for each in documents)
        return replace(self, steps=(*self.steps, *added)) if added else self

    @property
    def pinned(self) -> "SagaDefinition":
        """The definition as it was when the saga started."""
        return replace(self, steps=self.steps[:1]) if self.growing else self

    @cached_property
    def _by_name(self) -> dict[str, SagaStep]:
        return {step.name: step for step in self.steps}

    @cached_property
    def _dependents(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {name: [] for name in self.names}
        for name in self.names:
            for need in self._needs[name]:
                found[need].append(name)
        return {name: tuple(those) for name, those in found.items()}

    @cached_property
    def _ancestors(self) -> dict[str, frozenset[str]]:
        """What was asked for: a definition that grows is asked for its latest step, and for no other."""
        return {}

    @cached_property
    def _before(self) -> dict[str, tuple[str, ...]]:
        return {}

    def document(self) -> dict[str, Any]:
        """Return the definition as plain data, defaults left out."""
        deadline = {} if self.deadline is None else {"deadline": self.deadline}
        flow = {"flow": self.flow.document()} if self.flow else {}
        steps = [step_document(step) for step in self.steps]
        growing = {"growing": True} if self.growing else {}
        return {"saga_type": self.saga_type, **deadline, "steps": steps, **flow, **growing}

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the document: equal definitions are stored once."""
        text = json.dumps(self.document(), sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "SagaDefinition":
        """Read back what :meth:`document` wrote."""
        steps = tuple(step_from(step) for step in document["steps"])
        flow = Flow.from_document(document["flow"]) if "flow" in document else None
        growing = document.get("growing", False)
        return cls(document["saga_type"], steps, document.get("deadline"), flow, growing)


def _renamed(step: SagaStep, names: Mapping[str, str]) -> SagaStep:
    new: dict[str, Any] = {name: names[old] for name in COMMANDS if (old := getattr(step, name)) in names}
    return replace(step, **new)


_DEFAULTS = {f.name: f.default for f in fields(SagaStep)}


def step_document(step: SagaStep) -> dict[str, Any]:
    """Return a step as plain data, defaults left out."""
    document = {}
    for name, default in _DEFAULTS.items():
        value = getattr(step, name)
        if value != default:
            document[name] = {**vars(value)} if isinstance(value, Retry | Timer | Approval | Child) else value
    if "needs" in document:
        document["needs"] = list(document["needs"])
    if step.approval is not None and not isinstance(step.approval.show, str):
        document["approval"]["show"] = list(step.approval.show)
    return document


def step_from(document: Mapping[str, Any]) -> SagaStep:
    """Read back what :func:`step_document` wrote."""
    values = dict(document)
    for name in ("retry", "undo_retry", "probe_retry"):
        if name in values:
            values[name] = Retry(**values[name])
    if values.get("timer"):
        values["timer"] = Timer(**values["timer"])
    if values.get("approval"):
        show = values["approval"]["show"]
        values["approval"] = Approval(
            **{**values["approval"], "show": show if isinstance(show, str) else tuple(show)}
        )
    if values.get("child"):
        values["child"] = Child(**values["child"])
    return SagaStep(**values)


def _reach(neighbours: Any, start: str) -> set[str]:
    found: set[str] = set()
    todo = list(neighbours(start))
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(neighbours(name))
    return found
