"""Saga types: what each is made of, and how its sagas are."""

from collections import Counter
from typing import Any

from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from sagas import orchestrator, registry
from sagas.clock import database_now
from sagas.core.cron import InvalidExpression
from sagas.core.definition import SagaDefinition
from sagas.dashboard.access import desk, page
from sagas.dashboard.drilled import drill_of
from sagas.dashboard.graph import draw
from sagas.dashboard.heat import heat_of
from sagas.dashboard.outline import as_steps, lines_of
from sagas.dashboard.versions import versions_of
from sagas.engine.periodic import cron_of, schedule_of
from sagas.models import IMPORT, REPAIR, UNDO, Definition, Saga


@require_safe
@desk
def type_list(request: HttpRequest) -> HttpResponse:
    """Show every saga type that is defined, or has sagas."""
    pinned = {d["saga_type"]: d for d in _definitions()}
    counted = _counted()
    names = sorted({*pinned, *registry.saga_types()})
    listed = [
        {
            "name": name,
            "defined": registry.saga_type(name) is not None,
            "every": getattr(registry.saga_type(name), "every", None),
            "versions": pinned.get(name, {}).get("versions", 0),
            "active": counted["active"].get(name, 0),
            "attention": counted["attention"].get(name, 0),
        }
        for name in names
    ]
    return page(request, "sagas/type_list.html", {"types": listed})


def _definitions() -> Any:
    return Definition.objects.values("saga_type").annotate(versions=Count("pk"))


def _counted() -> dict[str, Any]:
    """Count what is unfinished; the finished would be the whole table. And what asks for a person, finished or not."""
    # By state, too: by type alone SQLite reads the index of types, which is of all sagas.
    active: Counter[str] = Counter()
    by_state = Saga.objects.active().values_list("state", "saga_type").annotate(Count("pk")).order_by()
    for _, name, count in by_state:
        active[name] += count
    asking = Saga.objects.at_attention().values_list("saga_type").annotate(Count("pk")).order_by()
    return {"active": active, "attention": dict(asking)}


@require_safe
@desk
def type_detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a type's steps as its newest saga was started with them."""
    author = registry.saga_type(name)
    pinned = _newest(name)
    if author is None and pinned is None:
        raise Http404(f"No saga type is called {name}.")
    definition = SagaDefinition.from_document(pinned.document) if pinned else _sample(author)
    context = {
        "name": name,
        "author": author,
        "doc": (type(author).__doc__ or "").strip() if author else "",
        "pinned": pinned,
        "definitions": Definition.objects.filter(saga_type=name).count(),
        "graph": draw(as_steps(definition), "started") if definition else None,
        "lines": lines_of(definition) if definition else (),
        "definition": definition,
        "heat": heat_of(name),
        "versions": versions_of(name),
        "drilled": drill_of(name, author, pinned),
        "periodic": _periodic(author),
    }
    return page(request, "sagas/type_detail.html", context)


def _newest(saga_type: str) -> Definition | None:
    """Return the definition of the newest saga of a type; what takes another one's effects back has its own."""
    sagas = Saga.objects.filter(saga_type=saga_type).exclude(origin_kind__in=(REPAIR, UNDO, IMPORT))
    newest = sagas.order_by("-pk").select_related("definition").first()
    return newest.definition if newest else None


def _periodic(author: Any) -> dict[str, Any] | None:
    """Say when the clock starts sagas of this type, and when it did last."""
    try:
        cron = cron_of(author)
    except InvalidExpression as wrong:
        return {"every": author.every, "wrong": str(wrong)}
    if cron is None:
        return None
    schedule = schedule_of(author)
    last = Saga.objects.filter(pk=schedule.saga_id).first() if schedule and schedule.saga_id else None
    return {"every": cron.expression, "next": cron.next(database_now()), "schedule": schedule, "last": last}


def _sample(author: Any) -> SagaDefinition | None:
    """Ask the author's class for the steps of its sample data, if it names some."""
    try:
        return orchestrator.sample_definition(author)
    except Exception:  # an author's code, asked without real data
        return None
