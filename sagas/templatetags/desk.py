"""What the desk's templates load: it is all written elsewhere, and only named here."""

from typing import Any

from django import template
from django.conf import settings
from django.utils.safestring import SafeString

from sagas.alerts import alert_path
from sagas.dashboard import deeds, drawn, formats, lines, markup, words

register = template.Library()
for _tag in (
    markup.glyph,
    markup.chip,
    lines.saga_line,
    lines.log_line,
    drawn.graph_edges,
    drawn.graph_node,
    drawn.timeline_lines,
    alert_path,
):
    register.simple_tag(_tag)
for _filter in (
    deeds.deed,
    deeds.deed_in_table,
    deeds.deed_to,
    markup.ago,
    markup.breakable,
    markup.clock,
    markup.exact,
    markup.folded,
    markup.place,
    markup.timed,
    formats.below,
    formats.brief,
    formats.compact,
    formats.is_text,
    formats.known_as,
    formats.pairs,
    formats.pretty,
    formats.short,
    formats.span,
    formats.words,
):
    register.filter(_filter)
register.filter("asked_whom", words.approver_text)


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
