"""How glyphs, times, durations, ids and JSON look in the desk's templates."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django import template
from django.conf import settings
from django.urls import get_script_prefix, get_urlconf, reverse
from django.utils import timezone
from django.utils.html import conditional_escape, escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator

from sagas.alerts import alert_path
from sagas.dashboard.words import WAITS, approver_text

register = template.Library()
register.simple_tag(alert_path)
register.filter("asked_whom", approver_text)

#: Stands where a saga's id does.
NIL = UUID(int=0)
#: How many steps of a saga are shown one by one on its line.
DOTS = 32
#: (seconds in one, used from so many on, its name, seconds in the unit below, that one's name), longest first.
_UNITS = (
    (86_400, 172_800, "d", 3_600, "h"),
    (3_600, 7_200, "h", 60, "min"),
    (60, 100, "min", 1, "s"),
)


_TIME = r"\{(\d{4}-\d\d-\d\dT[^{}\s]+)\}"
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SAGA = rf"\bsaga ({_ID})\b"
_TOLD = re.compile(f"{_TIME}|{_SAGA}")
_FOLDED = (
    '<details class="folded" id="long-{}"><summary><span class="folded__text">{}</span>'
    '<span class="folded__more"></span></summary></details>'
)
_WORD = re.compile(r"(?<=_)(?!$)|(?<=[a-z0-9])(?=[A-Z])")


class _Kept(template.Node):
    def __init__(self, inside: template.NodeList) -> None:
        self._inside = inside
        self._texts: dict[str, SafeString] = {}

    def render(self, context: template.Context) -> SafeString:
        root = settings.STATIC_URL
        if root not in self._texts:
            self._texts[root] = self._inside.render(context)
        return self._texts[root]


@register.tag
def kept(parser: Any, _token: Any) -> template.Node:
    """Render what is inside once for all pages: it depends on nothing but where the static files are."""
    inside = parser.parse(("endkept",))
    parser.delete_first_token()
    return _Kept(inside)


@register.filter
def below(path: str, place: str) -> bool:
    """Whether a page's path is this place, or something of it."""
    return path.startswith(place)


@register.simple_tag
@lru_cache(maxsize=1024)
def glyph(name: str, label: str = "") -> SafeString:
    """Draw a glyph of the sprite; silent to screen readers unless it has a label."""
    if label:
        return format_html(
            '<svg class="glyph" role="img" aria-label="{}"><use href="#g-{}"/></svg>', label, name
        )
    return format_html('<svg class="glyph" aria-hidden="true"><use href="#g-{}"/></svg>', name)


@register.simple_tag
@lru_cache(maxsize=256)
def chip(state: str, paused: bool = False, waiting: str | None = None) -> SafeString:
    """Show a saga's state in glyph and word, whether it is paused, and for what it waits."""
    shown = [(state, glyph(state), state)]
    if paused:
        shown.append(("paused", glyph("paused"), "paused"))
    if waiting:
        shown.append(("waiting", glyph("waiting"), f"waits for {WAITS[waiting]}"))
    return format_html_join("", '<span class="chip chip--{}">{}{}</span>', shown)


@register.filter
@lru_cache(maxsize=1024)
def dots(statuses: tuple[str, ...]) -> SafeString:
    """Show the statuses of a saga's steps, in order, as dots; of very many the latest, and how many came before."""
    before = len(statuses) - DOTS if len(statuses) > DOTS + 1 else 0
    drawn = format_html_join("", '<i class="dot dot--{}"></i>', ((each,) for each in statuses[before:]))
    more = format_html('<span class="dots__before">+{}</span>', before) if before else ""
    return format_html(
        '<span class="dots" role="img" aria-label="{} steps">{}{}</span>', len(statuses), more, drawn
    )


@register.filter
@lru_cache(maxsize=1024)
def place(number: int, axis: str) -> str:
    """Return the classes that put something into a row, or a col, of the grid: one a digit, as grid.css has them."""
    digits = reversed(str(number))
    placed = [f"{axis}-{digit}{'0' * zeros}" for zeros, digit in enumerate(digits) if digit != "0"]
    return " ".join(reversed(placed))


@register.filter
def moment(value: Any) -> datetime | None:
    """Read a time from a row or a snapshot."""
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else None


@register.filter
def ago(value: Any) -> SafeString | str:
    """Show a time as its distance from now; the exact one on hover and focus."""
    at = moment(value)
    if at is None:
        return "–"
    return _time(at, relative(at, timezone.now()), "relative")


@register.filter
def clock(value: Any) -> SafeString | str:
    """Show a time of today, or a day and its time; the browser turns it into its own zone."""
    at = moment(value)
    if at is None:
        return "–"
    told, today = at.astimezone(UTC), timezone.now().astimezone(UTC).date()
    return _time(at, f"{told:%H:%M:%S}" if told.date() == today else f"{told:%Y-%m-%d %H:%M:%S} UTC", "clock")


@register.filter
def exact(value: Any) -> SafeString | str:
    """Show date and time."""
    at = moment(value)
    return "–" if at is None else _time(at, at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"), "exact")


@register.filter
def timed(text: str) -> SafeString:
    """Show the times that a sentence holds in braces, as ``{2026-01-01T12:00:00+00:00}``, and link the sagas in it."""
    plain, *rest = _TOLD.split(text)  # then a time, or a saga, and what is between, again and again
    if not rest:
        return escape(plain)
    shown = [plain]
    for time, saga, between in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        shown += [_told_time(time) if time else _link(saga), between]
    return format_html_join("", "{}", ((part,) for part in shown))


def _told_time(time: str) -> SafeString | str:
    """Show a time of a sentence; what only looks like one, in a participant's own words, as it is."""
    try:
        at = datetime.fromisoformat(time)
        at = at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):  # the calendar has an edge
        at = None
    return clock(at) if at is not None else f"{{{time}}}"


def _link(saga_id: str) -> SafeString:
    return format_html('<a href="{}" title="{}">saga {}</a>', address(saga_id), saga_id, short(saga_id))


def address(saga_id: UUID | str) -> str:
    """Return where a saga's page is. Django's ``reverse``, asked anew for each, was a tenth of a list's time."""
    return _pattern(get_script_prefix(), get_urlconf()).replace(str(NIL), str(saga_id))


@lru_cache(maxsize=16)
def _pattern(_prefix: str, _urlconf: str | None) -> str:
    return reverse("saga-detail", args=[NIL])


def _time(at: datetime, text: str, style: str) -> SafeString:
    # A page has hundreds of them, and there is nothing to escape in digits: formatted by hand.
    iso = at.astimezone(UTC).isoformat(timespec="milliseconds")
    title = f"{iso[:10]} {iso[11:19]} UTC"
    return mark_safe(f'<time datetime="{iso}" data-style="{style}" title="{title}">{text}</time>')  # noqa: S308


def relative(at: datetime, now: datetime) -> str:
    """Say how far away a time is: "12 s ago", "in 4 min"."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


@register.filter
def span(seconds: float | None) -> str:
    """Say how long: "80 ms", "1.2 s", "4 min 10 s", "3 h 5 min"."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, least, name, below, lesser in _UNITS:
        if whole >= least:
            rest = whole % size // below
            return f"{whole // size} {name}" + (f" {rest} {lesser}" if rest and whole < 10 * size else "")
    return f"{whole} s"


@register.filter
def short(value: UUID | str) -> str:
    """Shorten an id to its end, which tells neighbours apart; its beginning is only the time."""
    return f"…{str(value)[-8:]}"


@register.filter
def known_as(correlation_id: str) -> str:
    """Return what people know a saga by: its correlation id; one that nobody chose is an id, and shown by its end."""
    return short(correlation_id) if re.fullmatch(_ID, correlation_id) else correlation_id


@register.filter
def operation(command: str) -> str:
    """Shorten a command to what is done; its service is in the title."""
    return command.rpartition(".")[2]


@register.filter
@lru_cache(maxsize=1024)
def breakable(name: str) -> SafeString:
    """Let a long name break between its words: behind underscores, before capitals."""
    return format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in _WORD.split(name)))


#: Characters of a document that a page shows. A page must fit into one frame of the live socket, too.
LONGEST_TEXT = 100_000


@register.filter
def pretty(value: Any) -> str:
    """Show JSON indented, keys in their order; of what no person would read to the end, the beginning."""
    try:
        text = orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()
    except TypeError:  # a number that does not fit into 64 bits
        text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}\n… {len(text) - LONGEST_TEXT:,} more characters; the API has all of it."


@register.filter
def pairs(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return keys with their values; by ``values.items`` a template finds the value called items, if there is one."""
    return list(values.items())


@register.filter
def compact(value: Any) -> str:
    """Show JSON on one line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


#: Characters that are shown without being asked for, of what people and participants say: about three lines.
LONG = 320
_TAG = re.compile("<[^>]*>")


@register.filter
def folded(shown: str, name: str | int) -> SafeString:
    """Fold what is long to its first lines; a click shows all. By its name it stays open while its page is live.

    It is a block then, which no paragraph has room for.
    """
    safe = conditional_escape(shown)  # before markup is looked for: what people write between < and > is none
    if len(shown) <= LONG or len(_TAG.sub("", safe)) <= LONG:
        return safe
    return format_html(_FOLDED, name, safe)


#: Characters of a value, or of a path, beside many others.
BRIEF = 80


@register.filter
def brief(value: Any) -> str:
    """Show JSON on one line, a text in its quotes; of what is long, the beginning."""
    return Truncator(json.dumps(value, ensure_ascii=False, default=str)).chars(BRIEF)


#: Names of a list that are shown one by one.
NAMED = 3


@register.filter
def named(names: Any) -> str:
    """Name a few: "a, b, c and 4 more"; nothing if they are not told, as in a document without values."""
    if not isinstance(names, list):
        return ""
    first = ", ".join(Truncator(name).chars(BRIEF) for name in names[:NAMED])
    return f"{first} and {len(names) - NAMED} more" if len(names) > NAMED else first


@register.filter
def is_text(value: Any) -> bool:
    """Say whether a value is a text, or has parts."""
    return isinstance(value, str)


@register.filter
def words(value: Any) -> str:
    """Turn a code into words: ``retries_spent`` -> "retries spent"."""
    return str(value or "").replace("_", " ")
