"""What operators did, newest first."""

from typing import Any

from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from sagas.dashboard.access import desk, page
from sagas.dashboard.filters import moment_of
from sagas.dashboard.paging import keyset
from sagas.models import OperatorAction
from sagas.orchestrator import DEEDS

FIELDS = ("operator", "verb", "since", "until")


@require_safe
@desk
def audit(request: HttpRequest) -> HttpResponse:
    """Show the operator actions that match the filters."""
    asked = {name: request.GET.get(name, "").strip()[:200] for name in FIELDS}
    active = {name: value for name, value in asked.items() if value}
    found = keyset(matching(active), request.GET, active)
    return page(
        request, "sagas/audit.html", {"asked": asked, "active": active, "page": found, "verbs": DEEDS}
    )


def matching(active: dict[str, str]) -> QuerySet[OperatorAction]:
    """Return the actions that match; nothing if a time cannot be read."""
    lookups: dict[str, Any] = {
        "operator": "operator_name",
        "verb": "verb",
        "since": "at__gte",
        "until": "at__lt",
    }
    where = {
        lookups[name]: moment_of(value) if "at__" in lookups[name] else value
        for name, value in active.items()
    }
    actions = OperatorAction.objects.select_related("saga").defer("answer", "saga__data")
    actions = actions.annotate(pruned=KT("answer__pruned__correlation_id"), removed=KT("answer__removed"))
    return actions.none() if None in where.values() else actions.filter(**where)
