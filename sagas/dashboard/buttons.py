"""A saga's verbs as buttons: where each applies, or why it does not."""

from collections.abc import Mapping, Sequence
from typing import Any

from sagas.orchestrator import VERBS

#: Verb about a step -> why no step has it, when each step has a reason of its own.
NOWHERE = {
    "retry": "No step is in back-off or at attention.",
    "skip": "No step can be skipped now: each is done, running, or may have had its effect.",
    "resolve": "No step is at attention, or has an unknown outcome.",
    "approve": "No step waits for an approval.",
    "reject": "No step waits for an approval.",
}


def verb_buttons(verbs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry per verb: where it applies, or why it does not."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in verbs:
        found.setdefault(entry["verb"], []).append(entry)
    return [_button(found[verb]) for verb in VERBS if verb in found]


def last_buttons(snapshot: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the buttons of a saga that is over: the other verbs never will apply again.

    What still does, or would for somebody else, is there once: here, unless the line above the buttons has it.
    """
    above = {verb["verb"] for verb in snapshot["why"]["verbs"]}
    buttons = [button for button in verb_buttons(snapshot["verbs"]) if button["verb"] not in above]
    return [button for button in buttons if button["targets"] or button["personal"]]


def _button(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    verb, reasons = entries[0]["verb"], {entry["reason"] for entry in entries}
    personal = next((entry["reason"] for entry in entries if not entry["allowed"]), None)
    return {
        "verb": verb,
        "label": entries[0]["label"],
        "targets": [entry["step"] for entry in entries if entry["applies"]],
        "reason": personal or (NOWHERE[verb] if len(reasons) > 1 else entries[0]["reason"]),
        "personal": personal is not None,
    }
