"""A choreography as a sequence: a lane per subscriber, time downwards, an arrow from who published to who reacts.

Positions are in pixels; the height of a row repeats that in ``sequence.css``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Pixels: the width of a lane, the height of a row, and of what a subscriber tells itself.
LANE, ROW, LOOP = 96, 40, 12
OUTSIDE, END = "outside", "end"
Step = Mapping[str, Any]


@dataclass(frozen=True)
class Arrow:
    """An event on its way to one subscriber."""

    path: str
    look: str
    """The delivery's status; attention; or lost, where nobody reacts."""
    told: str
    """The same in words, for those who do not see it."""


@dataclass(frozen=True)
class Row:
    """One event, published or expected."""

    event: str
    arrows: tuple[Arrow, ...]
    at: str | None = None
    """When it was published; None: it is expected."""
    since: str | None = None
    until: str | None = None
    by: str = ""

    @property
    def told(self) -> tuple[Arrow, ...]:
        """The deliveries that are worth a word: those that are not just done."""
        return tuple(arrow for arrow in self.arrows if arrow.look != "completed")


@dataclass(frozen=True)
class Drawn:
    """A choreography, drawn."""

    lanes: tuple[tuple[int, str, str], ...]
    """Where each lane is, who is in it, and what stands above it."""
    rows: tuple[Row, ...]
    width: int


def sequence(steps: Sequence[Step], events: Iterable[Mapping[str, Any]]) -> Drawn | None:
    """Draw what was published, and what is expected next; None for a saga that is no choreography."""
    if not any(step["on"] for step in steps):
        return None
    by_name = {step["name"]: step for step in steps}
    told = [event for event in events if event["type"] == "EventPublished"]
    lanes = _lanes(steps, told)
    places = {name: n * LANE + LANE // 2 for n, name in enumerate(lanes)}
    rows = [_told(event, by_name, places) for event in told] + list(_expected(steps, places))
    return Drawn(
        lanes=tuple((x, name, name.removesuffix("Service") or name) for name, x in places.items()),
        rows=tuple(rows),
        width=LANE * len(lanes),
    )


def _lanes(steps: Sequence[Step], told: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return who takes part, in the order in which they come into it."""
    lanes = [OUTSIDE] if any(not event["data"].get("by") for event in told) else []
    reached = sorted((s for s in steps if s["event"]), key=lambda s: s["event"]["number"])
    expected = {name for step in steps if step["waiting"] for name in step["expects"]}
    coming = [s for s in steps if s["on"] in expected and not s["event"]]
    lanes += [step["by"] or END for step in (*reached, *coming)]
    ends = [END] if any(not step["on"] for step in steps) else []
    return [*dict.fromkeys(lane for lane in lanes if lane != END), *ends]


def _lane(step: Step | None) -> str:
    if step is None:
        return OUTSIDE
    return step["by"] or END


def _told(event: Mapping[str, Any], steps: Mapping[str, Step], places: Mapping[str, int]) -> Row:
    data = event["data"]
    start = places.get(_lane(steps.get(data.get("by") or "")), LANE // 2)
    targets = [steps[name] for name in data.get("to", ()) if name in steps]
    arrows = [
        Arrow(_path(start, places[_lane(step)]), _look(step), f"{_lane(step)}: {_word(step)}")
        for step in targets
    ]
    return Row(
        event=data["event"],
        arrows=tuple(arrows) or (Arrow(_path(start, start), "lost", "nobody reacts"),),
        at=event["at"],
        by=_lane(steps.get(data.get("by") or "")),
    )


def _expected(steps: Sequence[Step], places: Mapping[str, int]) -> Iterator[Row]:
    """Yield what is expected next, of whom, since when: of those who have an event to take, or else the end."""
    asked = [s for s in steps if s["on"] and s["event"] and s["expects"] and _goes_on(s)]
    ends = [s for s in steps if not s["on"] and s["waiting"] and not s["event"]]
    for step in asked or ends:
        yield Row(
            event=" or ".join(step["expects"]),
            arrows=tuple(_awaited(step, steps, places)),
            since=step["waiting_since"] or step["dispatched_at"],
            until=step["due_at"] if step["waiting"] else None,
            by=f"of {step['by']}" if step["by"] else "as its end",
        )


def _goes_on(step: Step) -> bool:
    return step["status"] in {"pending", "executing"} and not step["attention"]


def _awaited(step: Step, steps: Sequence[Step], places: Mapping[str, int]) -> Iterator[Arrow]:
    if step["on"] is None:
        end = places[END]
        yield Arrow(_path(end - LANE // 2, end), "expected", "nobody has published it yet")
        return
    heard = {_lane(s) for s in steps if s["on"] in step["expects"]} or {END}
    for lane in sorted(heard & places.keys()):
        yield Arrow(_path(places[_lane(step)], places[lane]), "expected", f"{lane} would hear of it")


def _look(step: Step) -> str:
    return "attention" if step["attention"] else str(step["status"])


def _word(step: Step) -> str:
    if step["attention"]:
        return str(step["attention"]).replace("_", " ")
    return _WORDS.get(step["status"], str(step["status"]))


_WORDS = {
    "executing": "is taking it",
    "pending": "comes next",
    "completed": "took it",
    "compensated": "is undone",
}


def _path(start: int, end: int) -> str:
    middle = ROW // 2
    if start == end:
        return f"M{start} {middle - LOOP // 2}h{LOOP * 2}v{LOOP}h-{LOOP * 2 - 4}"
    return f"M{start} {middle}H{end - 4 if end > start else end + 4}"
