"""When a verb applies, as the oracle reads docs/operating."""

from typing import TYPE_CHECKING, Any

from .books import Books, name_of

if TYPE_CHECKING:
    from .world import World


def applies(books: Books, world: "World", verb: Any) -> bool:
    """Whether an operator may do this now."""
    kind, row = name_of(verb), world.progress.steps.get(getattr(verb, "step", ""))
    if kind == "Resolve" and row and row.attention == "late_effect":
        return verb.outcome in {"done", "waived"}
    if kind in {"Approve", "Reject"}:
        asked = (
            not (books.ended or books.turned) and verb.step in books.graph.people and verb.step in books.open
        )
        return asked and not (kind == "Approve" and verb.person in books.given[verb.step])
    if books.ended or (row and claimed(world, row)):
        return False
    match kind:
        case "Retry":
            return _retry(books, row)
        case "Compensate":
            pivot = books.graph.pivot
            under_way = pivot is not None and claimed(world, world.progress.steps[pivot])
            return not (books.turned or books.pivot_passed or under_way)
        case "Skip":
            happened = row.status not in {"pending", "executing", "failed"} or row.attention == "late_effect"
            return not (books.turned or happened or _in_doubt(books, row) or _decides(books, row.name))
        case "Resolve":
            return _resolve(books, row, verb.outcome)
        case "Edit":
            asking = not books.turned and any(step in books.open for step in books.graph.people)
            return not asking and not any(
                due.token for number, due in world.due.items() if number not in books.own
            )
        case "Remap":
            return remaps(world, verb.names)
        case _:
            return bool(world.progress.paused) == (kind == "Resume")


def remaps(world: "World", names: Any) -> bool:
    """Whether commands may be called by other names now."""
    held = {due.command.name for due in world.due.values() if due.token is not None}
    fields = ("action", "compensation", "probe", "undo_probe")
    known = {step.get(field) for step in world.definition.document()["steps"] for field in fields}
    return not held & names.keys() and bool(known & names.keys())


def claimed(world: "World", row: Any) -> bool:
    """Whether a worker holds the step's open command."""
    due = world.due.get(row.number) if row.open else None
    return due is not None and due.token is not None


def _decides(books: Books, step: str) -> bool:
    """Whether nothing is left to skip: it is the function itself, or that goes on without the step."""
    heard = books.graph.growing and books.status.get(step) == "rejected" and step not in books.held
    return heard or books.graph.is_function(step)


def _in_doubt(books: Books, row: Any) -> bool:
    return books.open.get(row.name) in books.doubt


def _retry(books: Books, row: Any) -> bool:
    backing_off = row.scheduled and (row.attempt > 1 or books.asked[row.name])
    waits = row.attention or (backing_off and row.name not in books.waiting)
    hopeless = row.attention in {"cannot_undo", "late_effect"} or (
        books.turned and row.name not in books.owed
    )
    return bool(waits) and not hopeless


def _resolve(books: Books, row: Any, outcome: str) -> bool:
    if not row.attention and not _in_doubt(books, row):
        return False
    if row.name in books.graph.people:
        return False  # it is for them to answer
    if row.name in books.owed or row.attention == "cannot_undo":
        return outcome in {"done", "waived"}
    lost = (
        row.name in books.waiting and row.name in books.graph.children
    )  # which would go on, and nobody hear of it
    return outcome == "done" or (outcome == "none" and row.status != "failed" and not lost)
