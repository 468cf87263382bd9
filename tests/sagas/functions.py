"""Durable functions for tests, over the services of :mod:`tests.sagas.shop`; a test says what each of them does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sagas import durable_saga
from tests.sagas.shop import QUICK

Body = Callable[[Any, Any], Any]
COMMON: dict[str, Any] = {"retry": QUICK, "undo_retry": QUICK}
ended: list[Any] = []


def fetch(saga: Any, name: str = "fetch", **more: Any) -> Any:
    """Ask for a step that can be undone."""
    return saga.step(name, "FetchService.Fetch", undo="FetchService.Return", **{**COMMON, **more})


def pay(saga: Any, name: str = "pay", **more: Any) -> Any:
    """Ask for another."""
    return saga.step(name, "PayService.Pay", undo="PayService.Refund", **{**COMMON, **more})


def post(saga: Any, name: str = "post", **more: Any) -> Any:
    """Ask for one that has nothing to undo."""
    return saga.step(name, "PostService.Post", **{**COMMON, **more})


def errand(saga: Any, data: Any) -> Any:
    """Fetch, pay and post, one after the other."""
    fetched = fetch(saga)
    paid = pay(saga, input={"fetched": fetched})
    post(saga)
    return {"paid": paid, "item": data["item"]}


async def awaited_errand(saga: Any, data: Any) -> Any:
    """Fetch and post, one after the other."""
    await fetch(saga)
    return await post(saga)


class _Bodies:
    plain: Body = staticmethod(errand)
    awaited: Body = staticmethod(awaited_errand)


bodies = _Bodies()


@durable_saga("Errands", retry=QUICK, sample_data={"item": "book"}, on_saga_completed=ended.append)
def errands(saga: Any, data: Any) -> Any:
    """Do what the test says."""
    return bodies.plain(saga, data)


@durable_saga("AwaitedErrands", retry=QUICK, sample_data={"item": "book"})
async def awaited_errands(saga: Any, data: Any) -> Any:
    """Do what the test says."""
    return await bodies.awaited(saga, data)


@durable_saga("HeldErrands", retry=QUICK, hold_on_failure=True)
def held_errands(saga: Any, data: Any) -> Any:
    """Hold whatever fails."""
    return bodies.plain(saga, data)


@contextmanager
def doing(body: Body) -> Iterator[None]:
    """Have the functions do this."""
    before = bodies.plain, bodies.awaited
    bodies.plain = bodies.awaited = body
    try:
        yield
    finally:
        bodies.plain, bodies.awaited = before
