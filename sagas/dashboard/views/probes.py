"""What monitoring asks: is the process up, can sagas move, and the figures for Prometheus."""

import time
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from sagas.dashboard.access import View
from sagas.dashboard.metrics import lines
from sagas.health import health as look
from sagas.models import Token
from sagas.models.token import UnknownToken
from sagas.orchestrator import SEE


@csrf_exempt  # so that who posts is told that one does not
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers; it asks nobody else."""
    return JsonResponse({"status": "ok"})


@csrf_exempt
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


#: Seconds for which a database that was migrated counts as such: to ask reads every migration there is.
MIGRATED_FOR = 30.0


def _unmigrated() -> bool:
    looked = getattr(_unmigrated, "looked", None)
    if looked is None or time.monotonic() - looked >= MIGRATED_FOR:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        _unmigrated.looked = None if plan else time.monotonic()  # type: ignore[attr-defined]
        return bool(plan)
    return False


def _plain(text: str, status: int, challenge: str = "") -> HttpResponse:
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    return HttpResponse(f"{text}\n", status=status, headers=headers, content_type="text/plain; charset=utf-8")


def for_scrapers(view: View) -> View:
    """Open a page to a bearer token or a session whose user may see sagas."""

    @wraps(view)
    def closed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            user = Token.bearer(request.headers.get("Authorization", "")) or request.user
        except UnknownToken as unknown:
            return _plain("unknown token", 401, challenge=unknown.challenge)
        if not user.is_authenticated and "text/html" in request.headers.get("Accept", ""):
            return redirect_to_login(request.get_full_path())
        if not user.is_authenticated:  # a scraper would follow it, and read a page for people
            return _plain("a bearer token is needed: manage.py saga token USER", 401, challenge="Bearer")
        if not user.has_perm(SEE):
            return _plain(f"this user lacks the permission {SEE}", 403)
        return view(request, *args, **kwargs)

    return closed


@csrf_exempt
@require_safe
@for_scrapers
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' text format."""
    return HttpResponse("\n".join(lines()) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")
