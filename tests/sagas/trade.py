"""A small choreography for tests: a clerk who decides, a store and a bank whose behaviour a test scripts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sagas import Choreography, Reaction, Retry, SagaContext, publish, subscribe

QUICK = Retry(max_attempts=3, first=0.0)


class Trade(Choreography):
    """Goods for money, or neither."""

    saga_type = "Trade"
    sample_data = {"item": "book"}
    first_event = "TradeAgreed"
    completed_events = ("TradeDone",)
    failed_events = ("TradeOff",)
    turning_events = ("GoodsMissing", "MoneyRefused")
    compensation_event = "TradeCancelled"

    def define_steps(self, data: dict[str, Any]) -> list[Reaction]:
        """Return what the clerk, the store and the bank do."""
        asks = ("GoodsAsked", "MoneyAsked", "GoodsReturnAsked")
        return [
            Reaction("agreed", on="TradeAgreed", by="clerk", publishes="GoodsAsked"),
            Reaction(
                "take", on="GoodsAsked", by="store", publishes=("GoodsTaken", "GoodsMissing"), retry=QUICK
            ),
            Reaction("taken", on="GoodsTaken", by="clerk", may_publish=asks),
            Reaction(
                "pay", on="MoneyAsked", by="bank", publishes=("MoneyTaken", "MoneyRefused"), retry=QUICK
            ),
            Reaction("paid", on="MoneyTaken", by="clerk", publishes="TradeDone"),
            Reaction("missing", on="GoodsMissing", by="clerk", publishes="TradeOff"),
            Reaction("refused", on="MoneyRefused", by="clerk", publishes="GoodsReturnAsked"),
            Reaction("cancelled", on="TradeCancelled", by="clerk", may_publish=(*asks, "TradeOff")),
            Reaction(
                "give_back",
                on="GoodsReturnAsked",
                by="store",
                publishes="GoodsReturned",
                compensates="take",
                retry=QUICK,
            ),
            Reaction("given_back", on="GoodsReturned", by="clerk", publishes="TradeOff"),
        ]


class World:
    """What becomes of each event, and of which there was a delivery, in order."""

    def __init__(self) -> None:
        self.heard: list[SagaContext] = []
        self.behaviour: dict[str, Callable[[SagaContext], Any]] = {}

    def __call__(self, context: SagaContext) -> Any:
        self.heard.append(context)
        return self.behaviour.get(context.event, ANSWERS.get(context.event, _nothing))(context)

    @property
    def events(self) -> list[str]:
        """The events that were delivered, in order."""
        return [context.event for context in self.heard]


def tells(event: str, **data: Any) -> Callable[[SagaContext], Any]:
    """Return a behaviour that publishes an event."""

    def behave(_: SagaContext) -> Any:
        publish(event, data)
        return {"told": event}

    return behave


def _nothing(_: SagaContext) -> None:
    return None


ANSWERS = {
    "TradeAgreed": tells("GoodsAsked"),
    "GoodsAsked": tells("GoodsTaken", parcel=7),
    "GoodsTaken": tells("MoneyAsked", amount=20),
    "MoneyAsked": tells("MoneyTaken"),
    "MoneyTaken": tells("TradeDone"),
    "GoodsMissing": tells("TradeOff"),
    "MoneyRefused": tells("GoodsReturnAsked"),
    "TradeCancelled": tells("GoodsReturnAsked"),
    "GoodsReturnAsked": tells("GoodsReturned"),
    "GoodsReturned": tells("TradeOff"),
}
HEARS = {
    "clerk": (
        "TradeAgreed",
        "GoodsTaken",
        "MoneyTaken",
        "GoodsMissing",
        "MoneyRefused",
        "TradeCancelled",
        "GoodsReturned",
    ),
    "store": ("GoodsAsked", "GoodsReturnAsked"),
    "bank": ("MoneyAsked",),
}
_world = World()


def _listen(name: str) -> None:
    def hear(context: SagaContext) -> Any:
        return _world(context)

    hear.__qualname__ = f"hear:{name}"
    for event in HEARS[name]:
        subscribe(event, name=name, inbox=True)(hear)


for _name in HEARS:
    _listen(_name)


@contextmanager
def world() -> Iterator[World]:
    """Give a test a world of its own."""
    global _world
    _world = World()
    yield _world
