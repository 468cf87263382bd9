"""What a reply to an open command has to decide, as the oracle reads it."""

from typing import Any, NamedTuple

from .books import Books, name_of
from .graph import FUNCTION

#: The first events that must come of it: names, and the code where a person is asked.
Must = tuple[str, ...]


def must(books: Books, number: int, reply: Any, *, again: bool) -> Must:
    """Return the events that a reply to this open command has to decide, before any that follow from them.

    ``again`` says that another attempt was made due: where a deadline is near, chance decides whether it is in time.
    """
    step, direction = books.commands[number]
    kind = name_of(reply)
    if kind == "TimeUp":
        if books.waiting.get(step) != "reply":
            return _time_is_up(books, step)
        if books.looks(step, direction):
            return ("StepRescheduled" if direction == "do" else "UndoRescheduled",)
        kind, reply = "Unknown", Silence(books.doubt[number])
    if kind == "Later":
        inbox = books.doubt[number] if books.asked[step] else reply.inbox
        needless = books.turned and direction == "do" and inbox  # the undo meets it, or keeps it away
        if not needless:
            return ("ReplyAwaited",)
        if books.asked[step]:
            return ("StepOutcomeUnknown",)
        kind = "Unknown"
    if kind == "Rejected" and number in books.doubt and not reply.inbox:
        kind = "Unknown"  # one attempt's no does not speak for another
    asked = books.asked[step]
    if getattr(reply, "arrived", False) and not asked:
        if direction == "do" and not books.turned:
            return ("StepOutcomeUnknown", "StepHeld misconfigured")
        kind = "Unknown" if direction == "do" else kind
    fresh = not asked and step not in books.counted
    left = books.tries[step, direction] + fresh < books.graph.attempts[step, direction]
    left = left and not (direction == "do" and books.expired and not books.pivot_passed)
    if direction == "do" and books.may_be_late(step, getattr(reply, "retry_after", None) or 0.0):
        left = left and again
    inbox = bool(books.doubt.get(number)) if asked else getattr(reply, "inbox", True)
    if kind == "NoSuchCommand":
        vain = direction == "do" and not inbox and (books.turned or not left)
        kind, asks = "Unknown", vain  # an attempt may still come, and nothing would stop it
    else:
        # Whatever may be there is asked about, before it is left to a rollback.
        dropped = kind == "Unserved" and books.turned and direction == "do" and number in books.doubt
        asks = kind == "Unknown" or (dropped and not asked)
    if asks and books.graph.probe[step, direction]:
        if asked < books.graph.questions[step]:
            return ("ProbeDispatched",)
        left = False
        if direction == "do" and not books.turned:
            return ("StepOutcomeUnknown", "StepHeld outcome_unknown")
    if direction == "undo":
        return (_undo(kind, left),)
    if books.turned:
        return (_awaited(kind, doubt=number in books.doubt),)
    return _action(books, step, kind, left, inbox=inbox)


class Silence(NamedTuple):
    """What comes of a promise that nobody kept."""

    inbox: bool


def _time_is_up(books: Books, step: str) -> Must:
    """Return what comes of a step that calls nobody, when its time is up."""
    waits = books.waiting.get(step)
    if waits is None:
        return ()
    if books.turned:
        return ("StepWithdrawn",)
    answer = "approve" if waits == "timer" else books.graph.otherwise[step]
    if answer == "reject":
        return _refused(books, step)
    return ("StepCompleted",) if answer == "approve" else ("StepHeld expectation_missed",)


def _undo(kind: str, left: bool) -> str:
    match kind:
        case "Completed":
            return "StepCompensated"
        case "Rejected" if left:
            return "UndoDispatched"
        case "Unknown" if left:
            return "UndoRescheduled"
        case "Unserved":
            return "UndoHeld"
        case _:
            return "UndoHeld compensation_failed"


def _awaited(kind: str, *, doubt: bool) -> str:
    """Return what comes of the last attempt of an action when the saga has turned back: no other one begins."""
    match kind:
        case "Completed":
            return "StepCompleted"
        case "Rejected":
            return "StepFailed"
        case "Unserved" if not doubt:
            return "StepWithdrawn"
        case _:
            return "StepOutcomeUnknown"


def _action(books: Books, step: str, kind: str, left: bool, *, inbox: bool) -> Must:
    waits = books.pivot_passed or books.graph.hold[step]
    match kind:
        case "Completed":
            return ("StepCompleted",)
        case "Rejected":
            return _refused(books, step)
        case "Unserved":
            return ("StepHeld",)
        case _ if left:
            return ("StepRescheduled",)
        case _ if not inbox:
            return ("StepOutcomeUnknown", "StepHeld outcome_unknown")
        case _:
            return ("StepOutcomeUnknown", "StepHeld retries_spent" if waits else "SagaCompensating")


def _refused(books: Books, step: str) -> Must:
    """Return what comes of a no: a person decides, or a function, or all is undone."""
    if books.pivot_passed or books.graph.hold[step]:
        return ("StepFailed", "StepHeld held")
    decides = books.graph.growing and not books.graph.is_function(step)
    return ("StepFailed",) if decides else ("StepFailed", "SagaCompensating")


def must_of_a_run(books: Books, reply: Any) -> Must:
    """Return the events that a run of a function has to decide; none from who speaks for it without being one."""
    left = books.tries[FUNCTION, "do"] + 1 < books.graph.attempts[FUNCTION, "do"]
    match name_of(reply):
        case "Grown":
            return (*(["SagaGrown"] if reply.steps else []), "FunctionWaits")
        case "Returned":
            return ("StepCompleted", "SagaCompleted")
        case "Raised":
            return _refused(books, FUNCTION)
        case "Unserved":
            return ("StepHeld",)
        case "Unknown":
            return ("StepRescheduled",) if left else ("StepHeld retries_spent",)
        case _:
            return ()
