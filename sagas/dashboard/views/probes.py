"""What monitoring asks: is the process up, can sagas move, and the figures for Prometheus."""

from collections import Counter
from collections.abc import Iterator
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from sagas.alerts import failing
from sagas.core.words import AlertKind, SagaState
from sagas.dashboard.access import SEE, View
from sagas.dashboard.overview import counts
from sagas.health import health as look
from sagas.models import Alert, Batch, Due, Saga, Token
from sagas.undelivered import undelivered

#: Open alerts that are read for the figures; there is one of each kind for each cause, so they are few.
MOST_ALERTS = 1_000


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers; it asks nobody else."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether sagas can move: migrated, a worker and the clock alive, and room in the database."""
    missing = _missing()
    status = {"status": "not ready", "missing": missing} if missing else {"status": "ready"}
    return JsonResponse(status, status=503 if missing else 200)


def _missing() -> list[str]:
    try:
        if _unmigrated():
            return ["migrations"]
        health = look()
    except Exception:  # whatever the driver raises: the database does not answer
        return ["database"]
    there = {"worker": health["workers_alive"], "clock": health["clock"], "disk space": not health["full"]}
    return [name for name, is_there in there.items() if not is_there]


def _unmigrated() -> bool:
    """Once migrated, always migrated, as far as this process is concerned."""
    if not getattr(_unmigrated, "done", False):
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        _unmigrated.done = not plan  # type: ignore[attr-defined]
    return not _unmigrated.done  # type: ignore[attr-defined]


def for_scrapers(view: View) -> View:
    """Open a page to a bearer token or a session whose user may see sagas."""

    @wraps(view)
    def closed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        user: Any = request.user
        if scheme.lower() == "bearer":
            token = Token.objects.select_related("user").filter(digest=Token.digest_of(text.strip())).first()
            user = token.user if token else None
        elif not user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if user is None or not user.is_active:
            return HttpResponse("unknown token\n", status=401, headers={"WWW-Authenticate": "Bearer"})
        return (
            view(request, *args, **kwargs) if user.has_perm(SEE) else HttpResponse("forbidden\n", status=403)
        )

    return closed


@require_safe
@for_scrapers
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' text format."""
    return HttpResponse("\n".join(_lines()) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


def _lines() -> Iterator[str]:
    health, now = look(), timezone.now()
    counted = {name: each.count for name, each in counts().items()}
    attention = dict(Saga.objects.at_attention().values_list("attention").annotate(n=Count("pk")).order_by())
    due = Due.objects.filter(due_at__lte=now, paused=False, lease_token__isnull=True)
    by_queue = dict(due.values_list("queue").annotate(n=Count("pk")).order_by())
    yield from _gauge(
        "sagadesk_sagas",
        "Sagas by state; 10001 means more than 10000.",
        {f'{{state="{s.value}"}}': counted[s.value] for s in SagaState},
    )
    yield from _gauge("sagadesk_sagas_paused", "Paused sagas.", {"": counted["paused"]})
    yield from _gauge(
        "sagadesk_attention",
        "Sagas that need a person.",
        {_label("code", c): n for c, n in attention.items()},
    )
    yield from _gauge(
        "sagadesk_due", "Work that is due.", {_label("queue", q): n for q, n in by_queue.items()}
    )
    yield from _gauge(
        "sagadesk_queue_paused",
        "1 for each queue that an operator has paused.",
        {_label("queue", pause.queue): 1 for pause in health["queues_paused"]},
    )
    going = Batch.objects.filter(ended_at=None, state__in=[Batch.RUNNING, Batch.PAUSED])
    yield from _gauge(
        "sagadesk_batches",
        "Batches that run, and that are paused.",
        {_label("state", state): n for state, n in Counter(going.values_list("state", flat=True)).items()},
    )
    yield from _gauge(
        "sagadesk_undelivered",
        "Deliveries to hooks and subscribers that keep failing; of 1000 that are read.",
        {_label("called", each.called): each.count for each in undelivered()},
    )
    yield from _alerts()
    oldest = health["oldest_due_seconds"] or 0
    text = "How long the oldest work has been due, on queues that are not paused."
    yield from _gauge("sagadesk_oldest_due_seconds", text, {"": oldest})
    yield from _gauge("sagadesk_workers_alive", "Workers.", {"": health["workers_alive"]})
    yield from _gauge("sagadesk_clock_alive", "1 if a clock is alive.", {"": int(health["clock"])})
    yield from _gauge(
        "sagadesk_database_full", "1 if the database's disk is full.", {"": int(health["full"])}
    )
    yield from _gauge("sagadesk_redis_up", "1 if Redis answers.", {"": int(health["redis"])})


def _alerts() -> Iterator[str]:
    """Tell of what asks for a person, and of whom that cannot be told."""
    read = Alert.objects.filter(resolved_at=None).values_list("kind", "taken_name")[:MOST_ALERTS]
    alerts = list(read)
    kinds = Counter(kind for kind, _ in alerts)
    yield from _gauge(
        "sagadesk_alerts_open",
        "Alerts that are not over; of 1000 that are read.",
        {_label("kind", kind): kinds[kind] for kind in AlertKind},
    )
    untaken = sum(not taken for _, taken in alerts)
    yield from _gauge("sagadesk_alerts_untaken", "Those of them that nobody is on.", {"": untaken})
    yield from _gauge(
        "sagadesk_alert_channel_failing",
        "1 for each channel that does not take what it is told.",
        {_label("channel", channel): 1 for channel in failing()},
    )


def _label(name: str, value: str) -> str:
    """Write a label as Prometheus reads it."""
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{{{name}="{escaped}"}}'


def _gauge(name: str, text: str, values: dict[str, Any]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
    for labels, value in values.items():
        yield f"{name}{labels} {value}"
