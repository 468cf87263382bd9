"""What monitoring asks: is the process up, can sagas move, and the figures for Prometheus."""

from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from sagas.dashboard.access import View
from sagas.dashboard.metrics import lines
from sagas.health import health as look
from sagas.models import Token
from sagas.models.token import UnknownToken
from sagas.orchestrator import SEE


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
        try:
            user = Token.bearer(request.headers.get("Authorization", "")) or request.user
        except UnknownToken as unknown:
            return HttpResponse(
                "unknown token\n", status=401, headers={"WWW-Authenticate": unknown.challenge}
            )
        if not user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not user.has_perm(SEE):
            return HttpResponse("forbidden\n", status=403)
        return view(request, *args, **kwargs)

    return closed


@require_safe
@for_scrapers
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' text format."""
    return HttpResponse("\n".join(lines()) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")
