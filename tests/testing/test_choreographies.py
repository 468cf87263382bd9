"""The drill of choreographies: each delivery fails in each way, and the way back gives back what was taken."""

from typing import Any

import pytest
from django.db.models import F

from participants.models import Account, LedgerEntry
from participants.sagas import OrderChoreography
from sagas import Later, Reaction, SagaContext, publish, registry
from sagas.models import Due, Saga
from sagas.testing import CannotDrill, DrillFailed, drill
from sagas.testing.report import Drilled, Report
from tests.sagas import trade
from tests.testing.broken import PRICE, _pay
from tests.testing.gifts import GiftRound, PaymentInbox, once, reacting

pytestmark = pytest.mark.django_db

#: What differs between the databases is the drill's, and the others show it.
only_on_sqlite = pytest.mark.only_on("sqlite")


def verdicts(report: Report) -> dict[str, str]:
    return {each.point.name: each.verdict for each in report.drilled}


def test_each_delivery_is_drilled_on_the_way_on_and_on_the_way_back() -> None:
    report = drill(GiftRound)
    assert report.unreached == ()
    assert {each.point.step for each in report.drilled} == {"wrap", "deliver", "unwrap", "call_off"}
    became = verdicts(report)
    assert became["deliver: says no"] == "restored"
    assert became["wrap: compensate after"] == "restored"
    assert became["deliver: crash after the commit"] == became["deliver: resolve done"] == "completed"
    assert became["unwrap: duplicate delivery"] == became["call_off: pause"] == "restored"


@only_on_sqlite
def test_what_is_parked_is_said_to_be_parked_and_holds_once_it_is_retried() -> None:
    report = drill(GiftRound, only="unwrap")
    parked = {f"unwrap: {what}" for what in ("rejected", "unknown, with effect", "unknown, without effect")}
    assert {name for name, verdict in verdicts(report).items() if verdict == "asks"} >= parked
    lines = next(each.lines for each in report.drilled if each.point.failure == "rejected")
    assert "an operator: retry" in {line.what for line in lines}


def test_it_leaves_nothing_behind() -> None:
    drill(GiftRound, only="call_off")
    assert not Account.objects.exists()
    assert not Saga.objects.exists()
    assert not Due.objects.exists()


@once(PaymentInbox)
def _only_says_so(context: SagaContext) -> None:
    publish("DrilledGiftUnwrapped")


@once(PaymentInbox)
def _gives_too_little(context: SagaContext) -> None:
    _pay(PRICE - 1)
    publish("DrilledGiftUnwrapped")


@once(PaymentInbox)
def _never_says_so(context: SagaContext) -> None:
    _pay(PRICE)


def _pays_each_time(context: SagaContext) -> None:
    _pay(PRICE)
    publish("DrilledGiftUnwrapped")


@only_on_sqlite
@pytest.mark.parametrize(
    ("reaction", "point", "says"),
    [
        (_only_says_so, "deliver: says no", "balance_cents is 900, and should be 1000"),
        (_gives_too_little, "deliver: says no", "balance_cents is 999, and should be 1000"),
        (
            _never_says_so,
            "deliver: says no",
            "It stops for a person (expectation_missed) at unwrap: no DrilledGiftUnwrapped was published in time",
        ),
        (_pays_each_time, "unwrap: duplicate delivery", "balance_cents is 1100, and should be 1000"),
        (_pays_each_time, "unwrap: crash after commit 1 of 2", "balance_cents is 1100, and should be 1000"),
    ],
)
def test_a_broken_reaction_is_found(reaction: Any, point: str, says: str) -> None:
    with reacting(unwrap=reaction):
        report = drill(GiftRound, only=point.partition(":")[0], check=False)
    found = next(each for each in report.failing if each.point.name == point)
    trace = found.document()["trace"]
    assert says in trace
    assert "wrapper on DrilledGiftRefused" in trace
    assert "unwrap: duplicate delivery" not in verdicts(report) or "fails" not in verdicts(report).values()


def test_a_publication_outside_of_the_transaction_is_lost_with_its_process() -> None:
    """A reaction that commits its effect, and publishes afterwards, may die in between: the retry has to publish."""

    def forgetful(context: SagaContext) -> None:
        if _give_back_once(context):
            publish("DrilledGiftUnwrapped")

    @once(PaymentInbox)
    def remembered(context: SagaContext) -> None:
        _pay(PRICE)

    def _give_back_once(context: SagaContext) -> bool:
        new = not PaymentInbox.objects.filter(key=context.meta.key).exists()
        remembered(context)
        return new

    forgetful.saga_inbox = True  # type: ignore[attr-defined]
    with reacting(unwrap=forgetful):
        report = drill(GiftRound, only="unwrap", check=False)
    failing = {each.point.failure for each in report.failing}
    assert "crash after commit 1 of 2" in failing
    assert "crash before the commit" not in failing


@only_on_sqlite
def test_who_does_not_look_whether_it_was_called_off_is_found() -> None:
    def deliver(context: SagaContext) -> None:
        publish("DrilledGiftDelivered")

    with reacting(deliver=deliver):
        report = drill(GiftRound, only="wrap", check=False)
    assert "DrilledGiftDelivered was published, though it was on the way back" in str(report)


@only_on_sqlite
def test_a_choreography_that_cannot_be_called_off_is_drilled_by_its_noes_alone() -> None:
    class ForGood(GiftRound):
        saga_type = "DrilledGiftsForGood"
        first_event = "DrilledGiftOrdered"
        compensation_event = None

    report = drill(ForGood)
    assert not any("compensate" in each.point.failure for each in report.drilled)
    assert verdicts(report)["deliver: says no"] == "restored"
    assert verdicts(report)["wrap: skip"] == "asks"


class Slow(GiftRound):
    """What its subscribers take on for later, somebody does, unless it is undone by then."""

    saga_type = "DrilledGiftsSlow"

    def drill_reply(self, command: Any) -> None:
        off = "DrilledGiftCalledOff" in command.published
        refused = "DrilledGiftRefused" if off else "DrilledGiftDelivered"
        publish("DrilledGiftWrapped" if command.step == "wrap" else refused, saga_id=command.saga_id)


@once(PaymentInbox)
def _promises(context: SagaContext) -> Later:
    return Later(within=60)


@once(PaymentInbox)
def _calls_it_off(context: SagaContext) -> None:
    publish("DrilledGiftUnwrapped")


@only_on_sqlite
def test_what_is_published_from_outside_in_answer_to_a_promise_goes_on() -> None:
    with reacting(deliver=_promises):
        assert drill(Slow, only="deliver").ok


@only_on_sqlite
def test_a_promise_that_is_undone_is_kept_no_more() -> None:
    with reacting(wrap=_promises, deliver=_promises, unwrap=_calls_it_off):
        became = verdicts(drill(Slow))
    assert became["wrap: crash after the commit"] == became["unwrap: late success"] == "restored"
    assert became["wrap: resolve done"] == became["deliver: resolve done"] == "completed"


@only_on_sqlite
def test_a_reaction_that_no_run_comes_to_is_named() -> None:
    class Idle(GiftRound):
        saga_type = "DrilledGiftsIdle"

        def define_steps(self, data: dict[str, Any]) -> list[Reaction]:
            listed = super().define_steps(data)
            listed[1] = Reaction(
                "deliver", on="DrilledGiftWrapped", by="courier",
                publishes=listed[1].publishes, may_publish="DrilledGiftLost",
            )  # fmt: skip
            return [*listed, Reaction("search", on="DrilledGiftLost", by="courier")]

    report = drill(Idle, only="call_off")
    assert report.unreached == ("search",)
    assert "No run came to search" in str(report)


@only_on_sqlite
def test_a_choreography_that_does_not_complete_cannot_be_drilled() -> None:
    with (
        reacting(wrap=lambda context: None),
        pytest.raises(CannotDrill, match="does not complete with this data"),
    ):
        drill(GiftRound)


@only_on_sqlite
def test_a_choreography_without_any_table_is_drilled_too() -> None:
    """Its clerk goes on with what was called off; and who is told so mends it."""
    with (
        trade.world(),
        pytest.raises(DrillFailed, match="TradeDone was published, though it was on the way back"),
    ):
        drill(trade.Trade, only="take")


def _nothing(event: str) -> Any:
    def react(context: SagaContext) -> None:
        publish(event)

    return react


def _too_much(right: Any) -> Any:
    def react(context: SagaContext) -> Any:
        Account.objects.filter(method="card-ada").update(balance_cents=F("balance_cents") + 1)
        return right(context)

    return react


@only_on_sqlite
@pytest.mark.parametrize("broken", ["nothing is released", "too much is refunded"])
def test_the_shops_broken_reaction_is_found(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if broken == "nothing is released":
        name, victim = "InventoryService on ReleaseInventory", "reserve_inventory (InventoryService on "
        reaction = _nothing("InventoryReleased")
    else:
        name, victim = "PaymentService on RefundPayment", "process_payment (PaymentService on "
        reaction = _too_much(registry.commands()[name].function)
    monkeypatch.setitem(registry._commands, name, registry.Command(name, reaction, "events", inbox=True))
    report = drill(OrderChoreography, only="create_shipment", check=False)
    found = next(each for each in report.failing if each.point.failure == "says no")
    assert victim in " ".join(found.problems)
    assert name in found.document()["trace"]
    assert not LedgerEntry.objects.exists()


@only_on_sqlite
def test_the_shops_choreography_holds() -> None:
    report = drill(OrderChoreography)
    assert len(report.drilled) > 250
    assert report.unreached == ()


@only_on_sqlite
@pytest.mark.drill(GiftRound, only="deliver")
def test_the_mark_drills_a_choreography(drilled: list[Drilled]) -> None:
    assert {each.point.step for each in drilled} == {"deliver"}
