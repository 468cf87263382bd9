"""Stories and the drill for durable functions: their steps are found out by running them."""

from datetime import timedelta
from typing import Any

import pytest

from participants.models import Account
from sagas import Rejected, Retry, durable_saga
from sagas.testing import CannotDrill, DrillFailed, completes, drill, given, rejects, undo, unknown
from tests.testing import broken

TWICE = Retry(max_attempts=2, first=1.0)


def _account() -> None:
    Account.objects.create(method="card", holder="ada", opening_cents=1000, balance_cents=1000)


@durable_saga("Stays", sample_data={"nights": 1}, drill_setup=_account)
def stays(saga: Any, data: Any) -> Any:
    """Take a place; charge for it, and if that is refused, mail why."""
    saga.step("place", "BookingService.Take", undo="BookingService.Free")
    try:
        paid = saga.step("charge", "BookingService.Charge", undo="BookingService.Refund", retry=TWICE)
    except Rejected as no:
        saga.step("mail", "BookingService.Mail", input={"why": str(no)})
        return "unpaid"
    for _ in range(data["nights"]):
        saga.wait("night", timedelta(days=1))
    saga.step("thanks", "BookingService.Mail")
    return paid["amount"]


@durable_saga("IdleStays", sample_data={})
def idle_stays(saga: Any, data: Any) -> Any:
    """Do nothing but wait."""
    saga.wait("night", 60)


def test_a_story_of_a_function_is_told_as_any_other() -> None:
    given(stays).when("charge", completes({"amount": 7})).then(
        state="completed",
        completed=["place", "charge", "night", "thanks"],
        sent=["BookingService.Take", "BookingService.Charge", "BookingService.Mail"],
        results={"function": 7},
    )


def test_a_when_about_a_step_that_the_function_never_asks_for_is_told() -> None:
    story = given(stays).when("chrage", completes({"amount": 7}))
    with pytest.raises(AssertionError) as off:  # the function stops: what it was to be charged is missing
        story.then(state="completed")
    assert "• when('chrage', …): the function has not asked for such a step; did you mean charge?" in str(
        off.value
    )
    story = given(stays).when("charge", completes({"amount": 7})).when(undo("zoo"), rejects())
    with pytest.raises(AssertionError, match=r"when\('zoo', …\): .* it has asked for place, charge"):
        story.then(state="completed")


def test_a_when_about_a_step_that_may_yet_come_is_believed() -> None:
    story = given(stays).when("place", unknown(inbox=False)).when("thanks", rejects("no such address"))
    story.then(attention="outcome_unknown").operator("resolve", "place", outcome="done")
    story.then(state="failed", error="no such address")


def test_the_other_way_is_gone_when_a_step_is_rejected() -> None:
    story = given(stays).when("charge", rejects("broke"))
    story.then(
        state="completed", steps={"charge": "failed", "mail": "completed"}, results={"function": "unpaid"}
    )


def test_a_function_is_rolled_back_in_order() -> None:
    story = given(stays).when("charge", completes({"amount": 7})).when("thanks", rejects("no such address"))
    story.then(state="failed", error="no such address", undone_in_order=["charge", "place"])


def test_a_story_stops_where_a_step_has_a_status() -> None:
    story = given(stays).when("charge", unknown()).until("place").operator("compensate", reason="enough")
    story.then(state="failed", compensated=["place"])
    with pytest.raises(LookupError, match="has no step 'night'; it has function, place, charge, mail"):
        given(stays).when("charge", rejects("broke")).until("night")


def test_a_function_that_makes_no_sense_is_told_of() -> None:
    given(stays, {}).then(state="pending", attention="misconfigured", steps={"function": "executing"})


@pytest.mark.django_db
def test_a_function_is_drilled_at_each_step_that_it_asks_for() -> None:
    report = drill(stays)
    places = {each.point.step for each in report.drilled}
    assert places == {"place", "charge", "night", "thanks"}
    assert not Account.objects.exists()
    refused = next(d for d in report.drilled if d.point.name == "charge: rejected")
    assert refused.verdict == "completed"


@pytest.mark.django_db
def test_the_drill_finds_a_functions_broken_undo() -> None:
    with broken.participants(Refund=lambda undo: None), pytest.raises(DrillFailed) as found:
        drill(stays, only="charge")
    assert "charge (BookingService.Charge) changed it" in str(found.value)


@pytest.mark.django_db
def test_the_drill_says_what_it_cannot_do() -> None:
    with pytest.raises(CannotDrill, match="has no step 'dinner'; it has function, place, charge"):
        drill(stays, only="dinner")
    with pytest.raises(CannotDrill, match="KeyError: 'nights'"):
        drill(stays, {})
    assert {each.point.step for each in drill(idle_stays).drilled} == {"night"}
