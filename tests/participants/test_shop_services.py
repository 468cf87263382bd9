"""The contract of every participant: one effect per key, whatever is repeated, late or out of order."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import IntegrityError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from participants.audit.books import check_books
from participants.audit.trades import BILLS, DOWNGRADES, TERMS, TRADES, Trade
from participants.demos import DEMOS
from participants.models import (
    Account,
    Budget,
    CarClass,
    Flight,
    Hotel,
    LedgerEntry,
    Mandate,
    Notice,
    PaymentInbox,
    Product,
    Reservation,
    Shipment,
    StockMovement,
)
from participants.scenarios.order import DECLINED_CARD, LOW_CARD, SOLD_OUT, UNSERVED_ADDRESS
from participants.scenarios.refund import TOO_MUCH
from participants.scenarios.subscription import WITHDRAWN_PLAN
from participants.scenarios.trip import FULL_HOTEL
from sagas import Rejected, SagaStep, Unavailable, registry
from sagas.inbox import became_of, once

NO = {
    "InventoryService.ReserveItems": {"items": [{"sku": SOLD_OUT, "quantity": 1}]},
    "PaymentService.ProcessPayment": {"payment_method": DECLINED_CARD},
    "ShippingService.CreateShipment": {"shipping_address": UNSERVED_ADDRESS},
    "FlightService.ReserveSeats": {"flight": "SD-0"},
    "HotelService.ReserveRooms": {"hotel": FULL_HOTEL},
    "CarService.ReserveCar": {"car": "TANK"},
    "ClaimsService.OpenClaim": {"amount_cents": TOO_MUCH},
    "PaymentService.PayOut": {"payment_method": DECLINED_CARD},
    "BillingService.Charge": {"payment_method": DECLINED_CARD},
    "SubscriptionService.Extend": {"plan": WITHDRAWN_PLAN, "month": 3},
    "SubscriptionService.Downgrade": {"plan": "GOLD"},
}


#: What many sagas take from: who has such a row keeps the others waiting until the end of the transaction.
SHARED = (Account, Budget, CarClass, Flight, Hotel, Mandate, Product)


@dataclass(frozen=True)
class Service:
    """An action of some demo's saga, its undo, and the books that it writes to."""

    action: str
    undo: str
    trade: Trade


def _services() -> list[Service]:
    """Return each command of the demos' sagas once."""
    classes = [d.saga for d in DEMOS.values() if isinstance(d.saga, type)]
    steps = [step for saga in classes for step in saga().define_steps(saga.sample_data)]
    steps = [step for step in steps if isinstance(step, SagaStep)]  # a choreography has none by itself
    undos = {step.action: step.compensation or "" for step in steps if step.approval is None}
    trades = {action: trade for trade in TRADES for action in trade.actions}
    return [Service(action, undo, trades[action]) for action, undo in undos.items()]


#: What a function asks for is known when it asks.
OF_FUNCTIONS = [
    Service("BillingService.Charge", "BillingService.Refund", BILLS),
    Service("SubscriptionService.Extend", "SubscriptionService.TakeBack", TERMS),
    Service("SubscriptionService.Downgrade", "SubscriptionService.Restore", DOWNGRADES),
]
SERVICES = [*_services(), *OF_FUNCTIONS]


def each(services: Iterable[Service]) -> pytest.MarkDecorator:
    listed = list(services)
    return pytest.mark.parametrize("service", listed, ids=[s.action for s in listed])


each_service = each(SERVICES)
each_that_can_undo = each(s for s in SERVICES if s.undo)
each_that_can_refuse = each(s for s in SERVICES if s.action in NO)


def books_add_up() -> bool:
    """Whether all books do by themselves: there are no sagas here that they could contradict."""
    return not list(check_books())


@each_service
def test_a_repeated_action_has_one_effect_and_one_answer(service: Service, send: Any) -> None:
    first = send(service.action)
    assert send(service.action) == first
    assert service.trade.in_force().count() == 1
    assert books_add_up()


@pytest.mark.django_db
def test_what_is_new_is_written_without_looking_first() -> None:
    tell = once(PaymentInbox)(lambda command: {"said": command.name})
    command = SimpleNamespace(name="Say", meta=SimpleNamespace(key="new", undoes=None))
    with CaptureQueriesContext(connection) as queries:
        tell(command)
    words = [query["sql"].split()[0] for query in queries]
    assert words == ["SAVEPOINT", "INSERT", "SAVEPOINT", "RELEASE", "UPDATE", "RELEASE"]
    entry = PaymentInbox.objects.get(key="new")
    assert (entry.command, entry.outcome, entry.reply) == ("Say", "completed", {"said": "Say"})
    assert entry.at is not None


@each_that_can_undo
def test_the_row_that_everybody_wants_is_written_last(service: Service, send: Any) -> None:
    books = {model._meta.db_table for model in SHARED}
    for name, key, undoes in ((service.action, "key", None), (service.undo, "undo", "key")):
        with CaptureQueriesContext(connection) as queries:
            send(name, key, undoes=undoes)
        words = [query["sql"] for query in queries]
        written = [sql.split('"')[1] for sql in words if sql.startswith(("INSERT", "UPDATE"))]
        first = next((n for n, table in enumerate(written) if table in books), len(written))
        assert {*written[first:]} <= {*books, service.trade.inbox._meta.db_table}


def test_every_book_that_is_taken_from_is_among_those() -> None:
    """Whoever adds one has it looked at, too."""
    counted = ("on_hand", "balance_cents", "left_cents", "free")
    models = apps.get_app_config("participants").get_models()
    assert {*SHARED} == {m for m in models if any(f.name in counted for f in m._meta.concrete_fields)}


@each_service
def test_another_key_is_another_effect(service: Service, send: Any) -> None:
    assert send(service.action, "one") != send(service.action, "two")
    assert service.trade.in_force().count() == 2


@each_that_can_undo
def test_an_undo_takes_the_effect_back_and_a_second_one_changes_nothing(service: Service, send: Any) -> None:
    send(service.action)
    undone = send(service.undo, "undo", undoes="key", original_result=None)
    assert service.trade.in_force().count() == 0
    assert send(service.undo, "undo", undoes="key") == undone
    assert send(service.undo, "undo:2", undoes="key") == undone
    assert books_add_up()


@each_that_can_undo
def test_an_action_that_arrives_after_its_undo_is_refused(service: Service, send: Any) -> None:
    assert send(service.undo, "undo", undoes="key")["undone"] is False
    for _ in range(2):
        with pytest.raises(Rejected, match="cancelled"):
            send(service.action)
    assert not service.trade.effects.objects.exists()
    assert books_add_up()


@each_that_can_undo
def test_an_action_repeated_after_its_undo_has_no_effect(service: Service, send: Any) -> None:
    first = send(service.action)
    send(service.undo, "undo", undoes="key")
    assert send(service.action) == first
    assert service.trade.in_force().count() == 0


@each_that_can_refuse
def test_a_no_is_remembered_and_leaves_nothing(service: Service, send: Any) -> None:
    with pytest.raises(Rejected) as no:
        send(service.action, **NO[service.action])
    with pytest.raises(Rejected) as again:  # although the reason is gone
        send(service.action)
    assert str(again.value) == str(no.value)
    assert not service.trade.effects.objects.exists()
    assert books_add_up()


@each_that_can_refuse
def test_the_undo_of_what_was_refused_does_nothing(service: Service, send: Any) -> None:
    with pytest.raises(Rejected):
        send(service.action, **NO[service.action])
    assert send(service.undo, "undo", undoes="key")["undone"] is False
    assert not service.trade.effects.objects.exists()
    assert books_add_up()


@each_service
def test_every_handler_says_that_it_has_an_inbox(service: Service) -> None:
    for name in filter(None, (service.action, service.undo)):
        handler = registry.handler(name)
        assert handler is not None
        assert handler.inbox


def test_each_service_has_its_own_queue() -> None:
    assert {registry.queue_for(s.action) for s in SERVICES} == {
        *("inventory", "payment", "shipping", "notification"),
        *("flight", "hotel", "car", "ticketing", "claims", "billing", "subscription"),
    }


@each_service
@pytest.mark.django_db(transaction=True)
def test_a_key_that_arrives_twice_at_once_has_one_effect(
    service: Service, send: Any, together: Callable[..., list[Any]]
) -> None:
    one, other = together(lambda: send(service.action), lambda: send(service.action))
    assert one == other
    assert service.trade.effects.objects.count() == 1
    assert books_add_up()


@each_that_can_undo
@pytest.mark.django_db(transaction=True)
def test_an_action_and_its_undo_at_once_leave_no_effect(
    service: Service, send: Any, together: Callable[..., list[Any]]
) -> None:
    together(lambda: send(service.action), lambda: send(service.undo, "undo", undoes="key"))
    assert service.trade.in_force().count() == 0
    assert books_add_up()


@pytest.mark.django_db(transaction=True)
def test_the_last_piece_goes_to_one_order_only(send: Any, together: Callable[..., list[Any]]) -> None:
    Product.objects.create(sku="LAST", name="The last one", price_cents=100, on_hand=1)
    StockMovement.objects.create(product_id="LAST", kind="received", quantity=1)
    wanted = [{"sku": "LAST", "quantity": 1}]
    outcomes = together(*(lambda k=k: send("InventoryService.ReserveItems", k, items=wanted) for k in "ab"))
    assert sorted(type(o).__name__ for o in outcomes) == ["Rejected", "dict"]
    assert books_add_up()


@pytest.mark.django_db(transaction=True)
def test_orders_for_the_same_products_in_another_order_do_not_lock_each_other_out(
    send: Any, together: Callable[..., list[Any]]
) -> None:
    items = [{"sku": sku, "quantity": 1} for sku in ("TEA-100", "MUG-RED", "PEN-BLUE")]
    outcomes = together(
        lambda: send("InventoryService.ReserveItems", "a", items=items),
        lambda: send("InventoryService.ReserveItems", "b", items=items[::-1]),
    )
    assert [type(o) for o in outcomes] == [dict, dict]


# What is particular to each service


def test_a_reservation_says_its_total_and_adds_up_lines_of_one_product(send: Any) -> None:
    items = [{"sku": s, "quantity": q} for s, q in [("TEA-100", 2), ("NOTE-A5", 1), ("TEA-100", 1)]]
    result = send("InventoryService.ReserveItems", items=items)
    assert result == {"reservation_id": Reservation.objects.get().number, "total_amount": 3 * 650 + 480}
    assert {m.product_id: m.quantity for m in StockMovement.objects.filter(kind="reserved")} == {
        "TEA-100": -3,
        "NOTE-A5": -1,
    }


def test_all_items_are_reserved_or_none(send: Any) -> None:
    before = Product.objects.get(sku="TEA-100").on_hand
    items = [{"sku": "TEA-100", "quantity": 1}, {"sku": SOLD_OUT, "quantity": 1}]
    with pytest.raises(Rejected, match=r"out of stock: GLOBE-30 \(1 wanted, 0 left\)"):
        send("InventoryService.ReserveItems", items=items)
    assert Product.objects.get(sku="TEA-100").on_hand == before


def test_a_product_that_does_not_exist_is_refused(send: Any) -> None:
    with pytest.raises(Rejected, match="there is no product NOPE"):
        send("InventoryService.ReserveItems", items=[{"sku": "NOPE", "quantity": 1}])


@pytest.mark.parametrize("items", [[], [{"sku": "TEA-100", "quantity": 0}], [{"quantity": 1}], "tea"])
def test_impossible_items_are_refused_before_anything_is_touched(items: Any, send: Any) -> None:
    with pytest.raises(Rejected, match="items"):
        send("InventoryService.ReserveItems", items=items)


def test_what_was_reserved_is_what_is_charged(send: Any) -> None:
    result = send("PaymentService.ProcessPayment", results={"reserve_inventory": {"total_amount": 4200}})
    assert result == {"payment_id": LedgerEntry.objects.get().number, "amount": 4200}


@pytest.mark.parametrize("results", [{}, {"reserve_inventory": None}])
def test_without_a_reservation_the_price_of_the_items_is_charged(results: Any, send: Any) -> None:
    assert send("PaymentService.ProcessPayment", results=results)["amount"] == 2 * 650


@pytest.mark.parametrize(
    ("method", "why"),
    [
        (DECLINED_CARD, "card declined: reported as stolen"),
        (LOW_CARD, r"insufficient funds: 13\.00 wanted, 1\.00 there"),
        ("shells", "the bank does not know the payment method shells"),
    ],
)
def test_the_bank_says_why_it_says_no(method: str, why: str, send: Any) -> None:
    with pytest.raises(Rejected, match=why):
        send("PaymentService.ProcessPayment", payment_method=method)


def test_a_refund_brings_the_money_back(send: Any) -> None:
    before = Account.objects.get(method="card-ada").balance_cents
    send("PaymentService.ProcessPayment")
    assert Account.objects.get(method="card-ada").balance_cents == before - 1300
    refund = send("PaymentService.RefundPayment", "undo", undoes="key")
    assert refund["amount"] == 1300
    assert Account.objects.get(method="card-ada").balance_cents == before


@pytest.mark.parametrize(
    "address", ["1 Trident Way, atlantis", {"street": "1 Trident Way", "country": "Atlantis"}]
)
def test_the_carrier_knows_where_he_does_not_go(address: Any, send: Any) -> None:
    with pytest.raises(Rejected, match="address not served"):
        send("ShippingService.CreateShipment", shipping_address=address)


@pytest.mark.parametrize("address", ["", "12 Mill Lane, ", {}, {"city": "Leeds"}, 7, None, ["Leeds"]])
def test_an_address_without_a_country_is_refused(address: Any, send: Any) -> None:
    with pytest.raises(Rejected, match="shipping_address"):
        send("ShippingService.CreateShipment", shipping_address=address)


def test_a_shipment_has_a_tracking_number_that_the_confirmation_tells(send: Any) -> None:
    shipped = send("ShippingService.CreateShipment")
    assert shipped == {"tracking_number": Shipment.objects.get().tracking_number}
    send("NotificationService.SendOrderConfirmation", "note", results={"create_shipment": shipped})
    assert shipped["tracking_number"] in Notice.objects.get().text


def test_a_cancellation_names_the_order(send: Any) -> None:
    confirmed = send("NotificationService.SendOrderConfirmation")
    cancelled = send("NotificationService.SendCancellationNotice", "undo", undoes="key")
    assert confirmed != cancelled
    assert "ORD-1 is cancelled" in Notice.objects.get(kind=Notice.CANCELLATION).text


@pytest.mark.django_db
def test_an_inbox_tells_of_a_promise_with_the_time_that_is_left() -> None:
    asks = became_of(PaymentInbox)
    asked = SimpleNamespace(meta=SimpleNamespace(key="k"))
    PaymentInbox.objects.create(key="k", command="c", outcome="later", reply=3600.0)
    PaymentInbox.objects.update(at=Now() - timedelta(minutes=50))
    assert asks(asked).within == pytest.approx(600, abs=60)
    PaymentInbox.objects.update(at=Now() - timedelta(minutes=61))
    with pytest.raises(Unavailable, match="within 3600 s, and that time is over"):
        asks(asked)


@pytest.mark.django_db
def test_an_answer_that_could_not_be_given_again_leaves_nothing_and_is_told_in_a_sentence() -> None:
    @once(PaymentInbox)
    def pay(command: Any) -> Any:
        PaymentInbox.objects.create(key="its effect", command="Pay")
        return (uuid4(),) if command.input else (1, 2)

    asked = SimpleNamespace(name="Pay", input=True, meta=SimpleNamespace(key="k", undoes=None))
    with pytest.raises(
        TypeError, match=r"cannot keep: result\[0\] is a UUID; write it as text\. Return plain JSON"
    ):
        pay(asked)
    assert not PaymentInbox.objects.exists()
    asked.input = False
    assert pay(asked) == pay(asked) == [1, 2]
    assert PaymentInbox.objects.count() == 2


@pytest.mark.django_db
def test_an_answer_whose_effect_the_database_takes_back_is_none() -> None:
    @once(PaymentInbox)
    def pay(command: Any) -> Any:
        PaymentInbox.objects.create(key="its effect", command="Pay")
        with suppress(IntegrityError):
            PaymentInbox.objects.create(key="its effect", command="Pay")
        return {"paid": True}

    asked = SimpleNamespace(name="Pay", meta=SimpleNamespace(key="k", undoes=None))
    with pytest.raises(RuntimeError, match=r"pay returned an answer, and its transaction is lost"):
        pay(asked)
    assert not PaymentInbox.objects.exists()


def test_an_inbox_that_would_never_be_asked_is_refused() -> None:
    with pytest.raises(TypeError, match="write @once below @command"):
        once(PaymentInbox)(registry.command("ShopTestService.Nothing")(lambda command: None))
    registry._commands.pop("ShopTestService.Nothing")


@pytest.mark.parametrize(("decorator", "name"), [(once, "@once"), (became_of, "became_of")])
def test_what_is_no_inbox_is_refused_where_it_stands(decorator: Any, name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name} takes the inbox first: {name}\(OrdersInbox\)\.$"):
        decorator(lambda command: None)
    with pytest.raises(TypeError, match=r"^Product is no Inbox: derive it from sagas\.inbox\.Inbox\.$"):
        decorator(Product)


def test_a_handler_that_takes_no_command_is_refused_by_its_inbox() -> None:
    with pytest.raises(TypeError, match=r"^@once calls pay\(command\), which it does not take: "):

        @once(PaymentInbox)
        def pay() -> None: ...
