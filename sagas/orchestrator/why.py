"""Why is it not moving? One line for every saga: what is, what it means, what would help."""

import re
from datetime import datetime
from typing import Any, NamedTuple

from sagas.core.telling import approver_text, in_utc
from sagas.core.words import Attention, Outcome
from sagas.models import IMPORT
from sagas.orchestrator.present import Present
from sagas.registry import WAITS_QUEUE

_TIME = re.compile(r"\{(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^{}\s]*)\}")

#: Attention code -> (what it means, the verbs that would help, most likely first).
_MEANING: dict[str, tuple[str, tuple[str, ...]]] = {
    Attention.HELD: ("It is held for your decision", ("retry", "compensate", "skip", "resolve")),
    Attention.RETRIES_SPENT: (
        "Its retries are spent, and it may or may not have had its effect",
        ("retry", "compensate", "resolve"),
    ),
    Attention.OUTCOME_UNKNOWN: (
        "It may or may not have had its effect, and its participant does not tell: find out, then settle it",
        ("resolve", "retry"),
    ),
    Attention.CANNOT_UNDO: (
        "It cannot be undone by a command: undo it by hand, or let it stand",
        ("resolve",),
    ),
    Attention.NO_HANDLER: (
        "Nobody handles its command: deploy the handler, then retry",
        ("retry", "compensate"),
    ),
    Attention.MISCONFIGURED: ("Its call is misconfigured: mend that, then retry", ("retry", "compensate")),
    Attention.EXPECTATION_MISSED: ("What was expected of it did not happen in time", ("retry", "resolve")),
    Attention.COMPENSATION_FAILED: (
        "Its undo keeps failing, so its effect still stands: retry the undo, or settle it by hand",
        ("retry", "resolve"),
    ),
}


#: Of a command that is misconfigured, and of which an attempt may have arrived all the same.
_GARBLED = (
    "Its call, or its answer, is misconfigured, and it may have had its effect: mend that, then retry, or settle it",
    ("retry", "resolve", "compensate"),
)


#: The same of a durable function, which has no effect by itself.
_OF_FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    Attention.MISCONFIGURED: (
        "It raised an error, or does not match its record: deploy code that fits, then retry",
        ("retry", "compensate", "resolve"),
    ),
    Attention.RETRIES_SPENT: (
        "It never came to an end, and nothing was done: retry it",
        ("retry", "compensate"),
    ),
}


#: The same of an approval, which only who may give it can give.
_OF_APPROVALS: dict[str, tuple[str, tuple[str, ...]]] = {
    Attention.EXPECTATION_MISSED: (
        "Nobody has answered it in time: answer it all the same, or ask again",
        ("approve", "reject", "retry"),
    ),
}


#: The same of a choreography's end, which nobody is called for: trying it again changes nothing.
_OF_ENDS: dict[str, tuple[str, tuple[str, ...]]] = {
    Attention.EXPECTATION_MISSED: (
        "What was expected of it has not happened, or not all of it: see that it is published, or settle it",
        ("resolve", "compensate"),
    ),
}


class _Line(NamedTuple):
    """Why a saga does not move, as it is worked out."""

    kind: str
    text: str
    """With its times in braces."""
    step: str | None = None
    """The step that it is about."""
    verbs: tuple[str, ...] = ()
    """What would help, most likely first."""


def explain(saga: dict[str, Any], now: datetime, present: Present) -> dict[str, Any]:
    """Return ``{text, timed, kind, verbs}`` for a snapshot: the line, and the verbs that would help and apply now.

    ``timed`` is the same line with its times as ``{2026-01-01T12:00:00+00:00}``, for who shows them in a zone.
    """
    line = _line(saga, now, present)
    applicable = [v for v in saga["verbs"] if v["applies"] and v["step"] in (None, line.step)]
    picked = [v for name in line.verbs for v in applicable if v["verb"] == name]
    verbs = [{k: v[k] for k in ("verb", "step", "label")} for v in picked]
    return {
        "text": _TIME.sub(_in_utc, line.text),
        "timed": line.text,
        "kind": line.kind,
        "verbs": verbs,
    }


def _in_utc(told: re.Match[str]) -> str:
    """Write a time out; what only looks like one, in a participant's own words, stays as it is."""
    try:
        time = datetime.fromisoformat(told[1])
        return in_utc(time) if time.tzinfo else told[0]
    except (ValueError, OverflowError):  # the calendar has an edge
        return told[0]


def _line(saga: dict[str, Any], now: datetime, present: Present) -> _Line:
    if saga["origin_kind"] == IMPORT:
        return _Line("imported", "It was imported: it ran, or runs, elsewhere, and is only a record here.")
    asking = (
        [step for step in saga["steps"] if step["attention"] == saga["attention"]]
        if saga["attention"]
        else []
    )
    if asking:
        step = asking[0]
        meaning, verbs = _meaning(saga, step)
        error = f": “{step['error']}”" if step["error"] else ""
        paused = " It is paused, too: nothing is called until it is resumed." if saga["paused"] else ""
        waiting = next((f" {_of_pause(each)}" for each in saga["steps"] if each["queue_paused"]), "")
        return _Line("attention", f"{_called(step)}{error}. {meaning}.{paused}{waiting}", step["name"], verbs)
    if saga["state"] == "completed" and _ended_by(saga):
        text = f"It is completed: {_ended_by(saga)} was published, and everything is delivered."
        return _Line("over", text)
    if saga["state"] == "completed" and any(step["function"] for step in saga["steps"]):
        return _Line("over", "It is completed: its function has come to its end.")
    if saga["state"] == "completed":
        return _Line(
            "over", "It is completed: every step is done, or was settled or skipped by a named operator."
        )
    if saga["state"] == "failed":
        why = str(saga["error"])  # an operator's rollback says so itself
        told = why if why.startswith("rolled back") else f"rolled back: {why}"
        return _Line("over", f"It was {told}.", None, ("restart",))
    if saga["paused"]:
        return _Line(
            "paused", "An operator paused it: nothing is claimed until it is resumed.", None, ("resume",)
        )
    return _moving(saga, now, present)


def _meaning(saga: dict[str, Any], step: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return what a step's attention means, and the verbs that help."""
    if step["attention"] == Attention.LATE_EFFECT:
        return _late(saga, step)
    unknown = step["outcome"] == Outcome.UNKNOWN and not step["function"]
    if step["attention"] == Attention.MISCONFIGURED and unknown:
        return _GARBLED
    return _own(step).get(step["attention"], _MEANING[step["attention"]])


def _late(saga: dict[str, Any], step: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Say of an effect that came too late which one it is, and who can undo it."""
    if step["late_key"] in {None, step["key"]}:
        found = "Its effect became known too late, and stands"
    else:
        found = f"An earlier try of it, {step['late_key']}, had been called without effect, and has had it after all"
    if step["by"]:  # what a subscriber did is for its own undo to undo
        return f"{found}, and no undo of it is to come: undo it by hand, or waive it", ("resolve",)
    if step["compensation"] is None or step["cannot_undo"]:
        return f"{found}: undo it by hand, or waive it", ("resolve",)
    if saga["state"] not in {"completed", "failed"}:
        return f"{found}: undo it by hand, or waive it; once the saga is over, a repair saga can", (
            "resolve",
        )
    return f"{found}: undo it with a repair saga, or waive it", ("compensate", "resolve")


def _own(step: dict[str, Any]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return what its attentions mean for a step that is none of a participant's."""
    if step["function"]:
        return _OF_FUNCTIONS
    if step["asked"]:
        return _OF_APPROVALS
    return _OF_ENDS if step["expects"] else {}


def _waiting(saga: dict[str, Any]) -> _Line:
    """Say for what it waits that lies outside: all is well."""
    waiting = saga["waiting"]
    since, until = waiting["since"], waiting["until"]
    if waiting["step"] is None:
        text = f"It begins at {{{until}}}; nothing is dispatched before."
        return _Line("waiting", text, None, ("compensate",))
    step = next(step for step in saga["steps"] if step["name"] == waiting["step"])
    end = f" until {{{until}}}" if until else ""
    match waiting["kind"]:
        case "approval":
            text = f"{step['name']} has been waiting for {_approval(step)} since {{{since}}}{end}."
            verbs = ("approve", "reject", "compensate")
            if step["unanswerable"]:
                text += (
                    f" Nobody can answer: {step['unanswerable']}. Until that is mended, only a superuser may."
                )
                return _Line("unanswerable", text, step["name"], verbs)
            return _Line("waiting", text, step["name"], verbs)
        case "reply" if step["expects"]:
            text = (
                f"{' or '.join(step['expects'])} has been expected since {{{since}}}{end}, {_of_whom(step)}."
            )
            return _Line("waiting", text, step["name"], ("compensate",))
        case "reply" if step["awaits"]:
            return _Line("waiting", _of_child(step, since, end), step["name"], ("resolve", "compensate"))
        case "reply":
            text = f"{_command(step)} of {step['name']} is taken on, and answered from outside: "
            text += f"it has been waiting for that reply since {{{since}}}{end}."
            return _Line("waiting", text, step["name"], ("resolve", "compensate"))
        case _:
            return _Line("waiting", f"{step['name']} waits{end}.", step["name"], ("skip", "compensate"))


def _of_child(step: dict[str, Any], since: str, end: str) -> str:
    """Say which saga a step waits for, and how that stands."""
    what = "which undoes its child saga" if step["undone_by"] else f"its child {step['child_type'] or 'saga'}"
    text = f"{step['name']} has been waiting for saga {step['awaits']}, {what}, since {{{since}}}{end}. "
    asks = " and asks for a person (" + step["child_attention"] + ")" if step["child_attention"] else ""
    paused = " and paused" if step["child_paused"] else ""
    return f"{text}That one is {step['child_state']}{paused}{asks}."


def _approval(step: dict[str, Any]) -> str:
    asked = step["asked"] or {}
    who = approver_text(step["approver"])
    people, given = asked.get("people", 1), len(asked.get("given", {}))
    if people == 1:
        return f"the approval of {who}"
    return f"the approvals of {people} people of {who}, {given} of them given,"


def _moving(saga: dict[str, Any], now: datetime, present: Present) -> _Line:
    if saga["waiting"] and not any(_works(step) for step in saga["steps"]):
        line, until = _waiting(saga), saga["waiting"]["until"]
        return line._replace(text=line.text + _unless_gone(present.lacks(WAITS_QUEUE) if until else ""))
    open_steps = [step for step in saga["steps"] if _works(step)]
    if not open_steps:
        return _Line("moving", "It is about to go on.")
    step = min(open_steps, key=lambda s: s["due_at"])
    if step["probe"]:
        return _probing(step, now, present)
    what = _called(step)
    tries = f"attempt {step['attempt']} of {step['budget']}"
    if step["unrecorded"]:
        text = f"{what} has ended, and what came of it {step['unrecorded'].rstrip('.')}."
        return _Line("stuck", f"{text} It is looked at again every minute; the log says more.", step["name"])
    if step["silent_since"]:
        lost = f"the attempt counts as lost at {{{step['lease_until']}}}, its outcome unknown"
        text = f"{what} {_given_to_the_silent(step)}: {tries}. If it stays so, {lost}."
        return _Line("moving", text + _unless_gone(present.lacks_clock), step["name"])
    if step["claimed"]:
        times = f"begun at {{{step['claimed_at']}}}, times out at {{{step['timeout_at']}}}"
        return _Line("moving", f"{what} is running on {step['worker']}: {tries}, {times}.", step["name"])
    if datetime.fromisoformat(step["due_at"]) > now:
        error = f" ({step['error']})" if step["error"] else ""
        text = (
            f"{what} had no success{error}; {tries} begins at {{{step['due_at']}}}.{_unless(step, present)}"
        )
        return _Line("backoff", text, step["name"], ("retry", "compensate"))
    return _queued(step, f"{what} has been due since {{{step['due_at']}}}", now, present)


def _queued(step: dict[str, Any], due: str, now: datetime, present: Present) -> _Line:
    """Say of what is due, and of which nobody has begun, why that is."""
    if step["queue_paused"]:
        return _Line("paused", f"{due}. {_of_pause(step)}", step["name"])
    if step["put_off"] and datetime.fromisoformat(step["put_off"]) > now:
        error = f": {step['put_off_error']}" if step["put_off_error"] else ""
        text = f"{due}; on queue {step['queue']} its turn comes at {{{step['put_off']}}}{error}."
        text += _unless_gone(present.lacks(step["queue"]))
        return _Line("queued", text, step["name"])
    lacks = present.lacks(step["queue"])
    text = f"{due} on queue {step['queue']}{f'. {lacks}' if lacks else ', and no worker has taken it yet.'}"
    return _Line("queued", text, step["name"])


def _of_pause(step: dict[str, Any]) -> str:
    pause = step["queue_paused"]
    by = f"{pause['operator']} has paused its queue, {step['queue']}, at {{{pause['since']}}}: {pause['reason']}"
    return f"{by.rstrip('.')}. Nothing on it is begun until it is resumed."


def _unless(step: dict[str, Any], present: Present) -> str:
    """Say why what is due later will not be begun then."""
    if step["queue_paused"]:
        return f" But {_of_pause(step)}"
    return _unless_gone(present.lacks(step["queue"]))


def _unless_gone(lacks: str) -> str:
    return f" {lacks}" if lacks else ""


def _given_to_the_silent(step: dict[str, Any]) -> str:
    return f"was given to {step['worker']}, which has been silent since {{{step['silent_since']}}}"


def _probing(step: dict[str, Any], now: datetime, present: Present) -> _Line:
    error = f" ({step['error']})" if step["error"] else ""
    text = f"What became of {_command(step)} of {step['name']} is not known{error}. {step['probe_command']} "
    times = f"time {step['probe']} of {step['probe_budget']}"
    if step["silent_since"]:
        lost = f"this time counts as unanswered at {{{step['lease_until']}}}"
        text = f"{text}{_given_to_the_silent(step)}: {times}. If it stays so, {lost}."
        return _Line("moving", text + _unless_gone(present.lacks_clock), step["name"])
    if step["claimed"]:
        return _Line("moving", f"{text}is being asked, {times}.", step["name"])
    if datetime.fromisoformat(step["due_at"]) > now:
        verbs = ("retry", "resolve", "compensate")
        text = f"{text}is asked at {{{step['due_at']}}}, {times}.{_unless(step, present)}"
        return _Line("backoff", text, step["name"], verbs)
    return _queued(step, f"{text}has been due since {{{step['due_at']}}}", now, present)


def _of_whom(step: dict[str, Any]) -> str:
    return f"of {step['by']}, who has taken {step['on']}" if step["by"] else "to end it"


def _ended_by(saga: dict[str, Any]) -> str | None:
    """Return the event that ended a choreography."""
    ends = [
        step["event"]["name"]
        for step in saga["steps"]
        if step["event"] and step["expects"] and not step["by"]
    ]
    return ends[0] if ends else None


def _works(step: dict[str, Any]) -> bool:
    """Whether somebody calls for it, or is about to."""
    return bool(step["scheduled"]) and not step["waiting"]


def _called(step: dict[str, Any]) -> str:
    if step["function"]:
        return "A run of its function"
    if step["expects"] and not step["by"]:
        return "Its end"
    return f"The approval {step['name']}" if step["approval"] else f"{_command(step)} of {step['name']}"


def _command(step: dict[str, Any]) -> str:
    undoing = step["direction"] == "undo" or step["status"] == "compensating"
    return str(step["compensation"] if undoing else step["action"])
