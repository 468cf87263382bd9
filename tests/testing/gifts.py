"""A small choreography with tables of the project's own; a test may break one of its reactions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from participants.models import Account, PaymentInbox
from sagas import Choreography, Reaction, Retry, SagaContext, publish, registry, subscribe
from sagas.inbox import once
from tests.testing.broken import PRICE, _pay

TWICE = Retry(max_attempts=2, first=1.0)


class GiftRound(Choreography):
    """Wrap a gift for money, and deliver it; or give the money back."""

    saga_type = "DrilledGifts"
    sample_data = {"to": "Ada"}
    first_event = "DrilledGiftOrdered"
    completed_events = ("DrilledGiftDelivered",)
    failed_events = ("DrilledGiftUnwrapped",)
    turning_events = ("DrilledGiftRefused",)
    compensation_event: Any = "DrilledGiftCalledOff"

    def define_steps(self, data: dict[str, Any]) -> list[Reaction]:
        ends = ("DrilledGiftDelivered", "DrilledGiftRefused")
        return [
            _on("wrap", "Ordered", "wrapper", "DrilledGiftWrapped"),
            _on("deliver", "Wrapped", "courier", ends),
            _on("unwrap", "Refused", "wrapper", "DrilledGiftUnwrapped", compensates="wrap"),
            *(
                [_on("call_off", "CalledOff", "courier", "DrilledGiftRefused")]
                if self.compensation_event
                else []
            ),
        ]

    def drill_setup(self) -> None:
        Account.objects.create(method="card", holder="ada", opening_cents=1000, balance_cents=1000)


def _on(name: str, event: str, by: str, publishes: Any, **more: Any) -> Reaction:
    return Reaction(name, on=f"DrilledGift{event}", by=by, publishes=publishes, retry=TWICE, **more)


@once(PaymentInbox)
def wrap(context: SagaContext) -> None:
    _pay(-PRICE)
    publish("DrilledGiftWrapped", {"paper": "red"})


@once(PaymentInbox)
def deliver(context: SagaContext) -> None:
    off = "DrilledGiftCalledOff" in context.published
    publish("DrilledGiftRefused" if off else "DrilledGiftDelivered")


@once(PaymentInbox)
def unwrap(context: SagaContext) -> None:
    _pay(PRICE)
    publish("DrilledGiftUnwrapped")


@once(PaymentInbox)
def call_off(context: SagaContext) -> None:
    if "DrilledGiftRefused" not in context.published:
        publish("DrilledGiftRefused", {"reason": context.data["reason"]})


HEARS = {
    "wrap": ("DrilledGiftOrdered", "wrapper", wrap),
    "deliver": ("DrilledGiftWrapped", "courier", deliver),
    "unwrap": ("DrilledGiftRefused", "wrapper", unwrap),
    "call_off": ("DrilledGiftCalledOff", "courier", call_off),
}
for _event, _name, _function in HEARS.values():
    subscribe(_event, name=_name, inbox=True)(_function)


@contextmanager
def reacting(**others: Callable[[Any], Any]) -> Iterator[None]:
    """Let other functions react for a while: ``unwrap=function``."""
    kept = {}
    for step, function in others.items():
        event, name, _ = HEARS[step]
        command = f"{name} on {event}"
        kept[command] = registry._commands.pop(command)
        registry.command(command)(function)
    try:
        yield
    finally:
        registry._commands.update(kept)
