"""What a handler's model refuses was never done; what an earlier attempt was answered still counts."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from participants.models import PaymentInbox
from sagas import Rejected, Retry, SagaOrchestrator, SagaStep, command
from sagas.engine import Pump, call, claims, reap
from sagas.inbox import once
from sagas.models import Due
from tests.sagas.running import rest

pytestmark = pytest.mark.django_db(transaction=True)

QUICK = Retry(max_attempts=3, first=0.0)
#: What the handlers did, and what the model takes.
done: list[str] = []
strict: list[str] = []


class Card(BaseModel):
    """A card that is taken until a deploy, or time, makes the model stricter."""

    card: str

    @field_validator("card")
    @classmethod
    def taken(cls, card: str) -> str:
        """Refuse what is refused by now."""
        if card in strict:
            raise ValueError("it has expired")
        return card


@command("CardService.Charge", model=Card)
@once(PaymentInbox)
def charge(sent: Any) -> dict[str, str]:
    """Charge the card."""
    done.append(f"charge {sent.input.card}")
    return {"charged": sent.input.card}


@command("CardService.Refund", model=Card)
@once(PaymentInbox)
def refund(sent: Any) -> dict[str, bool]:
    """Give it back."""
    done.append(f"refund {sent.input.card}")
    return {"refunded": True}


@command("BareService.Charge", model=Card)
def bare(sent: Any) -> None:
    """Charge without remembering."""
    done.append(f"bare {sent.input.card}")


@command("CardService.Ship")
def ship(sent: Any) -> None:
    """Refuse."""
    raise Rejected("no way")


@command("BareService.Ask", model=Card)
def ask(sent: Any) -> None:
    """Tell what became of it."""


class Purchase(SagaOrchestrator):
    """Charge a card, and perhaps fail behind it."""

    saga_type = "Purchase"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return what the data asks for."""
        how: dict[str, Any] = {"retry": QUICK, "undo_retry": QUICK}
        if data.get("bare"):
            return [SagaStep("charge", "BareService.Charge", probe=data.get("probe"), **how)]
        steps = [SagaStep("charge", "CardService.Charge", "CardService.Refund", **how)]
        return [*steps, SagaStep("ship", "CardService.Ship", **how)] if data.get("fails") else steps


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nothing was done, and everything is taken."""
    done.clear()
    strict.clear()
    yield
    strict.clear()


@pytest.fixture
def pump() -> Pump:
    return Pump(("card", "bare"), "test-worker")


def lost(queue: str) -> None:
    """Have a worker do what is due, and die before it says so."""
    (work,) = claims.claim([queue], 1, "dying")
    function, argument, _ = call.call_of(work)
    function(argument)
    Due.objects.update(lease_until="2020-01-01T00:00Z")
    assert reap() == 1
    Due.objects.update(due_at="2020-01-01T00:00Z")


def test_what_the_model_refuses_is_rejected(pump: Pump) -> None:
    strict.append("ada")
    saga = rest(pump, Purchase().start({"card": "ada"}))
    assert (saga.state, done) == ("failed", [])
    assert "it has expired" in str(saga.error)
    assert PaymentInbox.objects.get().outcome == "rejected", "its inbox remembers that, too"


def test_an_effect_of_an_attempt_before_is_known_to_the_inbox(pump: Pump) -> None:
    saga = Purchase().start({"card": "ada"})
    lost("card")
    strict.append("ada")
    saga = rest(pump, saga)
    assert (saga.state, done) == ("completed", ["charge ada"])


def test_an_undo_that_was_done_is_not_done_again(pump: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    saga = Purchase().start({"card": "ada", "fails": True})
    monkeypatch.setattr(pump, "_take_on", lambda queue, now, timeout: None)  # each is claimed for itself
    while not Due.objects.filter(direction="undo").exists():
        pump._more = True
        pump._fill()
        pump._harvest(claiming=False, end=0)
    lost("card")
    strict.append("ada")
    saga = rest(pump, saga)
    assert (saga.state, done) == ("failed", ["charge ada", "refund ada"])


def test_without_a_memory_an_effect_of_an_attempt_before_is_asked_about(pump: Pump) -> None:
    saga = Purchase().start({"card": "ada", "bare": True})
    lost("bare")
    strict.append("ada")
    saga = rest(pump, saga)
    assert (saga.state, saga.attention, done) == ("pending", "outcome_unknown", ["bare ada"])


def test_a_probe_that_cannot_be_asked_is_no_answer(pump: Pump) -> None:
    saga = Purchase().start({"card": "ada", "bare": True, "probe": "BareService.Ask"})
    lost("bare")
    strict.append("ada")
    saga = rest(pump, saga)
    assert (saga.state, saga.attention) == ("pending", "misconfigured")
