"""What happens next: one message in, the events that it decides out. Nothing is changed here.

Delivery is at least once and in any order, so a reply that no open command awaits decides
nothing (or, from a participant without an inbox, that an effect became known too late).
A verb that does not apply raises :class:`Refused`: that is the caller's to hear.
"""

from typing import Any

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.definition import CANNOT_UNDO, SagaDefinition, SagaStep
from sagas.core.machine import evolve
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import FORWARD, TERMINAL, Attention, Direction, Outcome, SagaState, StepStatus


class Refused(Exception):
    """A verb that does not apply here and now. Its text says why, and what would."""


def decide(
    definition: SagaDefinition, progress: Progress, message: m.Message, now: m.Now
) -> tuple[e.Event, ...]:
    """Return the events that a message decides; none for a reply that is late.

    Raises :class:`Refused` for a verb that does not apply.
    """
    draft = Draft(definition, progress, now)
    match message:
        case m.Start(data=data):
            draft.add(e.SagaStarted, data=data)
            draft.advance()
        case m.Completed() | m.Rejected() | m.Unknown() | m.Unserved():
            step = progress.awaiting(message.number)
            if step is None:
                draft.late(message)
            elif step.open is Direction.DO:
                draft.action_reply(step, message)
            else:
                draft.undo_reply(step, message)
        case _:
            # Verbs stand on the same draft; imported late because they are this module's second half.
            from sagas.core.verbs import act

            act(draft, message)
    return tuple(draft.events)


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

    # Replies

    def late(self, reply: m.Reply) -> None:
        """Record an effect that became known too late; every other late reply decides nothing."""
        step = next((s for s in self.progress.steps.values() if s.action_number == reply.number), None)
        if step is None or not isinstance(reply, m.Completed):
            return
        known = step.action_outcome is Outcome.COMPLETED or step.standing
        # With an inbox the undo has met this effect, unless an operator denied it and nothing was undone.
        met = reply.inbox and step.action_outcome is not Outcome.REJECTED
        if not known and not met and self.definition.step(step.name).compensation is not None:
            self.add(e.LateEffectFound, step=step.name, result=reply.result)

    def action_reply(self, step: StepProgress, reply: m.Reply) -> None:
        """Take the answer to an open action."""
        match reply:
            case m.Completed(result=result):
                self.add(e.StepCompleted, step=step.name, result=result)
                self.advance()
            case m.Rejected(reason=reason, inbox=inbox) if step.unresolved and not inbox:
                # This attempt did nothing, but an earlier one may have: its no does not speak for that one.
                self._action_unknown(step, reason, inbox=inbox, retry_after=None)
            case m.Rejected(reason=reason):
                self.reject(step, reason)
            case m.Unknown(error=error, inbox=inbox, retry_after=retry_after):
                self._action_unknown(step, error, inbox=inbox, retry_after=retry_after)
            case m.Unserved(error=error, code=code) if self.progress.state in FORWARD:
                self.add(e.StepHeld, step=step.name, code=code, error=error)
            case m.Unserved(error=error):
                self._withdraw(step, error)
                self.advance()

    def reject(self, step: StepProgress, reason: str) -> None:
        """The action had no effect: turn back, or ask where a person decides."""
        self.add(e.StepFailed, step=step.name, error=reason)
        if self.progress.state is SagaState.COMPENSATING:
            self.advance()
        elif self.pivot_passed or self.definition.step(step.name).hold:
            self.add(e.StepHeld, step=step.name, code=Attention.HELD, error=reason)
        else:
            self.turn_back(reason, step.name)

    def _action_unknown(
        self, step: StepProgress, error: str, *, inbox: bool, retry_after: float | None
    ) -> None:
        pinned = self.definition.step(step.name)
        if self.progress.state in FORWARD and step.attempt < step.budget:
            self.add(
                e.StepRescheduled,
                step=step.name,
                attempt=step.attempt + 1,
                budget=step.budget,
                due_at=self._next_try(pinned.retry, step.attempt, retry_after),
                error=error,
                unresolved=True,
                inbox=inbox,
            )
            return
        self.add(e.StepOutcomeUnknown, step=step.name, error=error, inbox=inbox)
        if self.progress.state is SagaState.COMPENSATING:
            self.advance()
        elif not inbox and pinned.probe is None:
            self.add(e.StepHeld, step=step.name, code=Attention.OUTCOME_UNKNOWN, error=error)
        elif self.pivot_passed or pinned.hold:
            self.add(e.StepHeld, step=step.name, code=Attention.RETRIES_SPENT, error=error)
        else:
            self.turn_back(error, step.name)

    def undo_reply(self, step: StepProgress, reply: m.Reply) -> None:
        """Take the answer to an open undo."""
        retry = self.definition.step(step.name).undo_retry
        match reply:
            case m.Completed(result=result):
                self.add(e.StepCompensated, step=step.name, result=result)
                self.advance()
            case m.Rejected(reason=reason, inbox=inbox) if inbox or not step.unresolved:
                if step.attempt < step.budget:
                    self.dispatch_undo(step, error=reason, due_at=self._next_try(retry, step.attempt, None))
                else:
                    self._undo_failed(step, reason, Outcome.REJECTED)
            case m.Rejected(reason=error) | m.Unknown(error=error):
                if step.attempt < step.budget:
                    wait = reply.retry_after if isinstance(reply, m.Unknown) else None
                    self.add(
                        e.UndoRescheduled,
                        step=step.name,
                        attempt=step.attempt + 1,
                        budget=step.budget,
                        due_at=self._next_try(retry, step.attempt, wait),
                        error=error,
                        unresolved=True,
                        inbox=reply.inbox,
                    )
                else:
                    self._undo_failed(step, error, Outcome.UNKNOWN)
            case m.Unserved(error=error, code=code):
                self.add(e.UndoHeld, step=step.name, code=code, error=error)

    def _undo_failed(self, step: StepProgress, error: str, outcome: Outcome) -> None:
        code = Attention.COMPENSATION_FAILED
        self.add(e.UndoHeld, step=step.name, code=code, error=error, outcome=outcome)

    def _next_try(self, retry: Any, failures: int, retry_after: float | None) -> Any:
        wait = retry.delay(failures, self.now.jitter)
        if retry_after is not None:
            wait = max(wait, type(wait)(seconds=min(retry_after, 3600.0)))
        return self.now.at + wait

    # Going on, forward and back

    def advance(self) -> None:
        """Dispatch what has become possible; finish when nothing is left."""
        if self.progress.state in FORWARD:
            self._forward()
        elif self.progress.state is SagaState.COMPENSATING:
            self._backward()

    def _forward(self) -> None:
        passed = {StepStatus.COMPLETED, StepStatus.SKIPPED}
        for name in self.definition.names:
            ready = all(self.step(need).status in passed for need in self.definition.needs(name))
            if self.step(name).status is StepStatus.PENDING and ready:
                self.dispatch_action(name)
        if all(step.status in passed for step in self.progress.steps.values()):
            self.add(e.SagaCompleted)

    def dispatch_action(self, name: str) -> None:
        """Make the step's action due, as a new generation."""
        budget = self.definition.step(name).retry.max_attempts
        self.add(e.StepDispatched, step=name, generation=self.step(name).generation + 1, budget=budget)

    def dispatch_undo(
        self, step: StepProgress, *, error: str | None = None, due_at: Any = None, fresh: bool = True
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

    def turn_back(self, error: str, step: str | None = None) -> None:
        """Begin the rollback: withdraw what nobody has claimed, await what is claimed, undo the rest."""
        self.add(e.SagaCompensating, error=error, step=step)
        for each in self.progress.steps.values():
            if each.status is StepStatus.EXECUTING and not self.claimed(each):
                self._withdraw(each, each.error or "withdrawn before its next attempt")
        self.advance()

    def _withdraw(self, step: StepProgress, error: str) -> None:
        if not step.unresolved:
            self.add(e.StepWithdrawn, step=step.name)
        elif step.scheduled or step.attention not in {None, Attention.OUTCOME_UNKNOWN}:
            self.add(e.StepOutcomeUnknown, step=step.name, error=error, inbox=step.inbox)

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
        elif step.unknown and not step.inbox and pinned.probe is None:
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

    @property
    def over(self) -> bool:
        """Whether the saga is terminal."""
        return self.progress.state in TERMINAL
