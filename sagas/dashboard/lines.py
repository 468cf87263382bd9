"""The lines that a page has by the dozen, or by the hundred: a list's sagas, and the entries of a log.

They are written by hand. A template looks up each name in them anew, which took more than half of a list's time;
and what cannot hold a character that would have to be escaped, such as a state or a number, is not looked at for one.
"""

from html import escape
from typing import TYPE_CHECKING

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from sagas.dashboard.deeds import deed
from sagas.dashboard.formats import known_as, pretty, span
from sagas.dashboard.markup import address, ago, chip, clock, dots, folded, glyph, timed

if TYPE_CHECKING:
    from sagas.dashboard.log import Entry
    from sagas.dashboard.rows import Row

_MORE = (
    '{}<details class="more" id="e{}"><summary title="Details">{}<span class="sr-only">: details of the event</span>'
    '</summary><pre class="json">{}</pre></details>'
)
_FLAG = '<span class="flag">{}{}</span>'


def saga_line(row: "Row") -> SafeString:
    """Show a saga as a line of a table."""
    saga = row.saga
    asks = " saga--attention" if saga.attention else ""
    state = chip(saga.state, saga.paused, saga.waiting["kind"] if saga.waiting else None)
    imported = ", imported" if saga.origin_kind == "import" else ""
    name, known = escape(saga.correlation_id), escape(known_as(saga.correlation_id))
    glance = format_html(_FLAG, glyph("attention"), row.glance) if saga.attention else timed(row.glance)
    return mark_safe(  # noqa: S308
        f"""<tr class="saga saga--{saga.state}{asks}" data-saga="{saga.pk}" data-version="{saga.version}">
  <td class="saga__state"><input class="saga__pick" type="checkbox" name="saga" value="{saga.pk}" form="selected" \
aria-label="Select {known}">{state}</td>
  <th scope="row" class="saga__name"><a href="{address(saga.pk)}" title="{name}">{known}</a><span class="saga__type">\
{escape(saga.saga_type)}{imported}</span></th>
  <td class="saga__steps">{dots(row.dots)}</td>
  <td class="saga__glance">{glance}</td>
  <td class="saga__took num">{"" if row.seconds is None else span(row.seconds)}</td>
  <td class="saga__when num">{ago(saga.updated_at)}</td>
</tr>
"""
    )


def log_line(entry: "Entry") -> SafeString:
    """Show an entry of a saga's log."""
    return mark_safe(  # noqa: S308
        f"""<li class="log__line log__line--{entry.tone}">
  <span class="log__when">{clock(entry.at)}</span>
  <span class="log__glyph">{glyph(entry.tone)}</span>
  <span class="log__text">{_told(entry)}</span>
  <span class="log__version num" title="the version that this made">v {entry.version}</span>
</li>
"""
    )


def _told(entry: "Entry") -> SafeString:
    action = entry.action
    if action is not None:
        reason = folded(format_html("<q>{}</q>", action.reason), f"r{action.pk}")
        return format_html("<b>{}</b>: {} {}", action.operator_name, deed(action), reason)
    text = folded(timed(entry.text), f"t{entry.sequence}")
    if entry.detail:
        return format_html(_MORE, text, entry.sequence, entry.numbers, pretty(entry.detail))
    return text
