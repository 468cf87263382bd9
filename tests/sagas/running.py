"""Running sagas in a test, and what must be true of their rows whenever they rest."""

import pytest
from django.db.models.functions import Now

from sagas.engine import Pump
from sagas.models import Due, Saga
from sagas.orchestrator import loading
from tests.folding import folded


def run(pump: Pump) -> None:
    pump.run(budget=30)


def rest(pump: Pump, saga: Saga) -> Saga:
    """Run until the saga is at rest, making every back-off due at once."""
    for _ in range(30):
        run(pump)
        saga.refresh_from_db()
        waiting = Due.objects.filter(saga=saga, paused=False)
        if not waiting.exists():
            return saga
        waiting.update(due_at=Now())
    raise AssertionError(f"{saga} does not come to rest: {list(waiting.values())}")


def assert_rows_are_the_fold(saga: Saga) -> None:
    (held,) = loading.read([saga.pk])
    assert held.progress == folded(saga)


def at_once(pump: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let handlers end as they begin, so that how outcomes are grouped is no matter of chance."""
    monkeypatch.setattr(pump._slots, "run", lambda function, done: done(function(), None))
