"""Times, glyphs, states, names and links as markup. What is written by the dozen is formatted by hand."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.urls import get_script_prefix, get_urlconf, reverse
from django.utils import timezone
from django.utils.html import conditional_escape, escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from sagas.dashboard.formats import ID, moment, relative, short
from sagas.dashboard.words import WAITS

#: Stands where a saga's id does.
NIL = UUID(int=0)
#: How many steps of a saga are shown one by one on its line.
DOTS = 32
#: Characters that are shown without being asked for, of what people and participants say: about three lines.
LONG = 320
_TIME = r"\{(\d{4}-\d\d-\d\dT[^{}\s]+)\}"
_SAGA = rf"\bsaga ({ID})\b"
_TOLD = re.compile(f"{_TIME}|{_SAGA}")
_FOLDED = (
    '<details class="folded" id="long-{}"><summary><span class="folded__text">{}</span>'
    '<span class="folded__more"></span></summary></details>'
)
_TAG = re.compile("<[^>]*>")
_WORD = re.compile(r"(?<=_)(?!$)|(?<=[a-z0-9])(?=[A-Z])")


@lru_cache(maxsize=1024)
def glyph(name: str, label: str = "") -> SafeString:
    """Draw a glyph of the sprite; silent to screen readers unless it has a label."""
    if label:
        return format_html(
            '<svg class="glyph" role="img" aria-label="{}"><use href="#g-{}"/></svg>', label, name
        )
    return format_html('<svg class="glyph" aria-hidden="true"><use href="#g-{}"/></svg>', name)


@lru_cache(maxsize=256)
def chip(state: str, paused: bool = False, waiting: str | None = None) -> SafeString:
    """Show a saga's state in glyph and word, whether it is paused, and for what it waits."""
    shown = [(state, glyph(state), state)]
    if paused:
        shown.append(("paused", glyph("paused"), "paused"))
    if waiting:
        shown.append(("waiting", glyph("waiting"), f"waits for {WAITS[waiting]}"))
    return format_html_join("", '<span class="chip chip--{}">{}{}</span>', shown)


@lru_cache(maxsize=1024)
def dots(statuses: tuple[str, ...]) -> SafeString:
    """Show the statuses of a saga's steps, in order, as dots; of very many the latest, and how many came before."""
    before = len(statuses) - DOTS if len(statuses) > DOTS + 1 else 0
    drawn = format_html_join("", '<i class="dot dot--{}"></i>', ((each,) for each in statuses[before:]))
    more = format_html('<span class="dots__before">+{}</span>', before) if before else ""
    return format_html(
        '<span class="dots" role="img" aria-label="{} steps">{}{}</span>', len(statuses), more, drawn
    )


@lru_cache(maxsize=1024)
def place(number: int, axis: str) -> str:
    """Return the classes that put something into a row, or a col, of the grid: one a digit, as grid.css has them."""
    digits = reversed(str(number))
    placed = [f"{axis}-{digit}{'0' * zeros}" for zeros, digit in enumerate(digits) if digit != "0"]
    return " ".join(reversed(placed))


def ago(value: Any) -> SafeString | str:
    """Show a time as its distance from now; the exact one on hover and focus."""
    at = moment(value)
    if at is None:
        return "–"
    return _time(at, relative(at, timezone.now()), "relative")


def clock(value: Any) -> SafeString | str:
    """Show a time of today, or a day and its time; the browser turns it into its own zone."""
    at = moment(value)
    if at is None:
        return "–"
    told, today = at.astimezone(UTC), timezone.now().astimezone(UTC).date()
    return _time(at, f"{told:%H:%M:%S}" if told.date() == today else f"{told:%Y-%m-%d %H:%M:%S} UTC", "clock")


def exact(value: Any) -> SafeString | str:
    """Show date and time."""
    at = moment(value)
    return "–" if at is None else _time(at, at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"), "exact")


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


@lru_cache(maxsize=1024)
def breakable(name: str) -> SafeString:
    """Let a long name break between its words: behind underscores, before capitals."""
    return format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in _WORD.split(name)))


def folded(shown: str, name: str | int) -> SafeString:
    """Fold what is long to its first lines; a click shows all. By its name it stays open while its page is live.

    It is a block then, which no paragraph has room for.
    """
    safe = conditional_escape(shown)  # before markup is looked for: what people write between < and > is none
    if len(shown) <= LONG or len(_TAG.sub("", safe)) <= LONG:
        return safe
    return format_html(_FOLDED, name, safe)
