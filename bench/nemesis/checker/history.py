"""I3, I4: what the events say, read by an interpreter of the checker's own, against the rows and the design's rules."""

from typing import Any

from bench.nemesis.checker.books import SOMEWHEN
from bench.nemesis.checker.facts import FUNCTION, Facts, Row, Saga
from bench.nemesis.checker.verdict import Verdict, invariant

#: Event -> the step's status after it; where there is none, it stays.
STATUS = {
    "StepDispatched": "executing",
    "StepCompleted": "completed",
    "StepFailed": "failed",
    "StepWithdrawn": "pending",
    "StepSkipped": "skipped",
    "UndoDispatched": "compensating",
    "StepCompensated": "compensated",
    "StepLeftStanding": "completed",
    "DeliveryDispatched": "executing",
    "EventAwaited": "executing",
    "DeliveryDropped": "skipped",
    "FunctionDispatched": "executing",
    "FunctionWaits": "executing",
}
#: What begins a saga's first step, one way or the other.
BEGINS = {"StepDispatched", "StepSkipped", "DeliveryDispatched", "FunctionDispatched"}
ENDS = {"SagaCompleted": "completed", "SagaFailed": "failed"}
AFTER_THE_END = {"LateEffectFound", "LateEffectSettled"}
#: A step in one of these has no effect that a rollback would have to undo.
NOTHING = {"pending", "failed", "compensated", "skipped"}


class Story:
    """A saga as its events tell it, up to any of them."""

    def __init__(self, saga: Saga) -> None:
        self.state = "started"
        pinned = [name for name in saga.definition if not saga.steps[name]["grown"]]
        self.status = dict.fromkeys(pinned, "pending")
        self.unknown = dict.fromkeys(pinned, False)
        self.grown: dict[str, Any] = dict.fromkeys(pinned)
        """What a function has asked for, by step; None for what was there from the beginning."""
        self.standing: set[str] = set()
        self.results: dict[str, Any] = {}
        self.data: Any = None
        self.paused = False

    def hear(self, event: Row) -> None:
        """Take one event in."""
        kind, step, data = event["type"], event["step"], event["data"]
        if step is not None and kind != "SagaCompensating":  # that names the step that was at fault
            self._hear_step(kind, step, data)
        if kind in BEGINS and self.state == "started":
            self.state = "pending"
        elif kind == "SagaCompensating":
            self.state = "compensating"
        elif kind in ENDS:
            self.state, self.paused = ENDS[kind], False
        elif kind in ("SagaPaused", "SagaResumed"):
            self.paused = kind == "SagaPaused"
        elif kind in ("SagaStarted", "DataEdited"):
            self.data = data["data"]
        elif kind == "SagaGrown":
            for each in data["steps"]:
                name = each["step"]["name"]
                self.status[name], self.unknown[name], self.grown[name] = "pending", False, each

    def _hear_step(self, kind: str, step: str, data: Row) -> None:
        self.status[step] = STATUS.get(kind, self.status[step])
        self.unknown[step] = kind == "StepOutcomeUnknown" or (kind == "StepHeld" and self.unknown[step])
        if kind == "StepLeftStanding":
            self.standing.add(step)
        if kind in ("StepCompleted", "LateEffectFound"):
            self.results[step] = data["result"]


@invariant("I4", "terminal is final; versions rise by one; the history is gapless, and folds to the rows")
def history(facts: Facts, verdict: Verdict) -> None:
    for saga in facts.sagas.values():
        story, version, over = Story(saga), 0, False
        for place, event in enumerate(saga.events, start=1):
            sound = event["sequence"] == place and event["version"] - version in (
                (1,) if place == 1 else (0, 1)
            )
            verdict.expect(sound, "a gap in the history", saga=saga.id, sequence=event["sequence"])
            if over:
                verdict.expect(
                    event["type"] in AFTER_THE_END,
                    "an event after the end",
                    saga=saga.id,
                    event=event["type"],
                )
            over = over or event["type"] in ENDS
            version = event["version"]
            astray = event["step"] == FUNCTION and event["data"].get("code") == "misconfigured"
            verdict.expect(not astray, "a function did not match its record", saga=saga.id, event=event)
            story.hear(event)
        _fits(saga, story, version, verdict)


def _fits(saga: Saga, story: Story, version: int, verdict: Verdict) -> None:
    row = saga.row
    told = {
        "state": story.state,
        "version": version,
        "sequence": len(saga.events),
        "data": story.data,
        "paused": story.paused,
    }
    for name, value in told.items():
        verdict.expect(
            row[name] == value,
            f"the row's {name} is not the history's",
            saga=saga.id,
            row=row[name],
            told=value,
        )
    grown = {name: step["grown"] for name, step in saga.steps.items()}
    verdict.expect(
        story.grown == grown, "its steps are not the history's", saga=saga.id, row=grown, told=story.grown
    )
    for name, status in story.status.items():
        step = saga.steps[name]
        verdict.expect(
            step["status"] == status,
            "a step's status is not the history's",
            saga=saga.id,
            step=name,
            told=status,
        )
        verdict.expect(
            step["standing"] == (name in story.standing),
            "standing is not the history's",
            saga=saga.id,
            step=name,
        )
        if status == "completed":
            verdict.expect(
                step["result"] == story.results.get(name),
                "a result is not the history's",
                saga=saga.id,
                step=name,
            )


@invariant("I3", "nothing is undone before it is resolved, or under what stands on it, or behind the pivot")
def order(facts: Facts, verdict: Verdict) -> None:
    for saga in facts.sagas.values():
        story = Story(saga)
        pivot = next((name for name, step in saga.definition.items() if step.get("pivot")), None)
        for event in saga.events:
            if event["type"] == "UndoDispatched":
                _may_undo(saga, story, event["step"], verdict)
            if event["type"] == "SagaCompensating" and pivot:
                verdict.expect(
                    story.status[pivot] != "completed", "turned back behind the pivot", saga=saga.id
                )
            story.hear(event)
        _undone_in_order(saga, verdict)


def _may_undo(saga: Saga, story: Story, step: str, verdict: Verdict) -> None:
    resolved = story.status[step] in ("completed", "compensating") or story.unknown[step]
    verdict.expect(
        resolved, "undone before it was resolved", saga=saga.id, step=step, status=story.status[step]
    )
    for other in saga.dependents(step):
        left = other in story.standing or saga.definition[other].get("compensation") is None
        gone = story.status[other] in NOTHING or (story.status[other] == "completed" and left)
        verdict.expect(gone, "undone under what stands on it", saga=saga.id, step=step, other=other)


def _undone_in_order(saga: Saga, verdict: Verdict) -> None:
    """The ledger's own times: an effect is taken back after those that stood on it. The shop's books have none."""
    last = {step: _undone_at(saga, step) for step in saga.definition}
    for step, at in last.items():
        for other in saga.above(step) if at > SOMEWHEN else ():
            verdict.expect(last[other] <= at, "the ledger undid in the wrong order", saga=saga.id, step=step)


def _undone_at(saga: Saga, step: str) -> float:
    """Return when the last of a step's effects was taken back, those of its children among them; 0 for never.

    What came too late for its saga's rollback is taken back by a saga of its own, in no order with the others.
    """
    own = (
        effect["undone_at"] or 0.0
        for effect in saga.effects[step]
        if saga.undone or str(effect.get("undone_by") or saga.id).startswith(saga.id)
    )
    theirs = (_undone_at(child, each) for child in saga.children[step] for each in child.definition)
    return max((*own, *theirs), default=0.0)
