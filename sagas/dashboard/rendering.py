"""How the desk's templates are rendered: alike on every site, whatever language and digits that has."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.template import Context, RequestContext
from django.template.loader import get_template


def rendered(template: str, context: Mapping[str, Any], request: HttpRequest | None = None) -> str:
    """Render a template with numbers as they are: pictures, links and forms hold them, too, and 0,5 is none there."""
    given = dict(context)
    whole = (
        Context(given, use_l10n=False) if request is None else RequestContext(request, given, use_l10n=False)
    )
    return str(get_template(template).template.render(whole))  # type: ignore[attr-defined]
