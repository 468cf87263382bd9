"""The parts that a picture of a saga has by the dozen: the nodes and edges of a graph, the lines of a timeline.

They are written by hand, as the lines of lists and logs are: as templates they took two fifths of a page's time.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from sagas.dashboard.formats import operation, short, words
from sagas.dashboard.markup import address, ago, breakable, glyph, place, timed

if TYPE_CHECKING:
    from sagas.dashboard.graph import Edge, Node
    from sagas.dashboard.timeline import Bar, Line, Timeline

_NODE = """<li class="step {column}" data-step="{name}">
  <div class="node {row} {column} node--{look}"{here}>{do}</div>
  <div class="node undo {undo_row} {column} undo--{undo}">{back}</div>
</li>
"""
_LINE = """<span class="timeline__name">{}</span>
<svg class="timeline__line" height="22" role="img" aria-label="{}">{}{}</svg>
"""
_MARK = '<span class="mark" title="{}">{}</span>'
#: Key of a step -> the sign that says so beside its name.
_MARKS = {
    "pivot": format_html(
        _MARK,
        "The point of no return: once it is completed, the saga only goes forward.",
        glyph("pivot", "point of no return"),
    ),
    "retriable": format_html(
        _MARK,
        "Retriable: it can only succeed in the end, so it is tried until it does.",
        glyph("again", "retriable"),
    ),
    "hold": format_html(
        _MARK,
        "When it fails, a person decides before anything is undone.",
        glyph("hold", "held on failure"),
    ),
}
#: What the undo lane shows of a step (see ``graph.Node``) -> how it is said, where that is the same for each.
_UNDO = {
    "done": format_html("{}undone", glyph("failed")),
    "standing": format_html("{}left standing", glyph("standing")),
    "owed": format_html("{}will be undone", glyph("started")),
    "barred": mark_safe('<span class="muted">no way back</span>'),
    "spared": mark_safe('<span class="muted">not needed</span>'),
    "idle": mark_safe('<span class="muted">if it rolls back</span>'),
}
#: Status of a step whose action has no effect that could be undone -> why it has none.
_VOID = {"failed": "it had no effect", "skipped": "it was skipped"}

_NOTHING = mark_safe("")


def graph_edges(edges: Sequence["Edge"]) -> SafeString:
    """Draw the lines of a graph. There is nothing in them to escape: they are numbers, and words of our own."""
    return mark_safe("".join(map(_edge, edges)))  # noqa: S308


def _edge(edge: "Edge") -> str:
    """Draw a line; the arrow of an undo stands at its beginning."""
    head = 'marker-start="url(#head-undo)"' if edge.lane == "undo" else 'marker-end="url(#head-do)"'
    return (
        f'<path class="edge edge--{edge.lane}{" edge--live" if edge.live else ""}" d="{edge.path}" {head}/>'
    )


def graph_node(node: "Node") -> SafeString:
    """Draw a step in both lanes."""
    return format_html(
        _NODE,
        name=node.step["name"],
        column=place(node.column, "col"),
        row=place(node.row, "row"),
        undo_row=place(node.undo_row, "row"),
        look=_look(node),
        here=mark_safe(" data-here") if node.here else "",
        do=_do(node),
        undo=node.undo,
        back=_back(node),
    )


def _look(node: "Node") -> str:
    step = node.step
    asks = step["attention"] and step["direction"] != "undo" and node.undo != "attention"
    return "".join(
        (
            "due" if node.said.word == "due" else step["status"],
            " node--attention" if asks else "",
            "" if node.reached else " node--ahead",
        )
    )


def _do(node: "Node") -> SafeString:
    """Show a step's action."""
    step = node.step
    marks = [(mark,) for key, mark in _MARKS.items() if step[key]]
    return format_html(
        '<p class="node__name" title="{}">{}<b>{}</b></p>{}<p class="node__command" title="{}">{}</p>{}{}',
        step["name"],
        format_html_join("", "{}", marks) if marks else "",
        breakable(step["name"]),
        format_html('<p class="node__after">{}</p>', node.after) if node.after else "",
        step["action"],
        _command(step),
        "" if step.get("outline") else _state(node),
        _told(node.said.told),
    )


def _command(step: Mapping[str, Any]) -> SafeString:
    if step.get("child"):
        return _to(step["child"], step["child_type"] or "undoes saga")
    return breakable(operation(step.get("child_type") or step["action"]))


def _to(saga: Any, what: str) -> SafeString:
    return format_html('<a href="{}">{} {}</a>', address(saga), what, short(saga))


def _state(node: "Node") -> SafeString:
    attention, said = node.step["attention"], node.said
    if attention and node.undo != "attention":
        sign, word = glyph("attention"), words(attention)
    else:
        sign, word = glyph(said.glyph), said.word
    note = format_html(' <span class="node__note">{}</span>', timed(said.note)) if said.note else ""
    return format_html('<p class="node__state">{}{}{}</p>', sign, word, note)


def _told(text: str) -> SafeString:
    return format_html('<p class="node__told" title="{}">{}</p>', text, text) if text else _NOTHING


def _back(node: "Node") -> SafeString:
    """Show a step's undo."""
    if node.undo == "none":
        return mark_safe('<p class="node__quiet">nothing to undo</p>')
    if node.undo == "cannot":
        return format_html('<p class="node__quiet">{}cannot be undone</p>', glyph("lock"))
    step = node.step
    return format_html(
        '{}<p class="node__state">{}</p>{}{}{}',
        _compensation(step) if step["compensation"] and not step["cannot_undo"] else "",
        _UNDO.get(node.undo) or _undoing(node),
        _told_standing(node),
        format_html('<p class="node__told">{}</p>', ago(step["compensated_at"]))
        if node.undo == "done"
        else "",
        _told(node.said.undo_told),
    )


def _compensation(step: Mapping[str, Any]) -> SafeString:
    if step.get("undone_by"):
        what: SafeString | str = _to(step["undone_by"], "by saga")
    else:
        what = "undo of the child" if step.get("child_type") else breakable(operation(step["compensation"]))
    return format_html('<p class="node__command" title="{}">{}</p>', step["compensation"], what)


def _undoing(node: "Node") -> SafeString:
    step = node.step
    match node.undo:
        case "attention":
            what = "cannot be undone" if step["attention"] == "cannot_undo" else words(step["attention"])
            return format_html("{}{}", glyph("attention"), what)
        case "moving":
            note = timed(node.said.undo_note)
            return format_html('{}undoing <span class="node__note">{}</span>', glyph("compensating"), note)
        case _:
            return format_html('<span class="muted">{}</span>', _VOID.get(step["status"], "it never ran"))


def _told_standing(node: "Node") -> SafeString:
    if node.undo != "standing" or node.step["compensation"] is not None:
        return _NOTHING
    done = node.step["executed_at"] or not node.step["standing"]
    told = "nothing undoes it" if done else "whether it was done is not known; nothing undoes it"
    return format_html('<p class="node__told">{}</p>', told)


def timeline_lines(timeline: "Timeline") -> SafeString:
    """Draw each step's attempts against time."""
    ticks = _ticks(timeline)
    return format_html_join(
        "", _LINE, ((line.name, _attempts(line), ticks, _bars(line)) for line in timeline.lines)
    )


def _ticks(timeline: "Timeline") -> SafeString:
    drawn = (f'<line class="tick" x1="{x}%" x2="{x}%" y1="0" y2="22"/>' for x, _ in timeline.ticks)
    return mark_safe("".join(drawn))  # noqa: S308


def _attempts(line: "Line") -> str:
    return " ".join(f"{bar.title}." for bar in line.bars) or "not begun"


def _bars(line: "Line") -> SafeString:
    return mark_safe("".join(map(_bar, line.bars)))  # noqa: S308


def _bar(bar: "Bar") -> str:
    where = f'x="{bar.x}%" width="{bar.width}%" y="{12 if bar.lane == "undo" else 3}" height="7" rx="2"'
    return (
        f'<rect class="bar bar--{bar.look} bar--{bar.lane}" {where}><title>{escape(bar.title)}</title></rect>'
    )
