"""Tells what happened to one saga, line by line, for people."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from .case import Case, Mind
from .faults import Fault
from .play import Found, Suffering, play, replay
from .script import script_document
from .world import World


def trace(case: Case, suffering: Suffering | None = None) -> Iterator[str]:
    """Yield what the case is, what happened in it, and how it ended."""
    yield from _told(case) if case.definition.flow else _planned(case)
    lines: list[str] = []
    try:
        played = play(case, _telling(suffering or replay(case), lines), watcher=_watcher(lines))
    except Found as found:
        yield from lines
        yield f"VIOLATION {found.rule}"
        yield f"  {found}"
    else:
        yield from lines
        yield f"held; {played.world.progress.state}"


def _planned(case: Case) -> Iterator[str]:
    for part in script_document(case.script or ()):
        yield f"does {part}"
    for name, mind in case.minds.items() if case.script else ():
        inbox = "inbox" if mind.inbox else "no inbox"
        says = f"do {' '.join(mind.do)}, undo {' '.join(mind.undo)}, asked {' '.join(mind.probe)}"
        yield f"participant {name}  {inbox}  {says}"
    for step in case.definition.steps:
        mind = case.minds.get(step.name, Mind())
        needs = ", ".join(case.definition.needs(step.name)) or "nothing"
        words = [word for word in ("pivot", "retriable", "hold") if getattr(step, word)]
        words += [f"deadline {step.deadline:g} s"] if step.deadline else []
        tries = f"{step.retry.max_attempts} and {step.undo_retry.max_attempts} attempts"
        inbox = "inbox" if mind.inbox else "no inbox"
        says = f"do {' '.join(mind.do)}, undo {' '.join(mind.undo)}"
        asks = [name for name in (step.probe, step.undo_probe) if name]
        says += f", {' and '.join(asks)} {' '.join(mind.probe)}" if asks else ""
        undo = step.compensation or "nothing to undo"
        yield "  ".join([f"step {step.name}", f"needs {needs}", undo, *words, tries, inbox, says])


def _told(case: Case) -> Iterator[str]:
    flow = case.definition.flow
    assert flow is not None
    ends = f"completed by {' '.join(flow.completed)}, failed by {' '.join(flow.failed) or 'nothing'}"
    yield f"{flow.first} begins it; {ends}; turned by {' '.join(sorted(flow.turns)) or 'nothing'}"
    for part in flow.parts:
        mind, retry = case.minds[part.step], case.definition.step(part.step).retry
        undoes = [f"undoes {part.compensates}"] if part.compensates else []
        expected = f"publishes {' '.join(part.publishes) or 'nothing'}, maybe {' '.join(part.may_publish) or 'nothing'}"
        inbox = "inbox" if mind.inbox else "no inbox"
        says = f"says {' '.join(mind.do)}, tells {' '.join(mind.tells) or 'nothing'}"
        tries = f"{retry.max_attempts} attempts"
        yield "  ".join(
            [f"reaction {part.step}", f"on {part.on} by {part.by}", *undoes, expected, tries, inbox, says]
        )


def _telling(suffering: Suffering, lines: list[str]) -> Suffering:
    def suffer(world: World, happen: Any) -> None:
        def tell(fault: Fault, which: int) -> bool:
            lines.append(f"{world.clock:%H:%M:%S} {fault.name} {which}")
            place = len(lines)
            hit = bool(happen(fault, which))
            if not hit:
                del lines[place - 1 :]
            return hit

        suffering(world, tell)
        lines.append("-- no more faults: everything arrives, and an honest operator settles what asks")

    return suffer


def _watcher(lines: list[str]) -> Any:
    def watch(world: World, before: Any, message: Any, events: Sequence[Any]) -> None:
        lines.append(f"    {_say(message)}  =>  {'; '.join(map(_say, events)) or 'nothing'}")

    return watch


def _say(value: Any) -> str:
    """Return a message or an event in one short line."""
    left = {"at", "version", "data", "reason", "error", "result"}
    told = [
        f"{name}={_word(each)}"
        for name in value.__dataclass_fields__
        if name not in left and (each := getattr(value, name)) is not None
    ]
    return " ".join([type(value).__name__, *told])


def _word(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%H:%M:%S}"
    return value.value if isinstance(value, Enum) else value
