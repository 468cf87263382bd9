"""A stocked shop, and a way to send its services commands as the engine would."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.db.models import Model
from django.db.models.functions import Now
from django.utils import timezone

from participants import faults, opening
from participants.demos import ORDER, REFUND, SUBSCRIPTION, TRIP
from sagas.core.context import CommandInput, Meta
from sagas.core.flow import END
from sagas.engine import Pump, call
from sagas.engine.work import Work
from sagas.models import Due, Saga
from tests.waiting import until

QUEUES = (
    *("inventory", "payment", "shipping", "notification"),
    *("flight", "hotel", "car", "ticketing", "claims"),
    *("billing", "subscription", "events", "waits", "default"),
)

Send = Callable[..., Any]


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody sleeps in tests; what would have been slept is noted."""
    naps: list[float] = []
    monkeypatch.setattr(faults, "sleep", naps.append)
    return naps


@pytest.fixture(scope="session")
def opened(django_db_setup: None, django_db_blocker: Any) -> dict[type[Model], list[Model]]:
    """The rows of a shop as it opens: to make them takes a hundred statements, to put them back a dozen."""
    books = [*apps.get_app_config("participants").get_models(), Group, Group.permissions.through]
    with django_db_blocker.unblock(), transaction.atomic():
        opening.seed()
        rows = {model: list(model._default_manager.all()) for model in books}
        transaction.set_rollback(True)
    return rows


@pytest.fixture
def shop(opened: dict[type[Model], list[Model]], db: None) -> None:
    """The shop as it opens."""
    with transaction.atomic():
        for model, rows in opened.items():
            model._default_manager.bulk_create(rows)


@pytest.fixture
def send(shop: None) -> Send:
    """Send a command to its service and return the result, or raise what the service raises."""
    return send_command


def send_command(
    name: str, key: str = "key", *, undoes: str | None = None, saga_id: UUID | None = None, **data: Any
) -> Any:
    """Call a handler with what the engine would give it; ``data`` is laid over an ordinary order, trip and refund."""
    meta = Meta(
        number=1,
        key=key,
        undoes=undoes,
        attempt=1,
        deadline=timezone.now() + timedelta(seconds=30),
        correlation_id="ORD-1",
        saga_id=str(saga_id or uuid4()),
        step="step",
        direction="undo" if undoes else "do",
    )
    values = {
        **REFUND.make(id="RFD-1"),
        **TRIP.make(id="TRIP-1", travellers=2, car="COMPACT"),
        "traveller": "Ada Lovelace",
        **SUBSCRIPTION.make(id="SUB-1", plan="PLUS"),
        "month": 1,
        **ORDER.make(id="ORD-1", customer_id="ada", items=[{"sku": "TEA-100", "quantity": 2}]),
        "saga_id": meta.saga_id,
        "step_name": meta.step,
        "results": {},
        **data,
    }
    work = Work(
        uuid4(), UUID(meta.saga_id), name, 1, 30.0, number=1, command=CommandInput(name, values, meta)
    )
    function, argument, _ = call.call_of(work)
    return function(argument)


@pytest.fixture
def pump() -> Pump:
    """A pump that serves every service of the shop."""
    return Pump(QUEUES, "test-worker")


@pytest.fixture
def rest(pump: Pump) -> Callable[[], None]:
    """Run all sagas until they are at rest, making every back-off due at once."""

    def until_rest() -> None:
        for _ in range(30):
            pump.run(budget=30)
            waiting = Due.objects.filter(paused=False).exclude(step=END)
            if not waiting.exists():
                return
            waiting.update(due_at=Now())
        raise AssertionError(f"these do not come to rest: {list(Saga.objects.active())}")

    return until_rest


@pytest.fixture
def late_answers(pump: Pump, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Services whose late answers come when the test is over."""
    over = threading.Event()

    def late(seconds: float) -> None:
        if seconds > faults.PATIENCE:
            connection.close()  # of this handler's thread, which the test's database would wait for
            over.wait(timeout=30)

    monkeypatch.setattr(faults, "sleep", late)
    monkeypatch.setattr(faults, "PATIENCE", 2.0)
    yield
    over.set()
    until(lambda: not pump.busy)


@pytest.fixture
def together() -> Callable[..., list[Any]]:
    """Run functions at the same moment, a thread each, and return what they returned or raised."""

    def run(*functions: Callable[[], Any]) -> list[Any]:
        barrier = threading.Barrier(len(functions))
        outcomes: list[Any] = [None] * len(functions)

        def one(at: int, function: Callable[[], Any]) -> None:
            barrier.wait(timeout=10)
            try:
                outcomes[at] = function()
            except Exception as raised:
                outcomes[at] = raised
            finally:
                connection.close()

        threads = [threading.Thread(target=one, args=pair) for pair in enumerate(functions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        return outcomes

    return run
