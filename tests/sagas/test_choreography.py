"""A choreography by way of the real engine: events are delivered, in order, and published in their transaction."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now

from participants.models import PaymentInbox
from sagas import Later, Rejected, SagaContext, orchestrator, publish, registry, stranded, subscribe
from sagas.clock import database_now
from sagas.core import messages as m
from sagas.engine import Pump
from sagas.inbox import once
from sagas.models import Due, Event, LateReply, OperatorAction, Saga, Step
from sagas.orchestrator import Asked, Conflict, Invalid, NotFound, bus, intake, loading
from tests.sagas import shop, trade
from tests.sagas.running import assert_rows_are_the_fold

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> Iterator[trade.World]:
    """The clerk, the store and the bank of one test."""
    with trade.world() as made:
        yield made


@pytest.fixture
def pump() -> Pump:
    """A pump that serves the subscribers, and tells when a time is up."""
    return Pump(("events", registry.WAITS_QUEUE), "test-worker")


@pytest.fixture
def deal(pump: Pump) -> Callable[..., Saga]:
    """Start a trade and run it until nothing is due."""

    def start(**data: Any) -> Saga:
        saga = trade.Trade().start({"item": "book", **data})
        pump.run(20)
        saga.refresh_from_db()
        return saga

    return start


def published(saga: Saga) -> list[str]:
    """Return the events of a saga, in order."""
    return [e.data["event"] for e in Event.objects.filter(saga=saga, type="EventPublished")]


def step(saga: Saga, name: str) -> Step:
    return Step.objects.get(saga=saga, name=name)


def expire(saga: Saga, name: str, pump: Pump) -> None:
    """Let the time be over in which a step expects an event."""
    Due.objects.filter(saga=saga, step=name).update(due_at=Now())
    pump.run(20)
    saga.refresh_from_db()


def raises(fault: Exception, times: int = 1_000) -> Callable[[SagaContext], Any]:
    left = [times]

    def behave(context: SagaContext) -> Any:
        left[0] -= 1
        if left[0] < 0:
            return trade.ANSWERS[context.event](context)
        raise fault

    return behave


def test_events_lead_to_events_until_one_ends_it(world: trade.World, deal: Callable[..., Saga]) -> None:
    saga = deal()
    assert (saga.state, saga.attention) == ("completed", None)
    assert world.events == ["TradeAgreed", "GoodsAsked", "GoodsTaken", "MoneyAsked", "MoneyTaken"]
    assert published(saga) == [*world.events, "TradeDone"]
    assert not Due.objects.exists()


def test_a_subscriber_hears_of_the_event_and_of_where_the_saga_stands(
    world: trade.World, deal: Callable[..., Saga]
) -> None:
    saga = deal()
    heard = world.heard[2]
    assert (heard.saga_id, heard.step, heard.event, heard.data) == (
        str(saga.pk),
        "taken",
        "GoodsTaken",
        {"parcel": 7},
    )
    assert heard.completed_steps == ("agreed", "take")
    assert (heard["item"], heard["parcel"]) == ("book", 7)
    assert heard.meta.key == f"{saga.pk}:taken:do:1"


def test_folding_the_events_of_a_choreography_gives_its_rows(
    world: trade.World, deal: Callable[..., Saga]
) -> None:
    world.behaviour["MoneyAsked"] = trade.tells("MoneyRefused", reason="broke")
    saga = deal()
    assert_rows_are_the_fold(saga)


def test_what_was_refused_is_given_back_and_then_it_has_failed(
    world: trade.World, deal: Callable[..., Saga]
) -> None:
    world.behaviour["MoneyAsked"] = trade.tells("MoneyRefused", reason="broke")
    saga = deal()
    assert (saga.state, saga.error) == ("failed", "MoneyRefused: broke")
    assert published(saga)[-3:] == ["GoodsReturnAsked", "GoodsReturned", "TradeOff"]
    undo = next(c for c in world.heard if c.event == "GoodsReturnAsked")
    assert undo.meta.undoes == f"{saga.pk}:take:do:1"


def test_an_event_is_delivered_again_under_its_key_until_it_is_taken(
    world: trade.World, deal: Callable[..., Saga]
) -> None:
    world.behaviour["GoodsAsked"] = raises(ConnectionError("away"), times=2)
    saga = deal()
    assert saga.state == "completed"
    keys = [c.meta.key for c in world.heard if c.event == "GoodsAsked"]
    assert keys == [f"{saga.pk}:take:do:1"] * 3


def test_a_poisonous_event_is_parked_and_goes_on_by_a_retry(
    world: trade.World, deal: Callable[..., Saga], pump: Pump, asked: Callable[..., Asked]
) -> None:
    world.behaviour["GoodsAsked"] = raises(ConnectionError("away"))
    saga = deal()
    assert (saga.state, saga.attention) == ("pending", "retries_spent")
    del world.behaviour["GoodsAsked"]
    orchestrator.act(saga.pk, "retry", asked(step="take"))
    pump.run(20)
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("completed", None)


def test_a_rejected_event_is_held_and_a_subscriber_hears_of_nothing_behind_it(
    world: trade.World, deal: Callable[..., Saga], pump: Pump, asked: Callable[..., Asked]
) -> None:
    world.behaviour["GoodsTaken"] = raises(Rejected("unreadable"))
    saga = deal()
    assert (saga.state, saga.attention) == ("pending", "held")
    publish("MoneyTaken", {}, saga_id=saga.pk)  # for the same clerk
    pump.run(20)
    assert "MoneyTaken" not in world.events
    orchestrator.act(saga.pk, "resolve", asked(step="taken", outcome="done", result={"event": "MoneyAsked"}))
    pump.run(20)
    saga.refresh_from_db()
    assert saga.state == "completed"


def test_a_no_from_outside_to_what_was_promised_is_the_subscribers_answer(
    world: trade.World, deal: Callable[..., Saga], pump: Pump
) -> None:
    first = next(iter(trade.ANSWERS))
    world.behaviour[first] = lambda _: Later(within=timedelta(days=2))
    saga = deal()
    waiting = Step.objects.get(saga=saga, waiting="reply", event__name=first)
    assert orchestrator.step_failed(saga.pk, waiting.name, "sold out")
    saga.refresh_from_db()
    waiting.refresh_from_db()
    assert (saga.attention, waiting.status, waiting.error) == ("held", "failed", "sold out")
    assert not orchestrator.step_failed(saga.pk, waiting.name, "sold out")


def test_an_undo_with_an_inbox_leads_on_though_there_was_nothing_to_undo(
    world: trade.World, deal: Callable[..., Saga], pump: Pump, asked: Callable[..., Asked]
) -> None:
    give_back = once(PaymentInbox)(trade.tells("GoodsReturned"))
    world.behaviour |= {"GoodsAsked": raises(Rejected("unreadable")), "GoodsReturnAsked": give_back}
    saga = deal()
    orchestrator.act(saga.pk, "compensate", asked())
    pump.run(20)
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("failed", None)
    assert step(saga, "give_back").result == {"undone": False, "reason": "there was no effect"}
    assert published(saga)[-2:] == ["GoodsReturned", "TradeOff"]
    assert PaymentInbox.objects.get(key=f"{saga.pk}:take:do:1").outcome == "cancelled"
    assert_rows_are_the_fold(saga)


def test_a_promise_that_its_undo_has_cancelled_asks_nobody(
    world: trade.World, deal: Callable[..., Saga], pump: Pump, asked: Callable[..., Asked]
) -> None:
    take = once(PaymentInbox)(lambda _: Later(within=timedelta(days=2)))
    world.behaviour |= {
        "GoodsAsked": take,
        "GoodsReturnAsked": once(PaymentInbox)(trade.tells("GoodsReturned")),
    }
    saga = deal()
    assert step(saga, "take").waiting == "reply"
    orchestrator.act(saga.pk, "compensate", asked())
    pump.run(20)
    saga.refresh_from_db()
    assert (saga.state, saga.attention, step(saga, "take").status) == ("failed", None, "compensated")
    assert not Due.objects.exists()
    assert world.heard[-1].undelivered == ("GoodsAsked",)
    assert not orchestrator.step_completed(saga.pk, "take")  # and that comes to nothing
    with pytest.raises(Rejected, match="cancelled"):
        take(next(c for c in world.heard if c.event == "GoodsAsked"))
    assert_rows_are_the_fold(saga)


def test_an_effect_that_came_too_late_is_shown_and_settled(
    world: trade.World, deal: Callable[..., Saga], pump: Pump, asked: Callable[..., Asked]
) -> None:
    saga = deal()
    held = loading.look(saga.pk)
    assert held is not None
    assert held.definition.flow is not None
    made = next(part.compensates for part in held.definition.flow.parts if part.compensates)
    again = trade.Trade().start({"item": "book"})
    late = Step.objects.get(saga=again, name=made)
    world.behaviour[late_event(held, made)] = raises(ConnectionError("dead"))
    pump.run(40)
    Due.objects.filter(saga=again).update(due_at=Now())
    for _ in range(6):
        Due.objects.filter(saga=again, step=made).update(due_at=Now())
        pump.run(5)
    late.refresh_from_db()
    assert late.attention == "retries_spent"
    orchestrator.act(again.pk, "resolve", asked(step=made, outcome="none"))
    orchestrator.deliver([orchestrator.Answered(again.pk, m.Completed(late.action_number or 0))])
    shown = orchestrator.snapshot(Saga.objects.get(pk=again.pk))
    assert shown["attention"] == "late_effect"
    assert "undo it by hand, or waive it" in shown["why"]["text"]
    assert [verb["verb"] for verb in shown["why"]["verbs"]] == ["resolve"]
    orchestrator.act(again.pk, "resolve", asked(step=made, outcome="waived"))
    assert Saga.objects.get(pk=again.pk).attention != "late_effect"


def late_event(held: loading.Held, name: str) -> str:
    """Return the event to which a step reacts."""
    assert held.definition.flow is not None
    part = held.definition.flow.part(name)
    assert part is not None
    return part.on


def test_an_undo_that_cannot_be_delivered_asks_as_an_undo_does(
    world: trade.World, deal: Callable[..., Saga]
) -> None:
    world.behaviour["MoneyAsked"] = trade.tells("MoneyRefused")
    world.behaviour["GoodsReturnAsked"] = raises(ConnectionError("away"))
    saga = deal()
    assert (saga.state, saga.attention) == ("compensating", "compensation_failed")


def test_what_a_reaction_does_not_publish_in_time_is_missed(
    world: trade.World, deal: Callable[..., Saga], pump: Pump
) -> None:
    world.behaviour["MoneyAsked"] = lambda _: {"asked": "the bank"}
    saga = deal()
    assert (saga.state, saga.attention, step(saga, "pay").status) == ("pending", None, "executing")
    expire(saga, "pay", pump)
    assert saga.attention == "expectation_missed"
    assert step(saga, "pay").error == "no MoneyTaken or MoneyRefused was published in time"
    publish("MoneyTaken", {}, saga_id=saga.pk)  # at last, from outside
    pump.run(20)
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("completed", None)


def test_a_choreography_that_goes_nowhere_asks_at_its_end(
    world: trade.World, deal: Callable[..., Saga], pump: Pump, asked: Callable[..., Asked]
) -> None:
    world.behaviour["GoodsTaken"] = lambda _: None
    saga = deal()
    assert (saga.state, saga.attention) == ("pending", "expectation_missed")
    assert step(saga, "end").error == "everything is delivered, and no TradeDone or TradeOff was published"
    with pytest.raises(Conflict, match="Name the event that ends it"):
        orchestrator.act(saga.pk, "resolve", asked(step="end", outcome="done"))
    plan = orchestrator.preview(saga.pk, "retry", asked(step="end"))
    assert (*plan.sentences[:2], plan.sentences[-1]) == (
        "Nothing is called: it is only looked once more whether the saga can end.",
        "If it cannot, it waits for what is under way, and where nothing is, asks again at once.",
        "A person will still have to decide about end.",
    )
    orchestrator.act(saga.pk, "retry", asked(step="end"))
    assert Saga.objects.get(pk=saga.pk).attention == "expectation_missed", "asks again at once"
    publish("MoneyAsked", {}, saga_id=saga.pk)
    pump.run(20)
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("completed", None)


def test_what_an_operator_says_was_published_has_data_that_can_be_laid_over_the_sagas(
    world: trade.World, deal: Callable[..., Saga], pump: Pump, asked: Callable[..., Asked]
) -> None:
    world.behaviour["GoodsAsked"] = raises(ConnectionError("away"))
    saga = deal()
    said = {"event": "GoodsTaken", "data": "by phone"}
    with pytest.raises(Conflict, match="must be an object"):
        orchestrator.act(saga.pk, "resolve", asked(step="take", outcome="done", result=said))
    assert step(saga, "take").status == "executing"
    said["data"] = {}  # type: ignore[assignment]
    orchestrator.act(saga.pk, "resolve", asked(step="take", outcome="done", result=said))
    pump.run(20)
    saga.refresh_from_db()
    assert saga.state == "completed"


def test_a_choreography_cannot_be_started_for_later() -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(Invalid, match="at: a choreography begins at once"):
        orchestrator.start("Trade", {"item": "book"}, at=later)
    assert not Saga.objects.exists()


def test_the_end_of_a_choreography_that_goes_nowhere_is_settled_on_the_desk(
    world: trade.World, deal: Callable[..., Saga], admin_client: Any
) -> None:
    world.behaviour["GoodsTaken"] = lambda _: None
    saga = deal()
    page = admin_client.get(f"/sagas/{saga.pk}/").content.decode()
    assert "Its end: “everything is delivered, and no TradeDone or TradeOff was published”" in page
    assert 'id="why-resolve"' in page
    settle = f"/sagas/{saga.pk}/resolve/?step=end"
    asked = admin_client.get(settle)
    assert list(asked.context["outcomes"]) == ["done"]
    assert "{&quot;event&quot;: &quot;TradeOff&quot;}" in asked.content.decode()
    word = {"step": "end", "outcome": "done", "result": '{"event": "TradeDone"}', "reason": "it came by post"}
    seen = admin_client.post(settle, {**word, "version": saga.version}).context["asking"]
    assert (
        admin_client.post(settle, {**word, "version": saga.version, "previewed": seen.written}).status_code
        == 302
    )
    saga.refresh_from_db()
    assert saga.state == "completed"


def test_failed_is_believed_only_when_what_was_done_is_undone(
    world: trade.World, deal: Callable[..., Saga], pump: Pump, asked: Callable[..., Asked]
) -> None:
    world.behaviour["MoneyAsked"] = trade.tells("MoneyRefused")
    world.behaviour["MoneyRefused"] = lambda _: [str(publish(e)) for e in ("TradeOff", "GoodsReturnAsked")]
    world.behaviour["GoodsReturnAsked"] = raises(ConnectionError("away"))
    saga = deal()
    assert (saga.state, saga.attention) == ("compensating", "compensation_failed")
    orchestrator.act(saga.pk, "resolve", asked(step="give_back", outcome="none"))
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("compensating", "compensation_failed")
    orchestrator.act(saga.pk, "skip", asked(step="give_back"))  # by name
    saga.refresh_from_db()
    assert saga.state == "failed"


def test_an_operator_rolls_back_by_the_event_that_the_author_declared(
    world: trade.World, deal: Callable[..., Saga], pump: Pump, asked: Callable[..., Asked]
) -> None:
    world.behaviour["MoneyAsked"] = lambda _: None  # the bank takes its time
    saga = deal()
    plan = orchestrator.preview(saga.pk, "compensate", asked())
    assert [call["command"] for call in plan.calls] == ["clerk on TradeCancelled"]
    orchestrator.act(saga.pk, "compensate", asked())
    pump.run(20)
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("compensating", None)  # what the bank does is still awaited
    publish("MoneyRefused", saga_id=saga.pk)
    pump.run(20)
    saga.refresh_from_db()
    assert saga.state == "failed"


def test_a_restart_begins_with_the_first_event_and_with_no_undo(
    world: trade.World, deal: Callable[..., Saga], asked: Any
) -> None:
    world.behaviour["MoneyAsked"] = trade.tells("MoneyRefused", reason="broke")
    plan = orchestrator.preview(deal().pk, "restart", asked())
    assert "it begins with clerk on TradeAgreed, under" in plan.sentences[0]
    assert [call["command"] for call in plan.then] == ["clerk on TradeAgreed"]


def test_a_paused_choreography_delivers_nothing(
    world: trade.World, pump: Pump, asked: Callable[..., Asked]
) -> None:
    saga = trade.Trade().start({"item": "book"})
    orchestrator.act(saga.pk, "pause", asked())
    pump.run(20)
    assert world.events == []
    orchestrator.act(saga.pk, "resume", asked())
    pump.run(20)
    saga.refresh_from_db()
    assert saga.state == "completed"


def test_an_event_is_published_only_if_its_transaction_is_committed(
    world: trade.World, deal: Callable[..., Saga], pump: Pump
) -> None:
    world.behaviour["MoneyAsked"] = lambda _: None
    saga = deal()
    with transaction.atomic():
        publish("MoneyTaken", saga_id=saga.pk)
        transaction.set_rollback(True)
    pump.run(20)
    assert "MoneyTaken" not in published(saga)
    with transaction.atomic():
        publish("MoneyTaken", saga_id=saga.pk)
    pump.run(20)
    assert published(saga)[-2:] == ["MoneyTaken", "TradeDone"]


def test_what_a_subscriber_published_before_it_failed_is_not_lost_and_told_once(
    world: trade.World, deal: Callable[..., Saga]
) -> None:
    def publishes_and_fails(_: SagaContext) -> None:
        publish("GoodsTaken", {"parcel": 7})
        if len([c for c in world.heard if c.event == "GoodsAsked"]) == 1:
            raise ConnectionError("away")

    world.behaviour["GoodsAsked"] = publishes_and_fails
    saga = deal()
    assert saga.state == "completed"
    assert published(saga).count("GoodsTaken") == 1
    late = LateReply.objects.get(saga_id=saga.pk)
    assert (late.kind, late.payload["event"]) == ("published", "GoodsTaken")


def test_what_a_subscriber_published_is_taken_in_soon_though_its_reply_never_comes(pump: Pump) -> None:
    saga = trade.Trade().start({"item": "book"})
    token = bus.delivering.set(
        (saga.pk, "agreed")
    )  # in the midst of its delivery, of which nobody hears again
    publish("GoodsAsked", {"item": "book"})
    bus.delivering.reset(token)
    waiting = Due.objects.filter(name=intake.SAGA)
    assert waiting.get().due_at <= database_now() + timedelta(seconds=bus.ORPHANED)
    Due.objects.filter(step="agreed", kind=Due.COMMAND).delete()
    waiting.update(due_at=Now())
    pump.run(1)
    assert published(saga)[:2] == ["TradeAgreed", "GoodsAsked"]


def test_publishing_the_first_event_starts_the_choreography_in_the_same_transaction(
    world: trade.World, pump: Pump
) -> None:
    with transaction.atomic():
        publish("TradeAgreed", {"item": "lamp"})
        transaction.set_rollback(True)
    assert not Saga.objects.exists()
    (saga_id,) = publish("TradeAgreed", {"item": "lamp"})
    pump.run(20)
    saga = Saga.objects.get(pk=saga_id)
    assert (saga.saga_type, saga.state, saga.data) == ("Trade", "completed", {"item": "lamp"})


def test_an_event_that_belongs_to_nothing_is_a_saga_of_its_own(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_subscribers", {})
    heard: list[Any] = []
    subscribe("CustomerMoved", name="letters")(lambda context: heard.append(("letters", context.data)))
    subscribe("CustomerMoved", name="maps")(lambda context: heard.append(("maps", context.data)))
    (saga_id,) = publish("CustomerMoved", {"to": "Leeds"})
    pump.run(20)
    assert sorted(heard) == [("letters", {"to": "Leeds"}), ("maps", {"to": "Leeds"})]
    assert Saga.objects.get(pk=saga_id).state == "completed"
    assert publish("NobodyListens") == ()


def test_whoever_else_subscribes_gets_a_step_of_its_own(
    world: trade.World, deal: Callable[..., Saga]
) -> None:
    heard: list[Any] = []
    subscribe("GoodsTaken", name="figures")(lambda context: heard.append(context.completed_steps))
    try:
        saga = deal()
        assert (saga.state, len(heard)) == ("completed", 1)
        assert step(saga, "GoodsTaken: figures").status == "completed"
    finally:
        del registry._subscribers["GoodsTaken"]["figures"]


@pytest.mark.parametrize("event", ["", "x" * 101, "SagaStepCompleted", None])
def test_an_event_needs_a_name_of_its_own(event: Any) -> None:
    with pytest.raises(Invalid, match="event"):
        publish(event)


def test_an_event_needs_data_that_can_be_kept_and_a_saga_that_exists() -> None:
    with pytest.raises(Invalid, match="data"):
        publish("TradeAgreed", [1])  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        publish("TradeAgreed", {}, saga_id="01900000-0000-7000-8000-000000000000")


# On the desk


def test_the_desk_draws_the_events_and_says_what_is_expected_next(
    world: trade.World, deal: Callable[..., Saga], admin_client: Any
) -> None:
    world.behaviour["MoneyAsked"] = lambda _: None
    saga = deal()
    page = admin_client.get(f"/sagas/{saga.pk}/").content.decode()
    rows = re.findall(r'data-event="([^"]+)"', page)
    assert rows == ["TradeAgreed", "GoodsAsked", "GoodsTaken", "MoneyAsked", "MoneyTaken or MoneyRefused"]
    assert "expected of bank since" in page
    assert "MoneyTaken or MoneyRefused has been expected since" in page
    assert "MoneyAsked is published by taken, for pay." in page


def test_the_desk_shows_which_delivery_is_parked(
    world: trade.World, deal: Callable[..., Saga], admin_client: Any
) -> None:
    world.behaviour["GoodsAsked"] = raises(Rejected("unreadable"))
    saga = deal()
    page = admin_client.get(f"/sagas/{saga.pk}/").content.decode()
    assert "message--attention" in page
    assert "store: held" in page
    assert "store on GoodsAsked of take: “unreadable”" in page


def test_a_choreographys_type_has_a_page(admin_client: Any) -> None:
    page = admin_client.get("/types/Trade/").content.decode()
    assert "Begins with <b>TradeAgreed</b>" in page
    assert "MoneyTaken or MoneyRefused" in page


def test_the_api_starts_a_choreography_and_tells_of_its_deliveries(
    world: trade.World, pump: Pump, admin_client: Any
) -> None:
    body = {"type": "Trade", "data": {"item": "book"}}
    made = admin_client.post("/api/v1/sagas", body, content_type="application/json")
    assert made.status_code == 201
    pump.run(20)
    told = admin_client.get(f"/api/v1/sagas/{made.json()['id']}").json()
    steps = {step["name"]: step for step in told["steps"]}
    assert (told["state"], steps["pay"]["on"], steps["pay"]["by"]) == ("completed", "MoneyAsked", "bank")
    assert steps["paid"]["event"]["name"] == "MoneyTaken"


def test_no_choreography_under_way_is_stranded_by_the_code_that_it_runs_on(
    world: trade.World, deal: Callable[..., Saga]
) -> None:
    world.behaviour["MoneyAsked"] = lambda _: None
    deal()
    assert stranded.findings() == []


def test_a_choreography_is_exported_and_imported_as_it_is(
    world: trade.World, deal: Callable[..., Saga], asked: Callable[..., Asked]
) -> None:
    world.behaviour["MoneyAsked"] = trade.tells("MoneyRefused", reason="broke")
    saga = deal()
    document = orchestrator.export(saga.pk, reveal=True)
    veiled = orchestrator.export(saga.pk)
    assert "broke" not in json.dumps(veiled)
    for each in (document, veiled):
        Saga.objects.all().delete()
        OperatorAction.objects.all().delete()
        assert orchestrator.import_saga(json.loads(json.dumps(each)), asked()).created


def test_nothing_is_published_where_nobody_would_hear_of_it(db: None) -> None:
    errand = shop.Errand().start({"item": "book"})
    with pytest.raises(Invalid, match="Errand is no choreography"):
        publish("Nonsense", {"a": 1}, saga_id=errand.pk)
