"""How each thing happens, and to what it can happen: the network, the workers, the database, a deployment.

Each is a pair: what it could hit just now, and what it does to one of those.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sagas.core import messages as m
from sagas.core.words import Attention

from .faults import CLICKS, Fault
from .operator import again, belated, lost, press, stale

if TYPE_CHECKING:
    from .world import World

Happening = tuple[Callable[["World"], Sequence[Any]], Callable[["World", Any], object]]

JUMP = timedelta(hours=1)


# What could be hit


def _once(world: "World") -> Sequence[int]:
    return (0,)


def _unbegun(world: "World") -> Sequence[int]:
    return () if world.begun else (0,)


def _free(world: "World") -> Sequence[int]:
    if world.progress.paused:
        return ()
    return [number for number, row in world.due.items() if row.token is None]


def _held(world: "World") -> Sequence[int]:
    return [number for number, row in world.due.items() if row.token is not None]


def _uncalled(world: "World") -> Sequence[int]:
    """Return the claimed commands of workers that are about to call, and have not yet."""
    under_way = {request.token for request in world.requests if not request.wakes} - world.called
    return [number for number, row in world.due.items() if row.token in under_way]


def _requests(world: "World") -> Sequence[int]:
    return range(len(world.requests))


def _served(world: "World") -> Sequence[int]:
    called = [(n, request) for n, request in enumerate(world.requests) if not request.wakes]
    return [n for n, request in called if request.step not in world.vanished]


def _taken_on(world: "World") -> Sequence[tuple[str, int]]:
    return [(name, n) for name, p in world.participants.items() for n in range(len(p.taken_on))]


def _replies(world: "World") -> Sequence[int]:
    return range(len(world.replies))


def _unsure(world: "World") -> Sequence[int]:
    return [position for position in _replies(world) if not world.sure(position)]


def _definite(world: "World") -> Sequence[int]:
    return [n for n, (_, reply) in enumerate(world.replies) if isinstance(reply, m.Completed | m.Rejected)]


def _heard(world: "World") -> Sequence[int]:
    return range(len(world.heard))


def _last(of: str, world: "World") -> Sequence[int]:
    count = len(getattr(world, of))
    return (count - 1,) if count > 1 else ()


def _deployed(world: "World") -> Sequence[str]:
    return [name for name in world.definition.names if name not in world.vanished]


def _vanished(world: "World") -> Sequence[str]:
    return sorted(world.vanished)


def _steps(world: "World") -> Sequence[str]:
    """Return all steps, and those that ask for a person more than once."""
    asking = [name for name, step in world.progress.steps.items() if step.attention or step.asked]
    return (*asking, *asking, *world.definition.names) if asking else world.definition.names


def _buttons(world: "World") -> Sequence[tuple[Fault, str]]:
    return [(verb, step) for step in world.definition.names for verb in CLICKS]


def _pressed(world: "World") -> Sequence[int]:
    return range(len(world.operator.pressed))


# What it does


def _start(world: "World", _: int) -> None:
    world.tell(_opening(world))


def _crash_at_start(world: "World", _: int) -> None:
    world.crash(_opening(world))


def _opening(world: "World") -> m.Start:
    return m.Start({"order": 1}, world.clock + world.delay if world.delay else None)


def _work(world: "World", number: int) -> None:
    _claim(world, number)
    _execute(world, -1)
    _deliver(world, -1)


def _claim(world: "World", number: int) -> None:
    world.requests.append(world.claim(number))


def _execute(world: "World", position: int) -> None:
    world.execute(world.requests.pop(position))


def _execute_again(world: "World", position: int) -> None:
    world.execute(world.requests[position])


def _time_out(world: "World", position: int) -> None:
    request = world.requests.pop(position)
    world.execute(request)
    inbox = world.participants[request.step].inbox
    world.replies[-1] = (request.token, m.Unknown(request.number, "it took too long", inbox=inbox))


def _garble(world: "World", position: int) -> None:
    request = world.requests.pop(position)
    world.execute(request)
    inbox = world.participants[request.step].inbox
    garbled = m.Unserved(
        request.number, "it answered 204", Attention.MISCONFIGURED, arrived=True, inbox=inbox
    )
    world.replies[-1] = (request.token, garbled)


def _drop(world: "World", position: int) -> None:
    del world.requests[position]


def _deliver(world: "World", position: int) -> None:
    world.hear(*world.replies.pop(position))


def _deliver_again(world: "World", position: int) -> None:
    world.hear(*world.replies[position])


def _finish(world: "World", taken_on: tuple[str, int]) -> None:
    name, which = taken_on
    world.replies.append((None, world.participants[name].finish(which)))


def _lose(world: "World", position: int) -> None:
    del world.replies[position]


def _echo(world: "World", position: int) -> None:
    token, reply = world.heard[position]
    definite = isinstance(reply, m.Completed | m.Rejected)
    world.hear(None if definite else token, reply)


def _report(world: "World", position: int) -> None:
    world.hear(None, world.replies[position][1])


def _crash_before_commit(world: "World", position: int) -> None:
    _, reply = world.replies[position] if world.sure(position) else world.replies.pop(position)
    world.crash(reply)


def _lease_what_followed(world: "World", position: int) -> list[Any]:
    before = set(world.due)
    _deliver(world, position)
    follows = [number for number in _free(world) if number not in before]
    return [world.claim(number) for number in follows if world.due[number].at <= world.clock]


def _go_on(world: "World", position: int) -> None:
    world.requests += _lease_what_followed(world, position)


def _lease_lost(world: "World", number: int) -> None:
    row = world.due[number]
    step = row.command.step
    if row.command.waits:  # nobody was called, and the time is still up
        world.hear(row.token, m.TimeUp(number))
        return
    # Who takes it back asks the registry whether there is an inbox, and must not trust in one that it cannot see.
    inbox = world.participants[step].inbox and step not in world.vanished
    world.hear(row.token, m.Unknown(number, "the lease was lost", inbox=inbox))


def _jump_forward(world: "World", _: int) -> None:
    world.clock += JUMP
    for number in _held(world):
        if number in world.due:
            _lease_lost(world, number)


def _jump_back(world: "World", _: int) -> None:
    world.clock -= JUMP


def _unserved(code: Attention, world: "World", number: int) -> None:
    token = world.due[number].token
    world.requests = [request for request in world.requests if request.token != token]
    world.hear(token, m.Unserved(number, "nobody serves it", code))


HAPPENINGS: dict[Fault, Happening] = {
    Fault.START: (_unbegun, _start),
    Fault.WORK: (_free, _work),
    Fault.CLAIM: (_free, _claim),
    Fault.EXECUTE: (_requests, _execute),
    Fault.DELIVER: (_replies, _deliver),
    Fault.GO_ON: (_replies, _go_on),
    Fault.FINISH: (_taken_on, _finish),
    Fault.RETURN: (_vanished, lambda world, step: world.vanished.remove(step)),
    Fault.DROP: (_requests, _drop),
    Fault.LOSE: (_unsure, _lose),
    Fault.EXECUTE_AGAIN: (_served, _execute_again),
    Fault.EXECUTE_LAST: (partial(_last, "requests"), _execute),
    Fault.TIMEOUT: (_served, _time_out),
    Fault.DELIVER_AGAIN: (_replies, _deliver_again),
    Fault.DELIVER_LAST: (partial(_last, "replies"), _deliver),
    Fault.ECHO: (_heard, _echo),
    Fault.REPORT: (_definite, _report),
    Fault.CRASH_AT_START: (_unbegun, _crash_at_start),
    Fault.CRASH_BEFORE_COMMIT: (_replies, _crash_before_commit),
    Fault.CRASH_AFTER_COMMIT: (_replies, _lease_what_followed),
    Fault.LEASE_LOST: (_held, _lease_lost),
    Fault.JUMP_FORWARD: (_once, _jump_forward),
    Fault.JUMP_BACK: (_once, _jump_back),
    Fault.RESTART: (_once, lambda world, _: world.restart()),
    Fault.UNSERVED: (_uncalled, partial(_unserved, Attention.NO_HANDLER)),
    Fault.MISCONFIGURED: (_uncalled, partial(_unserved, Attention.MISCONFIGURED)),
    Fault.GARBLE: (_served, _garble),
    Fault.VANISH: (_deployed, lambda world, step: world.vanished.add(step)),
    **{fault: (_steps, partial(press, fault)) for fault in (*CLICKS, Fault.DENY, Fault.REMAP)},
    Fault.CLICK_AGAIN: (_pressed, again),
    Fault.CLICK_STALE: (_buttons, stale),
    Fault.CLICK_LATE: (_pressed, belated),
    Fault.CLICK_LOST: (_buttons, lost),
}
