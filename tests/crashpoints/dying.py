"""Playing a path: once to see its points, and again for the deaths, just before and just after each of them.

A process that dies leaves what others see at that moment: what is committed, what is in Redis, what its client was
told. So at each point, before and after, somebody else looks; and for each thing that is seen, the path is played
again by a process that does die there, and another recovers from what it has left.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connection

from tests.crashpoints import invariants, seams
from tests.crashpoints.paths import Path
from tests.crashpoints.remains import onlooker, remains
from tests.crashpoints.seams import Death, Point, Watch
from tests.crashpoints.stage import Stage, clear, die

Outcome = list[dict[str, Any]]


class Moment(NamedTuple):
    """Where a process may die, and what it would leave."""

    point: Point
    when: str
    left: str

    def __str__(self) -> str:
        return f"{self.when} {self.point}"


@dataclass(frozen=True)
class Recording:
    """A path without a death."""

    path: Path
    moments: tuple[Moment, ...]
    lines: frozenset[tuple[str, int]]
    outcome: Outcome
    known: dict[str, list[str]] = field(default_factory=dict)
    """What dead processes left -> what was wrong after somebody had recovered from it."""


def record(path: Path) -> Recording:
    """Play a path to its end."""
    stage, moments = ready(path), []
    with onlooker() as other:
        watch = Watch(lambda _, *where: moments.append(Moment(*where, remains(stage, other))), lines=True)
        with seams.watched(watch):
            path.script(stage)
    wrong = invariants.violations()
    assert not wrong, f"{path.name}, without any death: {wrong}"
    return Recording(path, tuple(moments), frozenset(watch.lines), invariants.outcome())


def die_at(recording: Recording, moment: Moment) -> list[str]:
    """Return what is wrong after a death and a recovery; those that leave the same are one.

    One that leaves something else than was seen there stands for itself alone, and for what it left: whoever was
    seen to leave the same dies, too.
    """
    if moment.left not in recording.known:
        left, wrong = _die_at(recording, moment)
        recording.known[left] = wrong
        return wrong
    return recording.known[moment.left]


def _die_at(recording: Recording, moment: Moment) -> tuple[str, list[str]]:
    """Play a path, die, recover; return what was left behind, and what is wrong then."""
    path, where = recording.path, (moment.point, moment.when)
    stage = ready(path)
    watch = Watch(lambda watch, *reached: _fall(watch) if reached == where else None)
    with seams.watched(watch), suppress(Death):
        path.script(stage)
    if not watch.dead:
        return "", [f"it was not reached again: {path.name} is not the same twice"]
    connection.ensure_connection()
    left = remains(stage, connection)
    return left, recover(path, stage, recording.outcome)


def recover(path: Path, stage: Stage, expected: Outcome) -> list[str]:
    """Have a new process play the path once more; return what is wrong when it is at rest."""
    stage.be_born()
    stage.time_passes()
    try:
        path.script(stage)
    except Exception as fault:
        return [f"{type(fault).__name__}: {fault}"]
    return differences(path, invariants.outcome(), expected) + invariants.violations()


def differences(path: Path, found: Outcome, expected: Outcome) -> list[str]:
    """Return where the end is not that of the path without a death."""
    if path.keyless:
        expected = expected * (len(found) // len(expected))
    if len(found) != len(expected):
        return [f"there are {len(found)} sagas, not {len(expected)}"]
    return [
        f"it ended as {one}, not as {other}"
        for one, other in zip(found, expected, strict=True)
        if one != other
    ]


def ready(path: Path, *, threads: bool = False) -> Stage:
    """Make the stage as it is when the process is born that is to die."""
    connection.close()
    clear()
    stage = Stage(threads=threads and path.threads)
    path.before(stage)
    stage.be_born()
    return stage


def _fall(watch: Watch) -> None:
    watch.dead = True
    die()
    raise Death
