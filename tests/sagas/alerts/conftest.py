"""What the tests of alerts share: a time that they set, a channel that remembers, and processes that are alive."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from sagas import clock, orchestrator
from sagas.alerts import looking, telling
from sagas.engine import Pump
from sagas.models import Process, Saga
from tests.sagas import shop
from tests.sagas.alerts.listening import LISTEN, faults, heard, refused
from tests.sagas.running import run


class Time:
    """The database's, as who looks and tells sees it."""

    def __init__(self) -> None:
        self.now = clock.database_now()

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch, db: None) -> Time:
    made = Time()
    monkeypatch.setattr(looking, "database_now", made)
    monkeypatch.setattr(telling, "database_now", made)
    return made


@pytest.fixture
def told(settings: Any) -> Iterator[list[dict[str, Any]]]:
    """Everything that the channel ``pager`` was told so far."""
    settings.SAGAS = {"ALERTS": {"pager": {"call": LISTEN}}, "DESK_URL": "https://desk.example"}
    heard.clear()
    faults.clear()
    yield heard
    faults.clear()
    refused.clear()


@pytest.fixture
def alive(db: None) -> None:
    """Let a worker that serves all, and a clock, be alive."""
    now = clock.database_now() + timedelta(seconds=5)
    for kind, queues in (
        (Process.WORKER, ["fetch", "pay", "post", "events", "waits", "default"]),
        (Process.CLOCK, []),
    ):
        Process.objects.create(
            name=kind, kind=kind, queues=queues, host="here", pid=1, started_at=now, seen_at=now
        )


@pytest.fixture
def stuck(errand: Any, pump: Pump, world: shop.World) -> Callable[..., Saga]:
    """Make a saga that is held, since its payment was refused."""

    def make(**data: Any) -> Saga:
        world.behaviour["PayService.Pay"] = shop.reject("no funds on card 4000-1234")
        saga = errand(hold=True, **data)
        run(pump)
        del world.behaviour["PayService.Pay"]
        saga.refresh_from_db()
        assert saga.attention == "held"
        return saga

    return make


@pytest.fixture
def mend(asked: Any, pump: Pump) -> Callable[[Saga], None]:
    """Retry what is stuck, and have it go well."""

    def retry(saga: Saga) -> None:
        orchestrator.act(saga.pk, "retry", asked(step="pay"))
        run(pump)

    return retry
