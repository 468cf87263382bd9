"""Draws bars, and what happened over time, as an SVG that reads in light and in dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from statistics import median

WIDTH, LABEL, ROW, TOP = 760, 220, 30, 44
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2430 }
  .title { font-weight: 600; font-size: 15px }
  .bar { fill: #9aa3b5 }
  .ours { fill: #2f6fde }
  .range { stroke: #1f2430; stroke-width: 1.5 }
  .line { fill: none; stroke: #2f6fde; stroke-width: 1.5 }
  .dot { fill: #2f6fde; fill-opacity: 0.5 }
  .axis { stroke: #9aa3b5; stroke-width: 1 }
  .across { stroke: #d2564a; stroke-opacity: 0.35; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9f0 }
    .bar { fill: #5c667a }
    .ours { fill: #6ea0ff }
    .range { stroke: #e6e9f0 }
    .line { stroke: #6ea0ff }
    .dot { fill: #6ea0ff }
    .axis { stroke: #5c667a }
    .across { stroke: #ff8a7d }
  }"""
#: Of a panel over time: its height, and the room around it.
PANEL, LEFT, GAP = 130, 46, 46
Point = tuple[float, float]


def bars(title: str, series: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Return a picture: a bar per series as long as its median, and a line from its least to its most."""
    most = max((values[-1] for _, values in series), default=1)
    scale = (WIDTH - LABEL - 90) / most
    height = TOP + ROW * len(series) + 10
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
            f' aria-label="{escape(title)}">',
            f"<style>{STYLE}\n</style>",
            f'<text class="title" x="10" y="24">{escape(title)}</text>',
            *(_bar(TOP + ROW * n, label, values, scale) for n, (label, values) in enumerate(series)),
            "</svg>\n",
        ]
    )


def _bar(y: int, label: str, values: Sequence[float], scale: float) -> str:
    middle, least, most = (LABEL + value * scale for value in (median(values), values[0], values[-1]))
    kind = "bar ours" if label.startswith("Sagadesk") else "bar"
    figure = f"{median(values):,.{0 if median(values) >= 10 else 1}f}"
    return (
        f'<text x="{LABEL - 10}" y="{y + 15}" text-anchor="end">{escape(label)}</text>'
        f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{max(1, math.ceil(middle - LABEL))}" height="20" rx="3"/>'
        f'<line class="range" x1="{least:.1f}" x2="{most:.1f}" y1="{y + 10}" y2="{y + 10}"/>'
        f'<text x="{most + 8:.1f}" y="{y + 15}">{figure}</text>'
    )


@dataclass(frozen=True)
class Panel:
    """A part of a picture over time: a line, or dots; each point is (seconds, value)."""

    title: str
    line: Sequence[Point] = field(default=())
    dots: Sequence[Point] = field(default=())


def over_time(title: str, *panels: Panel, across: Sequence[float] = (), legend: str = "") -> str:
    """Return a picture: panels over one axis of time in minutes, and lines across where something happened."""
    end = max((at for panel in panels for at, _ in (*panel.line, *panel.dots)), default=1.0)
    height = TOP + (PANEL + GAP) * len(panels) + 24
    scale = (WIDTH - LEFT - 20) / end
    drawn = [_panel(panel, TOP + n * (PANEL + GAP) + 20, scale, across) for n, panel in enumerate(panels)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
            f' aria-label="{escape(title)}">',
            f"<style>{STYLE}\n</style>",
            f'<text class="title" x="10" y="24">{escape(title)}</text>',
            *drawn,
            _minutes(height - 28, end, scale),
            f'<text x="{LEFT}" y="{height - 6}">{escape(legend)}</text>',
            "</svg>\n",
        ]
    )


def _panel(panel: Panel, top: int, scale: float, across: Sequence[float]) -> str:
    values = [value for _, value in (*panel.line, *panel.dots)]
    most = max(values, default=1) or 1

    def place(point: Point) -> tuple[str, str]:
        return f"{LEFT + point[0] * scale:.1f}", f"{top + PANEL - point[1] / most * PANEL:.1f}"

    marks = [f"{LEFT + at * scale:.1f}" for at in across]
    crossed = "".join(
        f'<line class="across" x1="{x}" x2="{x}" y1="{top}" y2="{top + PANEL}"/>' for x in marks
    )
    line = " ".join(",".join(place(point)) for point in panel.line)
    dots = "".join(
        '<circle class="dot" cx="{}" cy="{}" r="2"/>'.format(*place(point)) for point in panel.dots
    )
    return (
        f'<text x="{LEFT}" y="{top - 8}">{escape(panel.title)}</text>'
        f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{most:,.{0 if most >= 10 else 1}f}</text>'
        f'<text x="{LEFT - 6}" y="{top + PANEL}" text-anchor="end">0</text>{crossed}'
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - 20}" y1="{top + PANEL}" y2="{top + PANEL}"/>'
        + (f'<polyline class="line" points="{line}"/>' if line else "")
        + dots
    )


def _minutes(y: int, end: float, scale: float) -> str:
    step = max(1, math.ceil(end / 60 / 10))
    return "".join(
        f'<text x="{LEFT + minute * 60 * scale:.1f}" y="{y}" text-anchor="middle">{minute} min</text>'
        for minute in range(0, int(end / 60) + 1, step)
    )
