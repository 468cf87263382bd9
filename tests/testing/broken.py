"""A small shop with tables of the project's own, whose one undo is broken in a way that a test chooses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import F

from participants.models import Account, ClosedRegion, PaymentInbox
from sagas import SagaOrchestrator, SagaStep, command, registry
from sagas.core import answers
from sagas.inbox import once

PRICE = 100


@once(PaymentInbox)
def take_place(order: Any) -> dict[str, Any]:
    ClosedRegion.objects.create(name="seat 1")
    return {"seat": "seat 1"}


@once(PaymentInbox)
def free_place(undo: Any) -> None:
    ClosedRegion.objects.filter(name="seat 1").delete()


@once(PaymentInbox)
def charge(order: Any) -> dict[str, Any]:
    _pay(-PRICE)
    return {"account": "card", "amount": PRICE}


@once(PaymentInbox)
def refund(undo: Any) -> None:
    _pay(PRICE)


@once(PaymentInbox)
def mail(order: Any) -> None:
    """Nothing that lasts."""


def is_charged(probe: Any) -> None:
    """What the inbox remembers; or that nothing has arrived."""
    entry = PaymentInbox.objects.filter(key=probe.meta.key).first()
    if entry is None:
        raise answers.NoSuchCommand
    return entry.answer()


def break_down(probe: Any) -> None:
    raise ConnectionError("nobody there")


def _pay(cents: int) -> None:
    Account.objects.filter(method="card").update(balance_cents=F("balance_cents") + cents)


class Booking(SagaOrchestrator):
    """Take a place, charge for it, write a mail."""

    saga_type = "Booking"
    sample_data = {"order_id": "B-1"}

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [
            SagaStep("place", "BookingService.Take", "BookingService.Free"),
            SagaStep("charge", "BookingService.Charge", "BookingService.Refund"),
            SagaStep("mail", "BookingService.Mail"),
        ]

    def drill_setup(self) -> None:
        Account.objects.create(method="card", holder="ada", opening_cents=1000, balance_cents=1000)


HANDLERS = {
    "BookingService.Take": take_place,
    "BookingService.Free": free_place,
    "BookingService.Charge": charge,
    "BookingService.Refund": refund,
    "BookingService.Mail": mail,
    "BookingService.IsCharged": is_charged,
    "BookingService.Break": break_down,
}


for _name, _function in HANDLERS.items():
    command(_name, queue="default")(_function)


@contextmanager
def participants(**others: Callable[[Any], Any]) -> Iterator[None]:
    """Let others handle some commands for a while: ``Refund=function``."""
    names = [f"BookingService.{name}" for name in others]
    kept = {name: registry._commands.pop(name) for name in names}
    for name, function in zip(names, others.values(), strict=True):
        command(name, queue="default")(function)
    try:
        yield
    finally:
        registry._commands.update(kept)
