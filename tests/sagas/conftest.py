"""What the tests of the orchestrator and the engine share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from sagas.engine import Pump
from sagas.models import Saga
from sagas.orchestrator import Asked, loading
from tests.sagas import shop
from tests.sagas.running import rest
from tests.shell import Run, shell

QUEUES = ("fetch", "pay", "post", "default", "events")


@pytest.fixture
def world() -> Iterator[shop.World]:
    """The services of one test."""
    with shop.world() as made:
        yield made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``manage.py saga …`` as a shell does."""
    return shell(capsys, monkeypatch)


@pytest.fixture
def pump() -> Pump:
    """A pump that serves everything, as one worker would."""
    return Pump(QUEUES, "test-worker")


@pytest.fixture
def errand(world: shop.World) -> Callable[..., Saga]:
    """Start an errand."""
    return lambda **data: shop.Errand().start({"item": "book", **data})


@pytest.fixture
def operator(db: None) -> Any:
    """A superuser."""
    return get_user_model().objects.create_superuser("olga", password="x")


@pytest.fixture
def desk(client: Client, operator: Any) -> Client:
    """A browser in which the operator is logged in."""
    client.force_login(operator)
    return client


@pytest.fixture
def held(errand: Any, pump: Pump, world: shop.World) -> Saga:
    """A saga that is held at its second step."""
    world.behaviour["PayService.Pay"] = shop.reject("broke")
    return rest(pump, errand(hold=True))


@pytest.fixture
def asked(operator: Any) -> Callable[..., Asked]:
    """Ask as that operator."""
    return lambda **more: Asked(**{"operator": operator, "via": "desk", "reason": "because", **more})


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Which sagas were read."""
    reads: list[Any] = []
    held_from = loading.held_from

    def counted(saga: Any, *rest: Any) -> Any:
        reads.append(saga["id"])
        return held_from(saga, *rest)

    monkeypatch.setattr(loading, "held_from", counted)
    return reads


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Which sagas were locked."""
    locks: list[Any] = []
    lock = loading.lock

    def noted(ids: Any) -> Any:
        locks.append(ids)
        return lock(ids)

    monkeypatch.setattr(loading, "lock", noted)
    return locks
