"""One of each event."""

from typing import get_args

from sagas.core import events as e
from sagas.core.words import Attention

from .story import NOON

#: What an event needs beyond its time, its version and its step.
_VALUES: dict[type, dict[str, object]] = {
    e.SagaStarted: {"data": {"order": 1}},
    e.SagaCompensating: {"error": "no", "step": "a"},
    e.SagaFailed: {"error": "no"},
    e.DataEdited: {"data": {"order": 2}, "keeping": ("a",)},
    e.DefinitionChanged: {"renamed": {"Old": "New"}, "before": "0" * 64, "after": "1" * 64},
    e.StepDispatched: {"generation": 2, "budget": 5},
    e.ReplyAwaited: {"until": NOON, "inbox": False},
    e.ApprovalGiven: {"person": "7", "by": "mia", "comment": "fine"},
    e.StepRescheduled: {"attempt": 2, "budget": 5, "due_at": NOON, "unresolved": True, "inbox": False},
    e.StepOutcomeUnknown: {"error": "lost", "inbox": False},
    e.StepCompleted: {"result": {"id": 7}},
    e.StepFailed: {"error": "no"},
    e.StepHeld: {"code": Attention.HELD, "error": "no"},
    e.UndoDispatched: {"generation": 1, "attempt": 1, "budget": 10, "due_at": NOON},
    e.UndoRescheduled: {"attempt": 2, "budget": 10, "due_at": NOON, "unresolved": True, "inbox": True},
    e.UndoHeld: {"code": Attention.COMPENSATION_FAILED, "error": "no"},
    e.ProbeDispatched: {"probe": 2, "budget": 5, "due_at": NOON, "inbox": False},
    e.StepCompensated: {"result": [1]},
    e.LateEffectFound: {"result": "late"},
    e.EventPublished: {"event": "OrderCreated", "data": {"order": 1}, "to": ("a",)},
    e.DeliveryDispatched: {"generation": 1, "budget": 5},
    e.DeliveryRescheduled: {"attempt": 2, "budget": 5, "due_at": NOON, "unresolved": True, "inbox": False},
    e.SagaGrown: {"steps": ({"step": {"name": "c", "action": "Service.Do"}, "place": "c:1"},)},
    e.FunctionDispatched: {"generation": 1, "budget": 5},
    e.EventAwaited: {"due_at": NOON, "result": 1},
}


def make(event: type[e.Event], version: int = 1) -> e.Event:
    """Return an event of that type; a step's event is of step a."""
    values = _VALUES.get(event, {})
    if event in get_args(e.StepEvent):
        values = {"step": "a"} | values
    return event(at=NOON, version=version, **values)  # type: ignore[arg-type]
