"""Subscriptions: a loop that charges and waits, hears of a no, and is undone from its latest turn to its first."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.db.models import F
from django.urls import reverse

from participants.audit import audit
from participants.demos import SUBSCRIPTION
from participants.forms import SubscriptionForm
from participants.models import Bill, Downgrade, Mandate, Notice, Term
from participants.sagas import subscription_renewal
from sagas import orchestrator
from sagas.engine import Pump
from sagas.models import Due, Saga

PROMISED = {
    "happy": ("completed", None),
    "declined_then_paid": ("completed", None),
    "downgraded": ("completed", None),
    "cancelled": ("completed", None),
    "charge_unknown_then_remembered": ("completed", None),
    "plan_withdrawn": ("failed", None),
    "refund_fails_forever": ("compensating", "compensation_failed"),
    "hold_for_operator": ("pending", "held"),
}
KEPT = {  # in force at rest: bills, terms, downgrades, notices
    "happy": (6, 6, 0, 1),
    "declined_then_paid": (3, 3, 0, 3),
    "downgraded": (1, 1, 1, 3),
    "cancelled": (2, 2, 0, 1),
    "charge_unknown_then_remembered": (2, 2, 0, 1),
    "plan_withdrawn": (0, 0, 0, 0),
    "refund_fails_forever": (3, 2, 0, 0),
    "hold_for_operator": (0, 0, 0, 0),
}
ENDED = {
    "happy": "renewed",
    "declined_then_paid": "renewed",
    "downgraded": "downgraded",
    "cancelled": "cancelled",
    "charge_unknown_then_remembered": "renewed",
}


def kept_by(saga: Saga) -> tuple[int, ...]:
    books = (Bill, Term, Downgrade, Notice)
    return tuple(book.objects.in_force().filter(saga_id=saga.pk).count() for book in books)


def asked(user: Any, **more: Any) -> orchestrator.Asked:
    return orchestrator.Asked(operator=user, via="desk", reason="as they wish", **more)


def times(saga: Saga, action: str) -> int:
    return saga.steps.filter(action=action).count()


@pytest.fixture
def settle(pump: Pump) -> Callable[[], None]:
    """Run all that is due, and let time pass for what waits, until nothing moves any longer."""

    def run() -> None:
        for _ in range(60):
            pump.run(budget=30)
            if not Due.objects.exists():
                return
            Due.objects.update(due_at="2020-01-01T00:00Z")
        raise AssertionError(f"these do not come to rest: {list(Saga.objects.active())}")

    return run


@pytest.mark.django_db(transaction=True)
def test_every_scenario_ends_as_it_promises(shop: None, settle: Any, subtests: pytest.Subtests) -> None:
    assert {s.name: (s.state, s.attention) for s in SUBSCRIPTION.scenarios.values()} == PROMISED
    started = {scenario: next(SUBSCRIPTION.start(scenario)) for scenario in PROMISED}
    settle()
    for scenario, saga in started.items():
        with subtests.test(scenario):
            saga.refresh_from_db()
            assert (saga.state, saga.attention) == PROMISED[scenario]
            assert kept_by(saga) == KEPT[scenario]
            result = saga.steps.get(name="function").result
            assert (result or {}).get("ended") == ENDED.get(scenario)
    assert audit().offences == []


@pytest.mark.django_db(transaction=True)
def test_a_declined_charge_is_tried_again_after_days(shop: None, settle: Any) -> None:
    (saga,) = SUBSCRIPTION.start("declined_then_paid", day=86400)
    settle()
    charges = saga.steps.filter(action="BillingService.Charge").order_by("pk")
    assert [step.status for step in charges] == ["completed", "failed", "failed", "completed", "completed"]
    assert [step.name for step in charges] == ["charge", *(f"charge-{n}" for n in range(2, 6))]
    waits = saga.steps.filter(name__startswith="grace").order_by("pk")
    assert [step.grown["step"]["timer"]["seconds"] / 86400 for step in waits] == [3, 4]


@pytest.mark.django_db(transaction=True)
def test_the_months_are_counted_from_the_beginning_whenever_a_charge_works(shop: None, pump: Pump) -> None:
    (saga,) = SUBSCRIPTION.start(months=3, day=86400)
    pump.run(20)
    began = saga.steps.get(name="function").dispatched_at
    month = saga.steps.get(name="next_month")
    assert (month.status, month.waiting) == ("executing", "timer")
    waits = month.due_at - began
    assert timedelta(days=30) <= waits < timedelta(days=30, minutes=1)


@pytest.mark.django_db(transaction=True)
def test_a_subscription_is_undone_from_its_latest_month_to_its_first(shop: None, settle: Any) -> None:
    (saga,) = SUBSCRIPTION.start("plan_withdrawn")
    before = Mandate.objects.get(card=saga.data["payment_method"]).left_cents
    settle()
    undone = saga.events.filter(type="StepCompensated").order_by("sequence").values_list("step", flat=True)
    assert list(undone) == ["charge-3", "extend-2", "charge-2", "extend", "charge"]
    assert Mandate.objects.get(card=saga.data["payment_method"]).left_cents == before
    assert (
        Saga.objects.get().error
        == "plan withdrawn: nobody has Summer pass (two months at most) after month 2"
    )


@pytest.mark.django_db(transaction=True)
def test_an_edit_ends_a_subscription_while_it_waits(
    shop: None, pump: Pump, settle: Any, admin_user: Any
) -> None:
    (saga,) = SUBSCRIPTION.start(months=12, day=86400)
    pump.run(20)
    orchestrator.act(saga.pk, "edit", asked(admin_user, data={**saga.data, "cancel_after": 3}))
    settle()
    saga.refresh_from_db()
    assert (saga.state, kept_by(saga)) == ("completed", (3, 3, 0, 1))
    assert audit().offences == []


@pytest.mark.django_db(transaction=True)
def test_an_edit_that_would_change_what_was_is_told_and_does_nothing(
    shop: None, pump: Pump, settle: Any, admin_user: Any
) -> None:
    (saga,) = SUBSCRIPTION.start(months=3, day=86400)
    pump.run(20)
    Due.objects.update(due_at="2020-01-01T00:00Z")
    pump.run(20)
    assert times(saga, "SubscriptionService.Extend") == 2
    orchestrator.act(saga.pk, "edit", asked(admin_user, data={**saga.data, "cancel_after": 1}))
    settle()
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("pending", "misconfigured")
    assert "the record has step next_month" in (saga.steps.get(name="function").error or "")
    assert kept_by(saga) == (2, 2, 0, 0)
    orchestrator.act(saga.pk, "edit", asked(admin_user, data={**saga.data, "cancel_after": None}))
    orchestrator.act(saga.pk, "retry", asked(admin_user, step="function"))
    settle()
    saga.refresh_from_db()
    assert (saga.state, kept_by(saga)) == ("completed", (3, 3, 0, 1))


@pytest.mark.django_db(transaction=True)
def test_a_held_charge_goes_on_with_another_card(shop: None, settle: Any, admin_user: Any) -> None:
    (saga,) = SUBSCRIPTION.start("hold_for_operator", months=2)
    settle()
    orchestrator.act(saga.pk, "edit", asked(admin_user, data={**saga.data, "payment_method": "card-ada"}))
    orchestrator.act(saga.pk, "retry", asked(admin_user, step="charge"))
    settle()
    saga.refresh_from_db()
    assert (saga.state, kept_by(saga)) == ("completed", (2, 2, 0, 1))
    assert audit().offences == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"subscription_id": ""}, "data.subscription_id"),
        ({"months": 0}, "data.months"),
        ({"months": "12"}, "data.months"),
        ({"cancel_after": 0}, "data.cancel_after"),
        ({"demo": {"day": 0}}, "data.demo.day"),
        ({"demo": {"scenario": "hotel_full"}}, "data.demo.scenario"),
        ({"colour": "red"}, "data.colour"),
    ],
)
def test_an_impossible_subscription_is_refused_with_the_field(
    change: dict[str, Any], field: str, shop: None
) -> None:
    with pytest.raises(orchestrator.Invalid) as no:
        orchestrator.start("SubscriptionRenewal", {**subscription_renewal.sample_data, **change})
    assert no.value.field == field
    assert not Saga.objects.exists()


# The auditor


def _mandate_off() -> None:
    Mandate.objects.update(left_cents=F("left_cents") - 1)


def _dearer() -> None:
    Term.objects.in_force().update(price_cents=F("price_cents") + 1)


def _another_month() -> None:
    Bill.objects.in_force().filter(month=2).update(month=9)


def _paid_back() -> None:
    Bill.objects.in_force().filter(month=1).update(refunded_at="2026-01-01T00:00Z")


def _undone_again() -> None:
    Term.objects.exclude(ended_at=None).update(ended_at=None)


def _lost_downgrade() -> None:
    Downgrade.objects.all().delete()


TAMPERINGS: dict[Callable[[], None], set[str]] = {
    _mandate_off: {"mandate_conserved"},
    _dearer: {"each_month_is_paid"},
    _another_month: {"each_month_is_paid", "each_bill_has_its_month"},
    _paid_back: {"each_month_is_paid", "mandate_conserved", "completed_has_its_effects"},
    _undone_again: {"failed_keeps_nothing", "each_month_is_paid"},
    _lost_downgrade: {"completed_has_its_effects", "command_has_its_effect"},
}


@pytest.mark.django_db(transaction=True)
def test_each_tampering_is_found(shop: None, settle: Any, subtests: pytest.Subtests) -> None:
    for scenario in ("declined_then_paid", "downgraded", "plan_withdrawn"):
        next(SUBSCRIPTION.start(scenario))
    settle()
    assert audit().offences == []
    for tamper, checks in TAMPERINGS.items():
        with subtests.test(tamper.__name__), transaction.atomic():
            tamper()
            assert {finding.check for finding in audit().offences} == checks
            transaction.set_rollback(True)


# Started from the desk and the command line


def filled(**values: Any) -> SubscriptionForm:
    return SubscriptionForm({"scenario": "happy", "pace": "0", "count": "1", **values})


def test_the_form_starts_what_was_chosen(shop: None) -> None:
    form = filled(plan="FAMILY", months="14", cancel_after="3", day="0.5", payment_method="card-ada")
    assert form.is_valid(), form.errors
    (saga,) = form.start("SUB-X")
    assert saga.data == {
        "subscription_id": "SUB-X",
        "customer_id": "ada",
        "plan": "FAMILY",
        "months": 14,
        "cancel_after": 3,
        "payment_method": "card-ada",
        "demo": {"day": 0.5},
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [("months", "0"), ("cancel_after", "61"), ("day", "0"), ("plan", "GOLD"), ("scenario", "hotel_full")],
)
def test_the_form_says_which_field_is_wrong(field: str, value: str, shop: None) -> None:
    form = filled(**{field: value})
    assert not form.is_valid()
    assert set(form.errors) == {field}


def test_the_page_starts_a_subscription(shop: None, admin_client: Any) -> None:
    page = admin_client.get(reverse("demo-subscription")).content.decode()
    assert "Seconds per day" in page
    assert "SubscriptionRenewal" in page
    chosen = {"scenario": "downgraded", "pace": "0", "count": "1"}
    answer = admin_client.post(reverse("demo-subscription"), chosen)
    assert str(Saga.objects.get().pk) in answer["Location"]


@pytest.mark.django_db
def test_the_command_starts_subscriptions_and_lists_what_can_happen_to_them(capsys: Any) -> None:
    call_command("demo", "subscription", "--scenario", "cancelled", "-n", "2", "--pace", "0.5")
    sagas = Saga.objects.filter(saga_type="SubscriptionRenewal")
    assert [s.data["demo"] for s in sagas] == [{"day": 0.05, "scenario": "cancelled", "pace": 0.5}] * 2
    capsys.readouterr()
    call_command("demo", "scenarios", "--type", "subscription", "--json")
    assert [s["name"] for s in json.loads(capsys.readouterr().out)] == list(PROMISED)
