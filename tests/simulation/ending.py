"""What must hold once the faults have stopped: at rest, and when an honest operator has settled what asks."""

from collections import Counter
from typing import TYPE_CHECKING

from .books import Books, demand
from .graph import FUNCTION

if TYPE_CHECKING:
    from .world import World

TERMINAL = {"completed", "failed"}


def at_rest(world: "World") -> None:
    """Check a world in which nothing is under way any more."""
    now = world.progress
    rests = now.state in TERMINAL or now.paused or now.attention or now.waiting
    demand(rests, "I1, rule 6: at rest it has ended, is paused, or asks", now.state)
    demand(now.paused or not world.due, "I1: at rest nothing is due", world.due)


def settled(world: "World", books: Books) -> None:
    """Check a world in which nobody is asked any more."""
    over(world, books.ended)
    demand(not books.late, "C4: nothing is left to ask", books.late)
    check_keys(world)
    _attempts(world, books)
    for step in filter(books.graph.calls.get, books.graph.needs):
        _effects(books, step) if books.inbox[step] else _bare_effects(world, books, step)


def over(world: "World", ended: str | None) -> None:
    """Check that a saga has ended, as the books say, and that its log says so, too."""
    now = world.progress
    demand(now.state in TERMINAL and ended == now.state, "I1: every saga ends", now.state)
    demand(now.attention is None, "C4: nothing is left to ask", now.attention)
    demand(not now.paused, "rule 1: what has ended is not paused")
    demand(len(world.log) == now.sequence, "rule 8, I4: a gapless sequence")
    world.remember()


def check_keys(world: "World") -> None:
    """Check that all attempts of a command carry one key, and that it is the command's own."""
    pairs = {(request.number, request.key) for request in world.sent}
    numbers, keys = {number for number, _ in pairs}, {key for _, key in pairs}
    demand(len(pairs) == len(numbers) == len(keys), "C1: a command has one key, and a key one command", pairs)


def _attempts(world: "World", books: Books) -> None:
    """Check that nothing is tried more often than its policy and the operators' retries allow."""
    asked = [request for request in world.sent if not books.graph.is_function(request.step)]
    sent = Counter((request.step, request.direction.value) for request in asked)
    runs = Counter(request.number for request in world.sent if books.graph.is_function(request.step))
    for number, count in runs.items():
        allowed = books.graph.attempts[FUNCTION, "do"] * (1 + books.retries[FUNCTION])
        demand(count <= allowed, "C8: a run is repeated within its budget", (number, count))
    for (step, direction), count in sent.items():
        allowed = books.graph.attempts[step, direction] * (1 + books.retries[step])
        allowed += books.looked[step, direction]
        demand(count <= allowed, "C8: retries end with their budget", (step, direction, count))


def _effects(books: Books, step: str) -> None:
    """Check what stands of a step whose participant has an inbox: all of it, or nothing."""
    if step in books.lied:
        return
    stands, status = books.standing(step), books.status.get(step)
    if books.ended == "completed":
        expected = {1} if status == "completed" else {0}
    else:
        expected = {0, 1} if books.graph.undo[step] is None or status == "standing" else {0}
    demand(
        stands in expected, f"I2, rule 2: what stands of a saga that {books.ended}", (step, status, stands)
    )


def _bare_effects(world: "World", books: Books, step: str) -> None:
    """Check that an effect without an inbox that was told of is there, undone, or known to a named operator."""
    status, number = books.status.get(step), books.action.get(step)
    if books.ended == "completed":
        demand(status != "completed" or books.standing(step), "rule 3: what is completed is there", step)
        return
    if number is None or number not in books.told or books.graph.undo[step] is None or books.said[step]:
        return
    key = world.key(world.progress.steps[step])
    once = books.changes[key] == 1
    demand(not once or not books.effects[step, key], "C4: an effect that was told of is dealt with", step)
