"""A decision in the making: the events so far, the progress after them, and how a saga goes on from there."""

from datetime import datetime, timedelta
from typing import Any

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.definition import CANNOT_UNDO, FUNCTION, Retry, SagaDefinition, SagaStep
from sagas.core.machine import evolve
from sagas.core.progress import Progress, StepProgress
from sagas.core.waits import shown, wake_at
from sagas.core.words import FORWARD, TERMINAL, Attention, Direction, SagaState, StepStatus, Waiting

#: Seconds; a participant that asks us to wait longer is asked again then.
LONGEST_WAIT = 3600.0
#: What stands on such a step may begin.
_PASSED = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})


class Refused(Exception):
    """A verb that does not apply here and now. Its text says why, and what would."""


class Draft:
    """The events decided so far, and the progress as it would be after them."""

    def __init__(self, definition: SagaDefinition, progress: Progress, now: m.Now) -> None:
        self.definition = definition
        self.progress = progress
        self.now = now
        self.version = progress.version + 1
        self.events: list[e.Event] = []

    def add(self, event_type: type[e.Event], **values: Any) -> None:
        """Decide one event."""
        event = event_type(at=self.now.at, version=self.version, **values)
        self.progress = evolve(self.progress, event)
        self.events.append(event)

    def step(self, name: str) -> StepProgress:
        """Return a step's progress as it would be by now."""
        return self.progress.steps[name]

    @property
    def pivot_passed(self) -> bool:
        """Whether there is no way back any more."""
        pivot = self.definition.pivot
        return pivot is not None and self.step(pivot.name).status is StepStatus.COMPLETED

    def claimed(self, step: StepProgress) -> bool:
        """Whether a worker holds the step's open command at this moment."""
        return step.scheduled and step.number in self.now.claimed

    def is_function(self, step: StepProgress) -> bool:
        """Whether the step is a durable function. It has no effect by itself, so nobody need wait for a run of it."""
        return self.definition.growing and step.name == FUNCTION

    def advance(self) -> None:
        """Dispatch what has become possible; finish when nothing is left."""
        if self.progress.state in FORWARD:
            self._forward()
        elif self.progress.state is SagaState.COMPENSATING:
            self._backward()

    @property
    def saga_deadline(self) -> datetime | None:
        """When the saga's deadline is, if it begins now."""
        span = self.definition.deadline
        return None if span is None else self.now.at + timedelta(seconds=span)

    def _forward(self) -> None:
        if self.progress.begins_at is not None:
            return
        if self.definition.growing:
            self._hear()
            return
        steps = self.progress.steps  # as they are now: dispatching one changes no other
        passed = {name for name, step in steps.items() if step.status in _PASSED}
        for name, step in steps.items():
            if step.status is StepStatus.PENDING and passed.issuperset(self.definition.needs(name)):
                self.dispatch_action(name)
        if all(steps[name].status in _PASSED for name in self.definition.names):
            self.add(e.SagaCompleted)

    def _hear(self) -> None:
        """Have the function hear of what has happened: it says what comes next. When it is done, all is."""
        function = self.step(FUNCTION)
        if function.status is StepStatus.PENDING or function.resting:
            self.dispatch_action(FUNCTION)
        elif function.status is StepStatus.COMPLETED:
            self.add(e.SagaCompleted)

    def dispatch_action(self, name: str) -> None:
        """Make the step's action due, as a new generation."""
        pinned = self.definition.step(name)
        generation, budget = self.step(name).generation + 1, pinned.retry.max_attempts
        if self.is_function(self.step(name)):
            self.add(e.FunctionDispatched, step=name, generation=generation, budget=budget)
            return
        self.add(e.StepDispatched, step=name, generation=generation, budget=budget, **self._wait(pinned))

    def _wait(self, pinned: SagaStep) -> dict[str, Any]:
        """Return for what a step waits that calls nobody."""
        data = self.progress.data or {}
        if pinned.timer is not None:
            until = max(wake_at(pinned.timer, data, self.now.at), self.now.at)
            return {"waiting": Waiting.TIMER, "until": until}
        if pinned.approval is None:
            return {}
        results = {name: step.result for name, step in self.progress.steps.items()}
        asked = {
            "show": shown(pinned.approval, {"results": results, **data}),
            "people": pinned.approval.people,
            "otherwise": pinned.approval.otherwise,
            "self_approval": pinned.approval.self_approval,
            "given": {},
        }
        return {
            "waiting": Waiting.APPROVAL,
            "until": self.approval_ends(pinned),
            "approver": pinned.approval.by,
            "asked": asked,
        }

    def approval_ends(self, pinned: SagaStep) -> datetime | None:
        """Return until when people may answer that are asked now."""
        span = pinned.approval.deadline if pinned.approval else None
        return None if span is None else self.now.at + timedelta(seconds=span)

    def dispatch_undo(
        self, step: StepProgress, *, error: str | None = None, due_at: datetime | None = None
    ) -> None:
        """Make the step's undo due, as a new generation; after an error the attempts count on."""
        attempts = self.definition.step(step.name).undo_retry.max_attempts
        self.add(
            e.UndoDispatched,
            step=step.name,
            generation=step.undo_generation + 1,
            attempt=step.attempt + 1 if error else 1,
            budget=step.budget if error else attempts,
            due_at=due_at or self.now.at,
            error=error,
        )

    def reschedule(
        self,
        step: StepProgress,
        *,
        due_at: datetime,
        error: str | None,
        inbox: bool,
        unresolved: bool = True,
        attempt: int | None = None,
        budget: int | None = None,
    ) -> None:
        """Make the step's open command due again, under the same key: as the next attempt, unless one is given."""
        way_back = e.UndoRescheduled if step.open is Direction.UNDO else e.StepRescheduled
        self.add(
            e.DeliveryRescheduled if self.definition.flow is not None else way_back,
            step=step.name,
            attempt=step.attempt + 1 if attempt is None else attempt,
            budget=step.budget if budget is None else budget,
            due_at=due_at,
            error=error,
            unresolved=unresolved,
            inbox=inbox,
        )

    def start_over(self, step: StepProgress, attempts: int, due_at: datetime | None = None) -> None:
        """Make the step's open command due, now or then, with so many attempts; one that is due keeps its number."""
        attempt = step.attempt if step.scheduled else step.attempt + 1
        self.reschedule(
            step,
            attempt=attempt,
            budget=attempt + attempts - 1,
            due_at=due_at or self.now.at,
            error=step.error,
            unresolved=step.unresolved,
            inbox=step.inbox,
        )

    def turn_back(self, error: str, step: str | None = None) -> None:
        """Begin the rollback: withdraw what nobody has claimed, await what is claimed, undo the rest."""
        self.add(e.SagaCompensating, error=error, step=step)
        for each in self.progress.steps.values():
            if each.status is StepStatus.EXECUTING and self._may_stop(each):
                self.withdraw(each, each.error or "withdrawn before its next attempt")
        self.advance()

    def _may_stop(self, step: StepProgress) -> bool:
        return self.is_function(step) or (not self.claimed(step) and not self.awaited(step))

    def awaited(self, step: StepProgress) -> bool:
        """Whether only a reply can tell what an attempt does that is under way outside.

        With an inbox nobody need wait: the undo either meets the effect, or keeps it from happening.
        """
        return step.waiting is Waiting.REPLY and not step.inbox

    def withdraw(self, step: StepProgress, error: str) -> None:
        """Let no attempt begin any more; what an earlier one may have done is asked, or stays unknown."""
        if not step.unresolved:
            self.add(e.StepWithdrawn, step=step.name)
        elif step.asking or ((step.scheduled or step.attention) and self.ask(step, error)):
            return
        elif step.scheduled or step.waiting or step.attention not in {None, Attention.OUTCOME_UNKNOWN}:
            self.add(e.StepOutcomeUnknown, step=step.name, error=error, inbox=step.inbox)

    def ask(
        self,
        step: StepProgress,
        error: str | None,
        *,
        asked: int = 0,
        budget: int | None = None,
        inbox: bool | None = None,
        due_at: datetime | None = None,
    ) -> bool:
        """Have the participant asked what became of the open command; False if it cannot be, or was too often.

        A probe has no effect, so it is asked in a rollback, too, where no retry begins.
        """
        pinned = self.definition.step(step.name)
        if step.open is None or pinned.probe_of(step.open) is None:
            return False
        if asked >= pinned.probe_retry.max_attempts:
            return False
        self.add(
            e.ProbeDispatched,
            step=step.name,
            probe=asked + 1,
            budget=step.budget if budget is None else budget,
            due_at=due_at or self.now.at,
            error=error,
            inbox=step.inbox if inbox is None else inbox,
        )
        return True

    def _backward(self) -> None:
        #: Steps of which neither they themselves nor anything that stands on them still stands.
        clear: set[str] = set()
        for name in reversed(self.definition.order):
            if clear.issuperset(self.definition.dependents(name)):
                self._undo(self.definition.step(name), self.step(name))
                if self._settled(name):
                    clear.add(name)
        if len(clear) == len(self.definition.steps):
            self.add(e.SagaFailed, error=self.progress.error or "")

    def _undo(self, pinned: SagaStep, step: StepProgress) -> None:
        owed = step.status is StepStatus.COMPLETED and not step.standing and pinned.compensation is not None
        if not owed and not step.unknown:
            return
        if pinned.compensation is None:
            self.add(e.StepLeftStanding, step=step.name)
        elif step.unknown and not step.inbox:
            if step.attention is not Attention.OUTCOME_UNKNOWN:
                error = step.error or "its outcome is not known"
                self.add(e.StepHeld, step=step.name, code=Attention.OUTCOME_UNKNOWN, error=error)
        elif pinned.compensation == CANNOT_UNDO:
            if step.attention is not Attention.CANNOT_UNDO:
                self.add(e.UndoHeld, step=step.name, code=Attention.CANNOT_UNDO, error="it cannot be undone")
        else:
            self.dispatch_undo(step)

    def _settled(self, name: str) -> bool:
        step = self.step(name)
        match step.status:
            case StepStatus.COMPLETED:
                return step.standing or self.definition.step(name).compensation is None
            case StepStatus.EXECUTING | StepStatus.COMPENSATING:
                return False
            case _:
                return True

    def next_try(self, retry: Retry, failures: int, retry_after: float | None = None) -> datetime:
        """Return when to try again after so many failures, and not before the participant asked to."""
        wait = retry.delay(failures, self.now.jitter)
        return self.now.at + max(wait, timedelta(seconds=min(retry_after or 0.0, LONGEST_WAIT)))

    def out_of_time(self, step: StepProgress, due_at: datetime) -> bool:
        """Whether an attempt that is due then would begin behind the step's deadline, or the saga's.

        A child is asked about even then: it is it that has to heed the step's deadline.
        """
        pinned = self.definition.step(step.name)
        span = pinned.deadline
        late = (
            span is not None
            and pinned.child is None
            and step.dispatched_at is not None
            and due_at >= step.dispatched_at + timedelta(seconds=span)
        )
        return late or (self.progress.expired and not self.pivot_passed)

    @property
    def over(self) -> bool:
        """Whether the saga is terminal."""
        return self.progress.state in TERMINAL
