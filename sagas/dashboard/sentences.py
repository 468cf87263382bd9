"""The event log in sentences: what happened, told to a person. A time in one stands in braces, for who shows it."""

from collections.abc import Callable, Mapping
from typing import Any

from sagas.dashboard.words import approver_text
from sagas.orchestrator import attention_text

Data = Mapping[str, Any]


def _try(data: Data) -> str:
    return f"try {data.get('attempt')} of {data.get('budget')}"


def _because(data: Data) -> str:
    """Say why, without the full stop at its end: the sentence that goes on, or ends, brings its own."""
    return f": {str(data['error']).removesuffix('.')}" if data.get("error") else ""


def _again(data: Data) -> str:
    doubt = " It may have had its effect." if data.get("unresolved") else ""
    return f"{_try(data)} is due{_because(data)}.{doubt}"


def _new_key(data: Data, command: str) -> str:
    times = data.get("generation", 1)
    return f"{command} is due" + (f", under its key number {times}" if times > 1 else "")


#: Event type -> (tone, sentence). The tone picks glyph and colour.
SENTENCES: Mapping[str, tuple[str, Callable[[str, Data], str]]] = {
    "SagaStarted": ("started", lambda s, d: "The saga is recorded." + _begins(d)),
    "SagaBegan": ("pending", lambda s, d: "Its time has come: it begins."),
    "SagaExpired": ("attention", lambda s, d: "Its deadline passed before its point of no return."),
    "SagaCompensating": ("compensating", lambda s, d: f"Rolling back{_because(d)}."),
    "SagaCompleted": ("completed", lambda s, d: "The saga is completed."),
    "SagaFailed": ("failed", lambda s, d: f"Rolled back, and done{_because(d)}."),
    "SagaPaused": ("paused", lambda s, d: "Paused: nothing more is claimed."),
    "SagaResumed": ("pending", lambda s, d: "Resumed."),
    "DataEdited": ("edited", lambda s, d: "The data was replaced." + _keeping(d)),
    "StepDispatched": ("pending", lambda s, d: _dispatched(s, d)),
    "ReplyAwaited": ("pending", lambda s, d: f"{s} is taken on; its reply comes later{_until(d)}."),
    "ApprovalGiven": ("completed", lambda s, d: f"{s}: {d.get('by')} approved{_said(d)}; others have to."),
    "DefinitionChanged": ("edited", lambda s, d: f"Called by new names from now on: {_names(d)}."),
    "EventPublished": ("info", lambda s, d: f"{d.get('event')} is published{_by(d)}{_to(d)}."),
    "SagaGrown": ("info", lambda s, d: f"The function asks for {_asked_for(d)}."),
    "FunctionWaits": ("pending", lambda s, d: f"The {s} waits for a verdict."),
    "FunctionDispatched": ("pending", lambda s, d: _run(s, d)),
    "DeliveryDispatched": ("pending", lambda s, d: _new_key(d, f"The delivery for {s}") + "."),
    "DeliveryRescheduled": ("pending", lambda s, d: f"{s}: {_again(d)}"),
    "EventAwaited": (
        "pending",
        lambda s, d: f"{s} is to lead to an event{_until({'until': d.get('due_at')})}.",
    ),
    "DeliveryDropped": ("skipped", lambda s, d: f"The delivery for {s} is skipped."),
    "StepRescheduled": ("pending", lambda s, d: f"{s}: {_again(d)}"),
    "StepOutcomeUnknown": (
        "attention",
        lambda s, d: f"Whether {s} had its effect is not known{_because(d)}.",
    ),
    "StepCompleted": ("completed", lambda s, d: f"{s} is completed{_by_hand(d)}."),
    "StepFailed": ("cross", lambda s, d: f"{s} had no effect{_because(d)}."),
    "StepHeld": (
        "attention",
        lambda s, d: f"{s} waits for a person, {attention_text(d.get('code'))}{_because(d)}.",
    ),
    "StepWithdrawn": ("started", lambda s, d: f"{s} was withdrawn before anybody began with it."),
    "StepSkipped": ("skipped", lambda s, d: f"{s} is skipped."),
    "UndoDispatched": ("compensating", lambda s, d: _new_key(d, f"The undo of {s}") + f"{_because(d)}."),
    "UndoRescheduled": ("compensating", lambda s, d: f"Undo of {s}: {_again(d)}"),
    "UndoHeld": (
        "attention",
        lambda s, d: f"The undo of {s} waits for a person, {attention_text(d.get('code'))}{_because(d)}.",
    ),
    "ProbeDispatched": (
        "info",
        lambda s, d: (
            f"{s} may have had its effect{_because(d)}. Its participant is asked, time {d.get('probe')}."
        ),
    ),
    "StepCompensated": ("failed", lambda s, d: f"{s} is undone{_by_hand(d)}."),
    "StepLeftStanding": ("standing", lambda s, d: f"{s} is left standing; the rollback passes it."),
    "LateEffectFound": (
        "attention",
        lambda s, d: f"{s} had its effect{_under_key(d)} after its command was closed.",
    ),
    "LateEffectSettled": ("completed", lambda s, d: f"The late effect of {s} is settled."),
}


def _under_key(data: Data) -> str:
    return f", under its key number {data['generation']}," if data.get("generation") else ""


def _by_hand(data: Data) -> str:
    return ", on an operator's word" if data.get("by_hand") else ""


def _by(data: Data) -> str:
    return f" by {data['by']}" if data.get("by") else ""


def _to(data: Data) -> str:
    return f", for {', '.join(data['to'])}" if data.get("to") else "; nobody reacts to it"


def _until(data: Data) -> str:
    return f", until {{{data['until']}}} at the latest" if data.get("until") else ""


def _begins(data: Data) -> str:
    return f" It begins at {{{data['begins_at']}}}." if data.get("begins_at") else ""


def _said(data: Data) -> str:
    return f", “{data['comment']}”" if data.get("comment") else ""


def _dispatched(step: str, data: Data) -> str:
    match data.get("waiting"):
        case "approval":
            return f"{step} asks {approver_text(data.get('approver'))} to approve{_until(data)}."
        case "timer":
            return f"{step} waits{_until(data)}.".replace(" at the latest", "")
        case _:
            return _new_key(data, f"The action of {step}") + "."


def _asked_for(data: Data) -> str:
    return ", ".join(each["step"]["name"] for each in data.get("steps") or ())


def _run(step: str, data: Data) -> str:
    again = ", to hear of a verdict" if data.get("generation", 1) > 1 else ""
    return f"A run of the {step} is due{again}."


def _keeping(data: Data) -> str:
    keeping = data.get("keeping") or ()
    return f" Already sent, and unchanged: {', '.join(keeping)}." if keeping else ""


def _names(data: Data) -> str:
    return ", ".join(f"{old} is {new}" for old, new in (data.get("renamed") or {}).items())


def sentence(event: Mapping[str, Any]) -> tuple[str, str]:
    """Return an event's tone, and the event in words."""
    tone, say = SENTENCES.get(event["type"], ("started", lambda s, d: event["type"]))
    return tone, say(event["step"] or "", event["data"] or {})
