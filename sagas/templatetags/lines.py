"""The lines that a page has by the dozen, or by the hundred: a list's sagas, and the entries of a log.

They are written by hand. A template looks up each name in them anew, which took more than half of a list's time.
"""

from typing import TYPE_CHECKING

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas.templatetags.desk import (
    ago,
    chip,
    clock,
    dots,
    folded,
    glyph,
    known_as,
    named,
    pretty,
    span,
    timed,
)

if TYPE_CHECKING:
    from sagas.dashboard.log import Entry
    from sagas.dashboard.rows import Row

register = template.Library()

_SAGA = """<tr class="saga saga--{state}{asks}" data-saga="{id}" data-version="{version}">
  <td class="saga__state">{chip}</td>
  <th scope="row" class="saga__name">{name}<span class="saga__type">{type}</span></th>
  <td class="saga__steps">{dots}</td>
  <td class="saga__glance">{glance}</td>
  <td class="saga__took num">{took}</td>
  <td class="saga__when num">{when}</td>
</tr>
"""
_ENTRY = """<li class="log__line log__line--{tone}">
  <span class="log__when">{when}</span>
  <span class="log__glyph">{glyph}</span>
  <span class="log__text">{text}</span>
  <span class="log__version num" title="the version that this made">v {version}</span>
</li>
"""
_NAME = '<a href="{}" title="{}">{}</a>'
_MORE = '{}<details class="more" id="e{}"><summary>{}</summary><pre class="json">{}</pre></details>'
_FLAG = '<span class="flag">{}{}</span>'


@register.simple_tag
def saga_line(row: "Row") -> SafeString:
    """Show a saga as a line of a table."""
    saga = row.saga
    return format_html(
        _SAGA,
        state=saga.state,
        asks=" saga--attention" if saga.attention else "",
        id=saga.pk,
        version=saga.version,
        chip=chip(saga.state, saga.paused, saga.waiting["kind"] if saga.waiting else None),
        name=format_html(
            _NAME, reverse("saga-detail", args=[saga.pk]), saga.correlation_id, known_as(saga.correlation_id)
        ),
        type=f"{saga.saga_type}, imported" if saga.origin_kind == "import" else saga.saga_type,
        dots=dots(row.dots),
        glance=format_html(_FLAG, glyph("attention"), row.glance) if saga.attention else timed(row.glance),
        took="" if row.seconds is None else span(row.seconds),
        when=ago(saga.updated_at),
    )


@register.simple_tag
def log_line(entry: "Entry") -> SafeString:
    """Show an entry of a saga's log."""
    return format_html(
        _ENTRY,
        tone=entry.tone,
        when=clock(entry.at),
        glyph=glyph(entry.tone),
        text=_told(entry),
        version=entry.version,
    )


def _told(entry: "Entry") -> SafeString:
    action = entry.action
    if action is not None:
        verb = f"{action.verb} {action.step}" if action.step else action.verb
        if changed := named(action.request.get("changed")):
            verb += f" · {changed}"
        reason = folded(format_html("<q>{}</q>", action.reason), f"r{action.pk}")
        return format_html("<b>{}</b>: {} {}", action.operator_name, verb, reason)
    text = folded(timed(entry.text), f"t{entry.sequence}")
    if entry.detail:
        return format_html(_MORE, text, entry.sequence, entry.numbers, pretty(entry.detail))
    return text
