"""The pytest plugin: one mark, a test per command, and a trace for what does not hold."""

import pytest
from django.conf import settings

from participants.sagas import OrderFulfillment, RefundApproval, TripBooking, subscription_renewal
from sagas.testing.report import Drilled
from tests.testing.broken import Booking

#: What differs between the databases is the drill's, and the order's shows it; these are about the sagas.
only_on_sqlite = pytest.mark.only_on("sqlite")


@pytest.mark.drill(OrderFulfillment)
def test_the_shops_order_is_restored_at_every_failure_point(drilled: list[Drilled]) -> None:
    failures = {
        "rejected", "unknown, with effect", "unknown, without effect", "late success", "crash before the commit",
        "crash after the commit", "duplicate reply",
    }  # fmt: skip
    assert failures <= {each.point.failure for each in drilled}


@only_on_sqlite
@pytest.mark.drill(TripBooking, {**TripBooking.sample_data, "travellers": ["Ada Lovelace"], "car": None})
def test_a_trip_is_restored_at_every_failure_point_or_goes_forward() -> None:
    """The mark alone is the whole test."""


@only_on_sqlite
@pytest.mark.drill(RefundApproval)
def test_a_refund_is_restored_whoever_answers() -> None:
    """With its approval."""


@only_on_sqlite
@pytest.mark.drill("OrderFunction", only="process_payment")
def test_an_order_that_is_a_function_is_restored(drilled: list[Drilled]) -> None:
    assert {each.verdict for each in drilled} == {"restored", "completed"}


@only_on_sqlite
@pytest.mark.drill("SubscriptionRenewal", {**subscription_renewal.sample_data, "months": 1}, only="charge")
def test_a_month_that_is_not_paid_is_restored_or_goes_another_way(drilled: list[Drilled]) -> None:
    refused = [each.verdict for each in drilled if each.point.failure == "rejected"]
    assert "completed" in refused, "the function heard of it, and went on"


@pytest.mark.drill(Booking, only="charge")
def test_one_step_alone(drilled: list[Drilled]) -> None:
    assert {each.point.step for each in drilled} == {"charge"}


@pytest.mark.django_db
def test_what_does_not_hold_fails_with_its_trace(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["sagas.testing.plugin", "tests.testing.refusing"]')
    pytester.makepyfile(
        """
        import pytest
        from tests.testing.broken import Booking

        @pytest.mark.drill(Booking)
        def test_bookings(): ...

        @pytest.mark.drill("Nothing")
        def test_nothing(): ...
        """
    )
    told = pytester.runpytest_inprocess("-p", "no:django", "-p", "no:randomly", "-p", "no:cacheprovider")
    told.assert_outcomes(passed=2, failed=4)
    told.stdout.fnmatch_lines(
        ["*✗ undo charge: *", "*What does not hold:*", "*There is no saga type 'Nothing'*"]
    )


def test_whichever_of_the_plugins_comes_first_the_drill_has_its_database(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(settings.BASE_DIR))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    pytester.makepyfile(
        """
        import pytest

        pytest_plugins = ["tests.testing.refusing"]

        @pytest.mark.drill("OrderFulfillment", only="send_confirmation")
        def test_orders(): ...
        """
    )
    ours_first = ("-p", "sagas.testing.plugin", "-p", "no:randomly", "-p", "no:cacheprovider")
    told = pytester.runpytest_subprocess(*ours_first, "--nomigrations")
    assert told.parseoutcomes() == {"passed": 2}, told.stdout.str()
