"""A saga with a child: a story says what that comes to."""

from typing import Any

import pytest

from sagas import SagaOrchestrator, SagaStep, child, command
from sagas.testing import completes, given, promises, rejects, undo

DONE = {"saga_id": "0190", "state": "completed", "results": {"book": {"number": "T-1"}}}


class Tour(SagaOrchestrator):
    """Pays, and has everything booked by another saga."""

    saga_type = "StoryTour"
    sample_data = {"order": {}}

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the chain; the child has an hour."""
        return [
            SagaStep("pay", "TourDesk.Pay", "TourDesk.Refund"),
            child("book", "OrderFulfillment", data="order", deadline=3600),
            SagaStep("mail", "TourDesk.Mail"),
        ]


@command("TourDesk.Pay", queue="default")
@command("TourDesk.Refund", queue="default")
@command("TourDesk.Mail", queue="default")
def clerk(order: Any) -> dict[str, Any]:
    """Do as told."""
    return {"by": order.name}


def test_a_child_that_is_completed() -> None:
    given(Tour).when("book", completes(DONE)).then(state="completed", results={"book": DONE})


def test_a_child_that_fails_rolls_its_parent_back() -> None:
    story = given(Tour).when("book", rejects("sold out"))
    story.then(state="failed", error="sold out", undone_in_order=["pay"])


def test_a_child_takes_its_time_and_is_answered_from_outside() -> None:
    story = given(Tour).when("book", promises(within=None)).after(3000).then(state="pending", waiting="reply")
    story.replied("book", completes(DONE)).then(state="completed")


def test_at_its_deadline_it_is_looked_at_again_and_its_end_counts() -> None:
    story = given(Tour).when("book", promises(within=3600), promises(within=None)).after(4000)
    story.then(state="pending", waiting="reply", sent=["TourDesk.Pay", "sagas.Child", "sagas.Child"])
    story.replied("book", rejects("its time was over")).then(state="failed", undone_in_order=["pay"])


def test_a_child_is_undone_with_its_parent_and_may_take_its_time_for_that() -> None:
    story = given(Tour).when("book", completes(DONE)).when(undo("book"), promises(within=None))
    story.when("mail", rejects("no address")).then(state="compensating", waiting="reply")
    story.replied(undo("book"), completes()).then(state="failed", undone_in_order=["book", "pay"])


def test_handlers_are_not_called_for_a_child() -> None:
    with pytest.raises(AssertionError, match="book is answered by a child saga; say in a when"):
        given(Tour, handled=True).when("pay", completes()).then(state="completed")
