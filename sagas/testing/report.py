"""What a drill found: a table for the eye, a trace for each point that does not hold, a document for programs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sagas.drills import Grid, causes, grids
from sagas.testing.play import Line
from sagas.testing.points import Point
from sagas.testing.telling import told

RESTORED, COMPLETED, ASKS, FAILS = "restored", "completed", "asks", "FAILS"
LEGEND = {
    RESTORED: "rolled back, and every table is as it was before",
    COMPLETED: "went on to its end, with one effect per command unless a step was left out",
    ASKS: "a person had to settle it, as is right there; what they settled held",
    FAILS: "it does not hold; see its trace",
}


@dataclass(frozen=True)
class Drilled:
    """What became of one failure point."""

    point: Point
    verdict: str
    problems: Sequence[str] = ()
    lines: Sequence[Line] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return not self.problems

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "step": self.point.step,
            "direction": self.point.direction.value,
            "failure": self.point.failure,
            "says": self.point.says,
            "verb": self.point.verb,
            "verdict": self.verdict,
            "problems": list(self.problems),
            "trace": None if self.ok else _trace(self),
        }


@dataclass(frozen=True)
class Report:
    """What became of every failure point of a saga type."""

    saga_type: str
    digest: str
    """Of the definition that was drilled."""
    drilled: tuple[Drilled, ...]
    unreached: tuple[str, ...] = ()
    """Deliveries of a choreography that none of the ways which were found comes to."""

    @property
    def failing(self) -> tuple[Drilled, ...]:
        """The points that do not hold."""
        return tuple(each for each in self.drilled if not each.ok)

    @property
    def ok(self) -> bool:
        """Whether every point holds."""
        return not self.failing

    @property
    def summary(self) -> str:
        """How many points there were, and how many hold."""
        n, bad = len(self.drilled), len(self.failing)
        verdict = "every one holds" if not bad else f"{bad} do{'es' if bad == 1 else ''} not hold"
        return f"{self.saga_type}: {n} failure point{'' if n == 1 else 's'}, {verdict}"

    @property
    def notes(self) -> list[str]:
        """What to know beside the verdicts."""
        if not self.unreached:
            return []
        return [f"No run came to {', '.join(self.unreached)}: nobody has seen what happens there."]

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "type": self.saga_type,
            "definition": self.digest,
            "points": len(self.drilled),
            "failing": len(self.failing),
            "ok": self.ok,
            "unreached": list(self.unreached),
            "table": [each.document() for each in self.drilled],
        }

    def __str__(self) -> str:
        return "\n\n".join([self.summary + ("." if self.ok else ":"), *self.notes, *traces(self.drilled)])


def traces(drilled: Iterable[Drilled]) -> Iterator[str]:
    """Yield a trace for each thing that is wrong, with the other points at which it shows."""
    for cause in causes(each.document() for each in drilled):
        yield f"✗ {cause.point}\n{cause.trace}{_also(cause.others)}"


def _also(others: Sequence[str]) -> str:
    if not others:
        return ""
    listed = "; ".join(others[:_MOST]) + ("; …" if len(others) > _MOST else "")
    return f"\n\n  The same shows at {len(others)} more: {listed}"


#: Points that a trace also stands for, and that are named; the table has them all.
_MOST = 6


def _trace(drilled: Drilled) -> str:
    point = drilled.point
    return "\n".join(
        [
            f"  {point.says}",
            "",
            *(f"  {line}" for line in told(drilled.lines)),
            "",
            "  What does not hold:",
            *(f"    • {problem}" for problem in drilled.problems),
        ]
    )


def text_table(table: Sequence[dict[str, Any]]) -> str:
    """Return the tables as text, for a terminal of 120 columns or so."""
    return "\n\n".join("\n".join(_grid_lines(grid)) for grid in grids(table))


def _grid_lines(grid: Grid) -> Iterator[str]:
    first = max(len(grid.title), *(len(name) for name, _ in grid.rows))
    heads = [_wrapped(column) for column in grid.columns]
    height = max(len(head) for head in heads)
    widths = [max(9, *(len(word) for word in head)) for head in heads]
    for i in range(height):
        lead = grid.title if i == height - 1 else ""
        words = [[*[""] * (height - len(head)), *head][i] for head in heads]
        yield "  ".join(
            [f"{lead:{first}}", *(f"{w:{n}}" for w, n in zip(words, widths, strict=True))]
        ).rstrip()
    yield "─" * (first + sum(width + 2 for width in widths))
    for name, cells in grid.rows:
        yield "  ".join(
            [f"{name:{first}}", *(f"{c or '·':{n}}" for c, n in zip(cells, widths, strict=True))]
        ).rstrip()


def _wrapped(text: str) -> list[str]:
    """Break a column's head where words end, so that no line is longer than it must be."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + len(word) < 9:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
