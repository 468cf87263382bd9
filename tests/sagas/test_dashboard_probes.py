"""What monitoring sees: healthz, readyz and metrics."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from sagas.dashboard import metrics
from sagas.dashboard.views import probes
from sagas.models import Process, Saga, Token

pytestmark = pytest.mark.django_db(transaction=True)


def test_healthz_asks_nobody(client: Client, django_assert_num_queries: Any, db: None) -> None:
    with django_assert_num_queries(0):
        assert client.get("/healthz").status_code == 200


def test_readyz_says_what_is_missing(client: Client, db: None) -> None:
    response = client.get("/readyz")
    assert (response.status_code, response.json()["missing"]) == (503, ["worker", "clock"])
    now = timezone.now()
    for kind, seen in (("worker", now), ("clock", now - timedelta(minutes=5))):
        Process.objects.create(name=kind, kind=kind, host="h", pid=1, started_at=now, seen_at=seen)
    assert client.get("/readyz").json()["missing"] == ["clock"]
    Process.objects.update(seen_at=timezone.now())
    assert client.get("/readyz").status_code == 200


def test_readyz_waits_for_migrations(client: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_unmigrated", lambda: True)
    assert client.get("/readyz").json()["missing"] == ["migrations"]


def test_a_label_is_escaped_as_prometheus_reads_it() -> None:
    assert metrics.label("queue", 'a"b\\c\n') == '{queue="a\\"b\\\\c\\n"}'


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_who_posts_is_told_that_one_does_not(path: str) -> None:
    assert Client(enforce_csrf_checks=True).post(path).status_code == 405


def test_that_it_is_migrated_is_looked_at_again_and_again(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes._unmigrated, "looked", None, raising=False)
    plans: list[list[Any]] = [[], ["a migration"]]
    monkeypatch.setattr(probes.MigrationExecutor, "migration_plan", lambda *_: plans[0])
    assert "migrations" not in client.get("/readyz").json().get("missing", [])
    plans.pop(0)
    assert "migrations" not in client.get("/readyz").json().get("missing", [])
    monkeypatch.setattr(probes, "MIGRATED_FOR", 0.0)
    assert client.get("/readyz").json()["missing"] == ["migrations"]


def test_metrics_need_a_token_or_a_session(client: Client, held: Saga, operator: Any) -> None:
    assert client.get("/metrics", headers={"Accept": "text/html,*/*;q=0.8"}).status_code == 302
    scraped = client.get("/metrics", headers={"Accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"})
    assert (scraped.status_code, scraped["WWW-Authenticate"]) == (401, "Bearer")
    assert scraped["Content-Type"].startswith("text/plain")
    unknown = client.get("/metrics", headers={"Authorization": "Bearer wrong"})
    assert unknown.status_code == 401
    same = client.get("/api/v1/sagas", headers={"Authorization": "Bearer wrong"})
    assert unknown["WWW-Authenticate"] == same["WWW-Authenticate"], "a token is read alike everywhere"
    nobody = Token.issue(get_user_model().objects.create_user("nobody"))
    assert client.get("/metrics", headers={"Authorization": f"Bearer {nobody}"}).status_code == 403
    page = client.get(
        "/metrics", headers={"Authorization": f"Bearer {Token.issue(operator)}"}
    ).content.decode()
    assert 'sagadesk_sagas{state="pending"} 1' in page
    assert 'sagadesk_attention{code="held"} 1' in page
    assert "sagadesk_workers_alive 0" in page
