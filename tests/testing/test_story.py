"""Given, when, then: whole sagas against scripted answers, without broker or database."""

from datetime import timedelta
from typing import Any

import pytest

from participants.sagas import OrderChoreography, OrderFulfillment
from sagas import CANNOT_UNDO, Retry, SagaOrchestrator, SagaStep, approval, command, timer
from sagas.testing import completes, given, handled, late, probe, promises, rejects, undo, unknown, unseen


class Trip(SagaOrchestrator):
    """Two branches, a pivot and a step behind it; nothing of it is registered as a handler."""

    saga_type = "StoryTrip"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        last = "Desk.Fly" if data.get("fly") else "Desk.Walk"
        return [
            SagaStep("hotel", "Desk.Room", "Desk.FreeRoom", needs=()),
            SagaStep("car", "Desk.Car", CANNOT_UNDO if data.get("prepaid") else "Desk.FreeCar", needs=()),
            SagaStep(
                "pay", "Desk.Pay", "Desk.Refund", needs=("hotel", "car"), pivot=True, probe="Desk.IsPaid"
            ),
            SagaStep("go", last, retriable=True),
        ]


@command("Desk.Room", queue="default")
@command("Desk.FreeRoom", queue="default")
@command("Desk.Car", queue="default")
@command("Desk.FreeCar", queue="default")
@command("Desk.Pay", queue="default")
@command("Desk.Refund", queue="default")
@command("Desk.IsPaid", queue="default")
@command("Desk.Walk", queue="default")
@command("Desk.Fly", queue="default")
def clerk(order: Any) -> dict[str, Any]:
    return {"by": order.name, "for": order.get("name")}


def test_all_goes_well() -> None:
    given(Trip, {}).then(
        state="completed",
        attention=None,
        completed=["hotel", "car", "pay", "go"],
        compensated=[],
        sent=["Desk.Room", "Desk.Car", "Desk.Pay", "Desk.Walk"],
    )


def test_the_data_chooses_the_steps() -> None:
    given(Trip, {"fly": True}).when("go", completes({"seat": "1A"})).then(results={"go": {"seat": "1A"}})


def test_a_rejection_is_undone_in_reverse() -> None:
    (
        given(OrderFulfillment)
        .when("create_shipment", rejects("no such street"))
        .then(
            state="failed",
            error="no such street",
            steps={"create_shipment": "failed", "send_confirmation": "pending"},
            undone_in_order=["process_payment", "reserve_inventory"],
        )
    )


def test_retries_take_time_and_no_test_waits_for_it() -> None:
    story = given(OrderFulfillment).when(
        "process_payment", unknown(), unknown(), completes({"payment_id": 1})
    )
    story.then(state="completed", results={"process_payment": {"payment_id": 1}})
    story.then(sent=[
        "InventoryService.ReserveItems", *["PaymentService.ProcessPayment"] * 3, "ShippingService.CreateShipment",
        "NotificationService.SendOrderConfirmation",
    ], within=timedelta(seconds=5))  # fmt: skip


def test_what_stays_unknown_is_undone_like_what_is_done() -> None:
    given(OrderFulfillment).when("create_shipment", unknown("the line is dead")).then(
        state="failed",
        undone_in_order=["create_shipment", "process_payment", "reserve_inventory"],
        error="the line is dead",
    )


def test_a_participant_without_an_inbox_asks_a_person() -> None:
    (
        given(OrderFulfillment)
        .when("create_shipment", unknown(inbox=False))
        .then(state="pending", attention="outcome_unknown")
        .operator("resolve", "create_shipment", outcome="none")
        .then(state="failed", compensated=["process_payment", "reserve_inventory"])
    )


def test_a_late_reply_counts_while_the_command_is_open_and_not_afterwards() -> None:
    slow = Retry(max_attempts=2, first=60.0)

    class Slow(Trip):
        saga_type = "StorySlow"

        def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
            return [SagaStep("hotel", "Desk.Room", "Desk.FreeRoom", retry=slow, timeout=10.0)]

    given(Slow, {}).when("hotel", late(completes({"room": 7}), after=5)).then(
        state="completed", results={"hotel": {"room": 7}}, sent=["Desk.Room"]
    )
    given(Slow, {}).when("hotel", late(completes(), after=500), rejects("full")).then(
        state="failed", steps={"hotel": "failed"}
    )


def test_an_undo_that_fails_asks_a_person_who_retries_it() -> None:
    (
        given(Trip, {})
        .when("pay", rejects("no money"))
        .when(undo("hotel"), *[unknown()] * 10, completes())
        .then(state="compensating", attention="compensation_failed", steps={"car": "compensated"})
        .operator("retry", "hotel")
        .then(state="failed", attention=None, compensated=["hotel", "car"])
    )


def test_a_probe_is_asked_before_anything_is_repeated() -> None:
    given(Trip, {}).when("pay", unknown()).when(probe("pay"), completes({"paid": 1})).then(
        state="completed", sent=["Desk.Room", "Desk.Car", "Desk.Pay", "Desk.IsPaid", "Desk.Walk"]
    )
    given(Trip, {}).when("pay", unknown(), completes()).when(probe("pay"), unseen()).then(
        state="completed", sent=["Desk.Room", "Desk.Car", "Desk.Pay", "Desk.IsPaid", "Desk.Pay", "Desk.Walk"]
    )


def test_operators_act_between_two_steps() -> None:
    story = given(Trip, {}).until("hotel")
    story.operator("pause").after(timedelta(days=3)).then(state="pending", steps={"pay": "pending"})
    story.operator("resume").operator("compensate", reason="rain")
    story.then(state="failed", error="rain", compensated=["hotel"])


def test_there_is_no_way_back_behind_the_pivot() -> None:
    given(Trip, {}).until("pay").operator("compensate", refused="point of no return").then(state="completed")


def test_what_cannot_be_undone_waits_for_a_person() -> None:
    (
        given(Trip, {"prepaid": True})
        .when("pay", rejects())
        .then(attention="cannot_undo")
        .operator("resolve", "car", outcome="waived")
        .then(state="failed", compensated=["hotel"], completed=["car"])
    )


def test_a_real_handler_is_called_where_asked() -> None:
    given(Trip, {"name": "ada"}).when("hotel", handled()).then(
        results={"hotel": {"by": "Desk.Room", "for": "ada"}, "car": None}
    )
    given(Trip, {"name": "ada"}, handled=True).then(results={"car": {"by": "Desk.Car", "for": "ada"}})


def test_a_failure_says_what_is_otherwise_and_all_that_happened() -> None:
    with pytest.raises(AssertionError) as failed:
        given(Trip, {}).when("pay", rejects("no money")).then(state="completed", compensated=["hotel"])
    text = str(failed.value)
    assert "state: expected 'completed', but it is 'failed'" in text
    assert "compensated: expected ['hotel'], but it is ['car', 'hotel']" in text
    assert "rejected: no money" in text
    assert "undo: Desk.FreeRoom" in text


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (lambda: given(Trip, {}).when("hotle", rejects()), "has no step 'hotle'; it has hotel, car, pay, go"),
        (lambda: given(Trip, {}).then(steps={"hotle": "failed"}), "has no step 'hotle'"),
        (lambda: given("Nothing", {}), "There is no saga type 'Nothing'"),
        (lambda: given(Trip, {}).when("hotel", {"room": 1}), "takes answers"),
        (lambda: given(Trip, {}).operator("retry"), "which step?"),
        (lambda: given(Trip, {}).operator("unpause", "hotel"), "is not a verb; there are retry"),
        (lambda: late(unknown()), "can be late"),
        (lambda: given(Trip, {}).operator("resume"), "resume was refused: The saga is not paused"),
        (lambda: given(Trip, {}).until("hotel", "failed"), "hotel was never failed"),
        (lambda: given(Trip, {}).operator("pause", refused="ever"), "pause was not refused"),
    ],
)
def test_a_mistake_in_the_story_is_named(told: Any, says: str) -> None:
    with pytest.raises((LookupError, TypeError, AssertionError)) as wrong:
        told()
    assert says in str(wrong.value)


class Lease(SagaOrchestrator):
    """A day to think it over, two people to sign, a notary who answers later."""

    saga_type = "StoryLease"
    deadline = timedelta(days=60)

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [
            SagaStep("reserve", "Desk.Room", "Desk.FreeRoom"),
            timer("think", wait=timedelta(days=1)),
            approval("sign", by="group:managers", people=2, deadline=timedelta(days=7), otherwise="reject"),
            SagaStep("notary", "Desk.Pay", "Desk.Refund"),
        ]


def test_timers_pass_and_people_are_waited_for() -> None:
    story = given(Lease, {}).then(state="pending", waiting="approval", completed=["reserve", "think"])
    story.operator("approve", "sign", by="mia").then(waiting="approval")
    story.operator("approve", "sign", by="mia", refused="another person")
    story.operator("approve", "sign", by="max").then(state="completed", waiting=None)


def test_what_nobody_answers_is_answered_at_the_deadline() -> None:
    given(Lease, {}).then(waiting="approval").after(timedelta(days=7)).then(
        state="failed", compensated=["reserve"]
    )


def test_a_person_says_no() -> None:
    story = given(Lease, {}).then(waiting="approval").operator("reject", "sign", reason="too dear", by="mia")
    story.then(state="failed", error="too dear")


def test_a_promised_reply_comes_from_outside_or_does_not() -> None:
    def signed() -> Any:
        story = given(Lease, {}).when("notary", promises(within=timedelta(days=3))).then(waiting="approval")
        story.operator("approve", "sign", by="mia").operator("approve", "sign", by="max")
        return story.then(waiting="reply", steps={"notary": "executing"})

    signed().replied("notary", completes({"deed": 1})).then(
        state="completed", results={"notary": {"deed": 1}}
    )
    signed().replied("notary", rejects("forged")).then(state="failed", error="forged")
    signed().after(timedelta(days=60)).then(state="failed", compensated=["reserve", "notary"])
    with pytest.raises(AssertionError, match="reserve has no open action"):
        signed().replied("reserve", completes())


def test_a_choreography_has_no_story_and_the_way_to_play_it_is_told() -> None:
    with pytest.raises(TypeError, match=r"OrderChoreography is a choreography.* drill\(OrderChoreography\)"):
        given(OrderChoreography)
