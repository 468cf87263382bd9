"""Refunds: who is asked depends on the amount, and nothing is paid before the last of them has said yes."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import F
from django.urls import reverse

from participants.audit import audit
from participants.demos import REFUND
from participants.forms import RefundForm
from participants.models import Budget, Claim, Notice, Payout
from participants.sagas import RefundApproval
from sagas import orchestrator
from sagas.engine import Pump
from sagas.models import Due, Saga, Step

PROMISED = {
    "happy": ("completed", None, None),
    "needs_a_manager": ("pending", None, "approval"),
    "needs_two_managers": ("pending", None, "approval"),
    "nobody_answers": ("failed", None, None),
    "silence_is_consent": ("completed", None, None),
    "nobody_answers_held": ("pending", "expectation_missed", None),
    "budget_spent": ("failed", None, None),
    "account_blocked": ("failed", None, None),
    "payout_unknown": ("completed", None, None),
}
KEPT = {  # in force at rest: claims, payouts, notices
    "completed": (1, 1, 1),
    "pending": (1, 0, 0),
    "failed": (0, 0, 0),
}


def person(name: str, *groups: str) -> Any:
    user = get_user_model().objects.create_user(name)
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


def answer(saga: Saga, user: Any, verb: str = "approve") -> None:
    asked = orchestrator.Asked(operator=user, via="desk", reason="I looked at it", step="large_refund")
    orchestrator.act(saga.pk, verb, asked)


def kept_by(saga: Saga) -> tuple[int, ...]:
    return tuple(b.objects.in_force().filter(saga_id=saga.pk).count() for b in (Claim, Payout, Notice))


@pytest.fixture
def settle(pump: Pump) -> Callable[..., None]:
    """Run all that is due; what waits for people goes on waiting, unless its time shall be up."""

    def run(*up: Saga) -> None:
        for _ in range(20):
            pump.run(budget=30)
            due = Due.objects.exclude(saga__steps__waiting="approval") | Due.objects.filter(saga__in=up)
            if not due.exists():
                return
            Due.objects.filter(pk__in=due.values("pk")).update(due_at="2020-01-01T00:00Z")
        raise AssertionError(f"these do not come to rest: {list(Saga.objects.active())}")

    return run


@pytest.mark.django_db(transaction=True)
def test_every_scenario_ends_as_it_promises(shop: None, settle: Any, subtests: pytest.Subtests) -> None:
    assert {s.name: (s.state, s.attention, s.waiting) for s in REFUND.scenarios.values()} == PROMISED
    started = {scenario: next(REFUND.start(scenario)) for scenario in PROMISED}
    settle()
    settle(*(saga for scenario, saga in started.items() if PROMISED[scenario][2] is None))
    for scenario, saga in started.items():
        with subtests.test(scenario):
            saga.refresh_from_db()
            waiting = saga.waiting and saga.waiting["kind"]
            assert (saga.state, saga.attention, waiting) == PROMISED[scenario]
            assert kept_by(saga) == KEPT[saga.state]
    assert audit().offences == []


@pytest.mark.django_db(transaction=True)
def test_a_manager_says_yes_and_it_is_paid(shop: None, settle: Any) -> None:
    boss = person("boss", "managers")
    (saga,) = REFUND.start(
        "needs_a_manager", by=person("clerk"), customer_id="ada", reason="The kettle leaks."
    )
    settle()
    [asked] = orchestrator.approvals_for(boss).items
    assert asked.show == "Refund 240.00 to ada, card-ada: The kettle leaks."
    answer(saga, boss)
    settle()
    saga.refresh_from_db()
    assert saga.state == "completed"
    assert kept_by(saga) == KEPT["completed"]
    assert audit().offences == []


@pytest.mark.django_db(transaction=True)
def test_one_no_calls_it_off_and_the_money_is_back_in_the_budget(shop: None, settle: Any) -> None:
    boss = person("boss", "managers")
    before = Budget.objects.get().left_cents
    (saga,) = REFUND.start("needs_two_managers")
    settle()
    assert Budget.objects.get().left_cents < before
    answer(saga, boss, "reject")
    settle()
    saga.refresh_from_db()
    assert saga.state == "failed"
    assert Budget.objects.get().left_cents == before
    assert audit().offences == []


@pytest.mark.django_db(transaction=True)
def test_a_very_large_one_takes_two_people_and_neither_is_who_started_it(shop: None, settle: Any) -> None:
    one, other, third = (person(f"manager{n}", "managers") for n in (1, 2, 3))
    (saga,) = REFUND.start("needs_two_managers", by=third)
    settle()
    with pytest.raises(orchestrator.Forbidden, match="started this saga"):
        answer(saga, third)
    answer(saga, one)
    with pytest.raises(orchestrator.Conflict, match="another person"):
        answer(saga, one)
    settle()
    assert kept_by(saga) == KEPT["pending"]
    answer(saga, other)
    settle()
    saga.refresh_from_db()
    assert saga.state == "completed"
    result = saga.steps.get(name="large_refund").result
    assert result["by"] == ["manager1", "manager2"]


def test_who_is_asked_depends_on_the_amount() -> None:
    def people(cents: int) -> list[int]:
        steps = RefundApproval().define_steps({**RefundApproval.sample_data, "amount_cents": cents})
        return [step.approval.people for step in steps if step.approval]

    assert [people(cents) for cents in (1, 99_99, 100_00, 999_99, 1_000_00)] == [[], [], [1], [1], [2]]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount_cents": 0}, "data.amount_cents"),
        ({"amount_cents": "12"}, "data.amount_cents"),
        ({"reason": ""}, "data.reason"),
        ({"demo": {"scenario": "hotel_full"}}, "data.demo.scenario"),
        ({"colour": "red"}, "data.colour"),
    ],
)
def test_an_impossible_refund_is_refused_with_the_field(
    change: dict[str, Any], field: str, shop: None
) -> None:
    with pytest.raises(orchestrator.Invalid) as no:
        orchestrator.start("RefundApproval", {**RefundApproval.sample_data, **change})
    assert no.value.field == field


# The auditor


def _budget_off() -> None:
    Budget.objects.update(left_cents=F("left_cents") - 1)


def _other_payout() -> None:
    Payout.objects.update(amount_cents=F("amount_cents") + 1)


def _recalled() -> None:
    Payout.objects.update(recalled_at="2026-01-01T00:00Z")


def _never_approved() -> None:
    Step.objects.filter(name="large_refund").update(status="executing")


TAMPERINGS: dict[Callable[[], None], set[str]] = {
    _budget_off: {"budget_conserved"},
    _other_payout: {"paid_what_was_claimed", "money_conserved"},
    _recalled: {"completed_has_its_effects", "paid_what_was_claimed", "money_conserved"},
    _never_approved: {"approved_before_paid"},
}


@pytest.mark.django_db(transaction=True)
def test_each_tampering_is_found(shop: None, settle: Any, subtests: pytest.Subtests) -> None:
    (saga,) = REFUND.start("needs_a_manager")
    settle()
    answer(saga, person("boss", "managers"))
    settle()
    assert audit().offences == []
    for tamper, checks in TAMPERINGS.items():
        with subtests.test(tamper.__name__), transaction.atomic():
            tamper()
            assert {finding.check for finding in audit().offences} == checks
            transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_an_approval_that_nobody_answered_is_called_one(shop: None, settle: Any, admin_user: Any) -> None:
    (saga,) = REFUND.start("nobody_answers_held")
    settle()
    settle(saga)
    saga.refresh_from_db()
    why = orchestrator.snapshot(saga)["why"]
    assert why["text"].startswith("The approval large_refund: “nobody answered in time”.")
    again = orchestrator.Asked(operator=admin_user, via="desk", reason="ask again", step="large_refund")
    assert orchestrator.preview(saga.pk, "retry", again).sentences[0] == (
        "large_refund asks, and waits for an answer."
    )


# Started from the desk


def test_the_page_starts_a_refund_in_the_name_of_who_pressed_the_button(
    shop: None, admin_client: Any, admin_user: Any
) -> None:
    assert "From 100.00 a manager is asked" in admin_client.get(reverse("demo-refund")).content.decode()
    chosen = {
        "scenario": "happy",
        "pace": "0",
        "count": "1",
        "amount": "250.00",
        "payment_method": "card-ada",
    }
    answer = admin_client.post(reverse("demo-refund"), chosen)
    saga = Saga.objects.get()
    assert str(saga.pk) in answer["Location"]
    assert (saga.data["amount_cents"], saga.data["customer_id"]) == (250_00, "ada")
    assert saga.started_by == admin_user


@pytest.mark.parametrize(
    ("field", "value"), [("amount", "-1"), ("amount", "0"), ("amount", "1.234"), ("payment_method", "shells")]
)
def test_the_form_says_which_field_is_wrong(field: str, value: str, shop: None) -> None:
    form = RefundForm({"scenario": "happy", "pace": "0", "count": "1", field: value})
    assert not form.is_valid()
    assert set(form.errors) == {field}
