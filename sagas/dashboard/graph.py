"""Where a saga's steps are drawn: columns by depth, one row per branch, the undo lane below the do lane.

Positions are in grid cells; the sizes of a cell repeat those in ``graph.css``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from sagas.core.words import FORWARD
from sagas.dashboard.nodes import Said, said

#: Pixels: a node's width and height, and the gaps between nodes.
WIDTH, HEIGHT, GAP_X, GAP_Y = 184, 92, 40, 16
#: Between the two lanes.
LANE_GAP = 40
#: Between a node and the lines that run down beside it: before the bends of its edges.
BESIDE = 7

#: More of a function's steps, each on the one before, make a picture that nobody looks through.
MOST = 40
#: What makes a step unlike others: the key of a snapshot's step, which the page explains where one is drawn.
MARKS = ("pivot", "retriable", "hold", "cannot_undo")


@dataclass(frozen=True)
class Node:
    """One step, in both lanes."""

    step: Mapping[str, Any]
    column: int
    row: int
    undo_row: int
    reached: bool
    """Whether it was ever dispatched; what was not is dimmed."""
    undo: str
    """What the undo lane shows: none, cannot, idle, barred, spared, void, owed, moving, attention, done, standing."""
    said: Said
    after: str
    """Which steps it waits for, where that is not simply the one before it."""
    here: bool
    """Whether this is what somebody who comes to the page wants to see first."""


@dataclass(frozen=True)
class Edge:
    """A line between two nodes."""

    path: str
    lane: str
    live: bool


@dataclass(frozen=True)
class Gate:
    """The point of no return: a line behind the pivot, across both lanes."""

    x: int
    label_y: int
    word: str
    """open, passed or shut: whether the saga still may pass it, did, or turned back before."""


@dataclass(frozen=True)
class Graph:
    """A saga, drawn."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    gate: Gate | None
    marks: tuple[str, ...]
    """Which of ``MARKS`` occur."""
    columns: int
    rows: int
    width: int
    height: int


def draw(steps: Sequence[Mapping[str, Any]], state: str) -> Graph:
    """Lay a saga's steps out."""
    places = _places(steps)
    rows = 1 + max((row for _, row in places.values()), default=0)
    columns = 1 + max((column for column, _ in places.values()), default=0)
    pivot = next((step for step in steps if step["pivot"]), None)
    way = _way(pivot, state)
    before = [None, *(step["name"] for step in steps)]
    here = _here(steps, places, state)
    nodes = tuple(
        _node(step, places[step["name"]], rows, state, way, previous, here)
        for step, previous in zip(steps, before, strict=False)
    )
    return Graph(
        nodes=nodes,
        edges=tuple(_edges(nodes, rows, _turned(nodes, state))),
        gate=_gate(places[pivot["name"]][0], rows, way) if pivot else None,
        marks=tuple(mark for mark in MARKS if any(step[mark] for step in steps)),
        columns=columns,
        rows=rows,
        width=columns * (WIDTH + GAP_X) - GAP_X,
        height=_top(rows * 2, rows) - GAP_Y,
    )


def latest(steps: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the steps to draw: of a function that has asked for more than there is room for, the latest."""
    if len(steps) <= MOST or not steps[0]["function"]:
        return steps
    chosen = steps[1 - MOST :]
    names = {step["name"] for step in chosen}
    function = {**steps[0], "earlier": len(steps) - MOST}
    rooted = [{**s, "needs": [n for n in s["needs"] if n in names] or [function["name"]]} for s in chosen]
    return [function, *rooted]


def _places(steps: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """Give each step a column behind all that it needs, and a free row as near to its first need as there is."""
    places: dict[str, tuple[int, int]] = {}
    waiting = list(steps)
    while waiting:
        ready = [s for s in waiting if all(n in places for n in s["needs"])] or waiting[:1]
        for step in ready:
            needs = [places[n] for n in step["needs"] if n in places]
            column = 1 + max((c for c, _ in needs), default=-1)
            wanted = min((r for _, r in needs), default=0)
            taken = {r for c, r in places.values() if c == column}
            places[step["name"]] = (column, next(r for r in count(wanted) if r not in taken))
        waiting = [s for s in waiting if s["name"] not in places]
    return places


def _here(
    steps: Sequence[Mapping[str, Any]], places: Mapping[str, tuple[int, int]], state: str
) -> str | None:
    """Return the step that asks for attention; else the one farthest on, or farthest from being undone."""
    asking = [s for s in steps if s["attention"]]
    if state == "compensating":
        moving = [s for s in steps if s["status"] == "compensating"]
    else:
        moving = [s for s in steps if _reached(s)] if state == "pending" else []
    return max(asking or moving, key=lambda s: places[s["name"]][0], default={"name": None})["name"]


def _reached(step: Mapping[str, Any]) -> bool:
    return bool(step["dispatched_at"]) or step["status"] != "pending"


def _way(pivot: Mapping[str, Any] | None, state: str) -> str:
    """Return how the point of no return stands: open, passed or shut."""
    if pivot and pivot["status"] == "completed" and state in {"pending", "completed"}:
        return "passed"
    return "shut" if state in {"compensating", "failed"} else "open"


def _gate(column: int, rows: int, way: str) -> Gate:
    return Gate(_left(column + 1) + WIDTH + BESIDE, _top(rows, rows) - LANE_GAP // 2, way)


def _node(
    step: Mapping[str, Any],
    place: tuple[int, int],
    rows: int,
    state: str,
    way: str,
    previous: str | None,
    here: str | None,
) -> Node:
    column, row = place
    reached = _reached(step)
    return Node(
        step=step,
        column=column + 1,
        row=row + 1,
        undo_row=rows + row + 1,
        reached=reached,
        undo=undo_state(step, state, reached=reached, passed=way == "passed"),
        said=said(step, forward=state in FORWARD),
        after=_after(step["needs"], previous),
        here=step["name"] == here,
    )


def _after(needs: Sequence[str], previous: str | None) -> str:
    if not needs:
        return "from the start" if previous else ""
    return "" if list(needs) == [previous] else f"after {', '.join(needs)}"


def undo_state(step: Mapping[str, Any], state: str, *, reached: bool, passed: bool) -> str:
    """Return what the undo lane shows of a step. A timer or an approval leaves nothing that could stand."""
    if step.get("timer") or step.get("approval"):
        return "none"
    if step["standing"]:
        return "standing"
    if step["status"] == "compensated":
        return "done"
    if step["status"] == "compensating" or step["attention"] == "cannot_undo":
        return "attention" if step["attention"] else "moving"
    if step["cannot_undo"]:
        return "cannot"
    back = state in {"compensating", "failed"}
    if step["compensation"] is None:
        return "standing" if back and step["status"] == "completed" else "none"
    if state == "completed":
        return "spared"
    if not back:
        return "barred" if passed else "idle"
    return "owed" if reached and step["status"] in {"completed", "executing"} else "void"


def _edges(nodes: Sequence[Node], rows: int, turned: Collection[str]) -> list[Edge]:
    by_name = {node.step["name"]: node for node in nodes}
    columns = [node.column for node in nodes]
    cells = {(node.column, node.row) for node in nodes}
    edges = []
    for node in nodes:
        for need in (by_name[n] for n in node.step["needs"] if n in by_name):
            through = any((c, need.row) in cells for c in range(need.column + 1, node.column))
            line = _detour if through else _curve
            edges.append(Edge(line(need, node, need.row, node.row, rows), "do", node.reached))
            going = node.undo in _GOING or node.step["name"] in turned
            live = going and need.undo in _GOING
            edges.append(Edge(line(need, node, need.undo_row, node.undo_row, rows), "undo", live))
        if node.step["name"] in turned:
            edges.append(Edge(_turn(node, rows, columns.count(node.column) == 1), "turn", True))
    return edges


#: Where the undo lane shows these, the rollback has come by.
_GOING = {"done", "moving", "attention", "standing"}


def _turn(node: Node, rows: int, alone: bool) -> str:
    """Lead from an action that failed down to its place in the undo lane: beside its neighbours, not through them."""
    top, bottom = _top(node.row - 1, rows) + HEIGHT, _top(node.undo_row - 1, rows)
    if alone:
        return f"M{_left(node.column) + WIDTH // 2} {top}V{bottom}"
    right = _left(node.column) + WIDTH
    return f"M{right} {top - 20}h{BESIDE - 3}q3 0 3 3V{bottom + 17}q0 3 -3 3h{3 - BESIDE}"


def _turned(nodes: Sequence[Node], state: str) -> set[str]:
    """Return the steps at which the saga turned back: the action failed, and nothing was done behind it."""
    behind = {need for node in nodes if node.reached for need in node.step["needs"]}
    failed = {n.step["name"] for n in nodes if n.step["status"] == "failed" and not n.step["attention"]}
    return failed - behind if state in {"compensating", "failed"} else set()


def _curve(left: Node, right: Node, left_row: int, right_row: int, rows: int) -> str:
    x1, x2 = _left(left.column) + WIDTH, _left(right.column)
    y1 = _top(left_row - 1, rows) + HEIGHT // 2
    y2 = _top(right_row - 1, rows) + HEIGHT // 2
    if y1 == y2:
        return f"M{x1} {y1}H{x2}"
    bend = x2 - GAP_X // 2
    return f"M{x1} {y1}H{bend - 8}C{bend + 4} {y1} {bend - 4} {y2} {bend + 8} {y2}H{x2}"


def _detour(left: Node, right: Node, left_row: int, right_row: int, rows: int) -> str:
    """Lead around the nodes between: down into the gap below the row, along it, and up or down to the end."""
    x1, x2 = _left(left.column) + WIDTH, _left(right.column)
    y1 = _top(left_row - 1, rows) + HEIGHT // 2
    y2 = _top(right_row - 1, rows) + HEIGHT // 2
    gap = _top(left_row - 1, rows) + HEIGHT + GAP_Y // 2
    turn = 6 if y2 > gap else -6
    down = f"M{x1} {y1}h8q6 0 6 6V{gap - 6}q0 6 6 6"
    return f"{down}H{x2 - 22}q6 0 6 {turn}V{y2 - turn}q0 {turn} 6 {turn}H{x2}"


def _left(column: int) -> int:
    return (column - 1) * (WIDTH + GAP_X)


def _top(row: int, rows: int) -> int:
    """Return where a grid row (from 0) begins; the undo lane stands apart by a wider gap."""
    return row * (HEIGHT + GAP_Y) + (LANE_GAP if row >= rows else 0)
