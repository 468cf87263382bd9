"""Playing a path: once to see its points, and twice more for each of them, with a death just before and just after."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from tests.crashpoints import invariants, seams
from tests.crashpoints.paths import Path
from tests.crashpoints.remains import remains
from tests.crashpoints.seams import Death, Point, Watch
from tests.crashpoints.stage import Stage, clear, die

Outcome = list[dict[str, Any]]


@dataclass(frozen=True)
class Recording:
    """A path without a death."""

    path: Path
    points: tuple[Point, ...]
    lines: frozenset[tuple[str, int]]
    outcome: Outcome
    known: dict[str, list[str]] = field(default_factory=dict)
    """What dead processes left -> what was wrong after somebody had recovered from it."""


def record(path: Path) -> Recording:
    """Play a path to its end."""
    stage, watch = ready(path), Watch()
    with seams.watched(watch):
        path.script(stage)
    wrong = invariants.violations()
    assert not wrong, f"{path.name}, without any death: {wrong}"
    return Recording(path, tuple(watch.passed), frozenset(watch.lines), invariants.outcome())


def die_at(recording: Recording, point: Point, when: str) -> list[str]:
    """Play a path, die at a point, recover; return what is wrong then."""
    path = recording.path
    stage = ready(path)
    watch = Watch(lambda watch, reached, side: _fall(watch) if (reached, side) == (point, when) else None)
    with seams.watched(watch), suppress(Death):
        path.script(stage)
    if not watch.dead:
        return [f"it was not reached again: {path.name} is not the same twice"]
    left = remains(stage)
    if left not in recording.known:
        recording.known[left] = recover(path, stage, recording.outcome)
    return recording.known[left]


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
