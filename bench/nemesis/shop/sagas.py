"""Sagas of a chain, of branches, of participants without an inbox and elsewhere. All effects are told outside."""

import random
import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar

from bench.nemesis import wire
from bench.nemesis.shop.asking import LEDGER, ONCE, USUAL, question, result
from bench.nemesis.shop.delivery import Delivery  # noqa: F401 - found in this module, as all sagas of an app are
from bench.nemesis.shop.models import Points, PointsInbox
from bench.nemesis.shop.round import Round  # noqa: F401 - as above
from bench.nemesis.shop.tour import Holiday, tour  # noqa: F401 - as above
from sagas import SagaOrchestrator, SagaStep, command
from sagas.inbox import once


def step(name: str, service: str, **options: Any) -> SagaStep:
    """Return a step whose action and undo are a service's ``Do`` and ``Undo``."""
    return SagaStep(name, f"{service}.Do", f"{service}.Undo", **{**USUAL, **options})


class Chain(SagaOrchestrator):
    """One step after the other."""

    saga_type = "ChaosChain"
    sample_data: ClassVar = {"order": "o-1"}

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Reserve, charge, give points, ship."""
        return [
            step("reserve", "StockService"),
            step("charge", "MoneyService"),
            step("points", "PointsService"),
            step("ship", "ShipService"),
        ]


class Fork(SagaOrchestrator):
    """Two branches, a point of no return, and what can only succeed behind it."""

    saga_type = "ChaosFork"
    sample_data: ClassVar = {"order": "o-1"}

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Book flight and hotel side by side, pay, issue the ticket."""
        return [
            step("flight", "StockService", needs=()),
            step("hotel", "ShipService", needs=()),
            step("pay", "MoneyService", needs=("flight", "hotel"), pivot=True),
            step("ticket", "TicketService", retriable=True),
        ]


class Stairs(SagaOrchestrator):
    """One branch goes on while the other may still be refused: what is due by then is somebody else's to call."""

    saga_type = "ChaosStairs"
    sample_data: ClassVar = {"order": "o-1"}

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Book flight and hotel side by side, and a car and points as soon as there is a flight."""
        return [
            step("flight", "StockService", needs=()),
            step("hotel", "ShipService", needs=()),
            step("car", "MoneyService", needs=("flight",)),
            step("points", "PointsService", needs=("flight",)),
        ]


class Courier(SagaOrchestrator):
    """A participant that remembers nothing stands in the middle."""

    saga_type = "ChaosCourier"
    sample_data: ClassVar = {"order": "o-1"}

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Reserve, send the courier, who is not asked twice, charge."""
        return [
            step("reserve", "StockService"),
            step("courier", "CourierService", retry=ONCE),
            step("charge", "MoneyService"),
        ]


class Parcel(SagaOrchestrator):
    """A participant elsewhere, reached by HTTP, stands in the middle."""

    saga_type = "ChaosParcel"
    sample_data: ClassVar = {"order": "o-1"}

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Reserve, hand it to the outpost, charge."""
        return [
            step("reserve", "StockService"),
            step("parcel", "OutpostService"),
            step("charge", "MoneyService"),
        ]


def _served(service: str, *, plain: bool = False, refusable: bool = True, soon: bool = False) -> None:
    """Register a service whose every command is a call to the ledger, plain or in an event loop."""

    def call(given: Any) -> Any:
        return result(wire.ask(LEDGER, question(given, plain=plain, refusable=refusable)))

    async def call_soon(given: Any) -> Any:
        return result(await wire.ask_soon(LEDGER, question(given, plain=plain, refusable=refusable)))

    for verb in ("Do", "Undo"):
        command(f"{service}.{verb}", inbox=not plain)(call_soon if soon else call)


_served("StockService")
_served("MoneyService")
_served("ShipService", soon=True)
_served("TicketService", refusable=False)
_served("CourierService", plain=True)


def _late(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let a handler begin a moment late, so that something can happen to its worker before it does anything."""

    @wraps(handler)
    def later(given: Any) -> Any:
        time.sleep(random.uniform(0, 0.2))
        return handler(given)

    return later


@command("PointsService.Do")
@_late
@once(PointsInbox)
def give_points(given: Any) -> dict[str, int]:
    """Give points."""
    Points.objects.create(key=given.meta.key, saga=given["saga_id"], step=given["step_name"], points=10)
    return {"points": 10}


@command("PointsService.Undo")
@_late
@once(PointsInbox)
def take_points_back(given: Any) -> dict[str, int]:
    """Take them back."""
    Points.objects.create(key=given.meta.key, saga=given["saga_id"], step=given["step_name"], points=-10)
    return {"points": -10}
