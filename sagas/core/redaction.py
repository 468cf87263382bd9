"""A saga without its values: what happened, and when, in what order; of what was said, only that something was.

A value becomes a placeholder that names its type, a text another; null and the empty text tell nothing, and
stay. Redacting again changes nothing, and so does folding: redacted events give the redacted rows.
"""

from collections.abc import Callable, Mapping
from typing import Any

#: What stands for a text.
TEXT = "[redacted]"
_KINDS = {dict: "object", list: "array", str: "text", bool: "boolean", int: "number", float: "number"}


def text(said: str | None) -> str | None:
    """Return what stands for a text."""
    return TEXT if said else said


def value(given: Any) -> Any:
    """Return what stands for a value, keys, lengths and all."""
    if given is None or _is_placeholder(given):
        return given
    return {"redacted": _KINDS[type(given)]}


def _is_placeholder(given: Any) -> bool:
    return isinstance(given, dict) and given.keys() == {"redacted"} and given["redacted"] in _KINDS.values()


def _nothing(_: Any) -> None:
    return None


def _event(told: Any) -> Any:
    return told and {**told, "data": value(told["data"])}


def _grown(told: Any) -> Any:
    """Redact a step that a function asked for: what it sends, and what it has made people see."""
    if not told:
        return told
    step = _treated(told["step"], _PINNED)
    asks = step.get("approval")
    if asks and isinstance(asks.get("show"), str):
        step["approval"] = {**asks, "show": text(asks["show"])}
    return {**told, "step": step}


Treatment = Callable[[Any], Any]
_SAGA: Mapping[str, Treatment] = {"data": value, "error": text, "idempotency_key": _nothing}
_STEP: Mapping[str, Treatment] = {
    "result": value,
    "error": text,
    "input": value,
    "asked": value,
    "event": _event,
    "grown": _grown,
}
_PINNED: Mapping[str, Treatment] = {"input": value}
_LATE: Mapping[str, Treatment] = {"payload": value}
#: What an event may say besides values: words, counts and times of ours, and names of steps and commands.
_OPEN = frozenset(
    {
        "generation",
        "attempt",
        "budget",
        "due_at",
        "unresolved",
        "inbox",
        "code",
        "outcome",
        "keeping",
        "promised",
        "by_hand",
    }
    | {"begins_at", "deadline_at", "waiting", "until", "approver", "event", "to"}
    | {"renamed", "before", "after"}
)
#: What an event says in a text.
_TEXTS = frozenset({"error", "person", "by", "comment"})


def document(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return a saga's document without values; :mod:`sagas.orchestrator.portable` has its shape."""
    pinned = whole["definition"]
    return {
        **whole,
        "revealed": False,
        "saga": _treated(whole["saga"], _SAGA),
        "definition": {**pinned, "steps": [_treated(step, _PINNED) for step in pinned["steps"]]},
        "steps": [_treated(step, _STEP) for step in whole["steps"]],
        "events": [{**event, "data": _event_data(event["data"])} for event in whole["events"]],
        "late_replies": [_treated(reply, _LATE) for reply in whole["late_replies"]],
        "actions": [
            {**action, "reason": text(action["reason"]), "request": _request(action["request"])}
            for action in whole["actions"]
        ],
    }


def _treated(row: Mapping[str, Any], treatments: Mapping[str, Treatment]) -> dict[str, Any]:
    return {name: treatments[name](v) if name in treatments else v for name, v in row.items()}


def _event_data(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _told(name, v) for name, v in data.items()}


def _told(name: str, said: Any) -> Any:
    if name == "steps" and isinstance(said, list | tuple):
        return [_grown(each) for each in said]
    return said if name in _OPEN else (text(said) if name in _TEXTS else value(said))


def _request(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: v if name == "outcome" else value(v) for name, v in request.items()}
