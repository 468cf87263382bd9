"""An operator's day: log in, start orders, watch them, put right what is stuck."""

import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests.browser.desk import OPERATORS, Desk
from tests.waiting import until


def live(page: Page) -> None:
    expect(page.locator("#badge")).to_have_text("live")


def stuck(desk: Desk, scenario: str = "hold_for_operator") -> str:
    [saga] = desk.order(scenario)
    until(lambda: desk.shown(saga)["attention"])
    return saga


def test_a_stranger_logs_in_and_out_again(browse: Callable[..., Page]) -> None:
    page = browse(None)
    page.goto("/sagas/")
    expect(page).to_have_url(re.compile("/login/"))
    page.get_by_label("Name").fill(OPERATORS[0])
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile("/sagas/$"))
    page.locator("#account summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login/"))


def begin(page: Page) -> None:
    """Start what the form describes, and watch it."""
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile(r"/sagas/[0-9a-f-]{36}/$"))
    live(page)


def test_an_order_is_started_and_its_steps_move_before_ones_eyes(desk: Desk, page: Page) -> None:
    page.goto("/demo/order/")
    page.get_by_label("Seconds per step").fill("0.5")
    with desk.still():
        begin(page)
        page.evaluate("window.sameDocument = true")
        step = page.locator("[data-step=process_payment] .node").first
        expect(step).to_have_class(re.compile("node--pending"))
    for name in ("reserve_inventory", "process_payment", "create_shipment", "send_confirmation"):
        expect(page.locator(f"[data-step={name}] .node").first).to_have_class(re.compile("node--completed"))
    expect(page.locator(".saga-head .chip--completed")).to_be_visible()
    assert page.evaluate("window.sameDocument") is True


@pytest.fixture
def nothing_paused(desk: Desk) -> Iterator[None]:
    """Whatever becomes of a test, those after it find every queue as it was."""
    yield
    for queue in json.loads(desk.manage("saga", "queue", "list", "--json"))["items"]:
        if queue["paused"]:
            desk.manage("saga", "queue", "resume", queue["queue"], "--reason", "the test is over")


def test_a_participant_that_is_down_is_paused_and_what_waits_goes_on_when_it_is_resumed(
    page: Page, browse: Callable[..., Page], nothing_paused: None
) -> None:
    page.goto("/queues/")
    page.get_by_role("link", name="Pause… payment").click()
    expect(page.get_by_text("no worker begins anything on payment any more")).to_be_visible()
    page.get_by_label("Why?").fill("their provider is down")
    page.get_by_role("button", name="Pause payment").click()
    expect(page).to_have_url(re.compile("/queues/$"))
    paused = page.locator(".banner--paused")
    expect(paused).to_contain_text("by operator: their provider is down")

    page.goto("/demo/order/")
    page.get_by_label("Seconds per step").fill("1")  # by then every worker has heard of it
    begin(page)
    expect(page.locator("[data-step=process_payment] .node").first).to_contain_text("for its paused queue")
    expect(page.locator(".why__text")).to_contain_text("operator has paused its queue, payment")
    expect(paused).to_be_visible()

    other = browse(OPERATORS[1])
    other.goto("/queues/payment/resume/")
    other.get_by_label("Why?").fill("they are back")
    other.get_by_role("button", name="5 a second", exact=True).click()
    expect(other.get_by_text("5 a second, the longest due first: 1 now")).to_be_visible()
    expect(other.get_by_label("Why?")).to_have_value("they are back")
    other.get_by_role("button", name="Resume payment, 5 a second").click()
    expect(other.get_by_text("payment is resumed")).to_be_visible()
    expect(page.locator(".saga-head .chip--completed")).to_be_visible()
    expect(paused).to_be_hidden()


def test_a_choreography_is_followed_event_by_event_and_rolled_back(page: Page) -> None:
    page.goto("/demo/order/")
    page.get_by_role("link", name="Choreography").click()
    page.get_by_text("Card declined, held for your decision").click()
    page.get_by_label("Seconds per step").fill("0")
    page.get_by_role("button", name="Start").click()
    parked = page.locator("[data-event=ProcessPayment]")
    expect(parked).to_contain_text("PaymentService: held")
    page.locator(".verbs").get_by_role("link", name="Roll back").click()
    expect(page.locator("main")).to_contain_text("OrderService on OrderCancelled is called")
    page.get_by_label("Why?").fill("no other card")
    page.get_by_role("button", name="Roll back").click()
    for event in ("OrderCancelled", "ReleaseInventory", "InventoryReleased", "OrderFailed"):
        expect(page.locator(f"[data-event={event}]")).to_be_visible()
    expect(page.locator(".saga-head .chip--failed")).to_be_visible()


def test_a_trip_that_cannot_be_undone_is_shown_for_what_it_is_and_settled_by_hand(page: Page) -> None:
    page.goto("/demo/order/")
    page.get_by_role("link", name="Trip").click()
    page.get_by_text("Non-refundable fare").click()
    page.get_by_label("Seconds per step").fill("0")
    page.get_by_role("button", name="Start").click()
    undo = page.locator("[data-step=reserve_flight] .undo")
    expect(undo).to_contain_text("cannot be undone")
    expect(page.locator("[data-step=reserve_hotel] .undo")).to_contain_text("undone")
    expect(page.locator("[data-step=reserve_car] .undo")).to_contain_text("undone")
    expect(page.locator(".gate--shut")).to_have_count(1)
    live(page)
    page.locator("#why-resolve").click()
    page.get_by_label("waived").check()
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".plan")).to_contain_text("Left standing, on your word: reserve_flight")
    page.get_by_label("Why?").fill("the airline keeps the fare")
    page.get_by_role("button", name="Settle reserve_flight by hand").click()
    expect(page.locator(".saga-head .chip--failed")).to_be_visible()
    expect(undo).to_contain_text("left standing")


def test_a_trip_passes_the_point_of_no_return_before_ones_eyes(desk: Desk, page: Page) -> None:
    page.goto("/demo/trip/")
    page.get_by_label("Travellers").fill("2")
    page.get_by_label("Seconds per step").fill("0.5")
    with desk.still():
        begin(page)
        expect(page.locator(".gate--open")).to_have_count(1)
    expect(page.locator(".gate--passed")).to_have_count(1)
    for name in ("ticket_1", "ticket_2", "send_itinerary"):
        expect(page.locator(f"[data-step={name}] .node").first).to_have_class(re.compile("node--completed"))


def test_an_approval_comes_into_the_inbox_by_itself_and_is_answered(desk: Desk, page: Page) -> None:
    page.goto("/approvals/")
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    live(page)
    saga = desk.demo("refund", "needs_a_manager")
    expect(page.locator(".ask")).to_have_count(1)
    expect(page.locator(".rail__count")).to_have_text(re.compile("^1"))
    page.get_by_role("link", name="Approve…").click()
    expect(page.locator(".plan")).to_contain_text("PaymentService.PayOut")
    page.get_by_label("Why?").fill("the kettle does leak")
    page.get_by_role("button", name="Approve large_refund").click()
    expect(page).to_have_url(re.compile("/approvals/$"))
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    until(lambda: desk.shown(saga)["state"] == "completed")


def test_many_orders_lead_to_the_list_of_just_these(page: Page) -> None:
    page.goto("/demo/order/")
    page.get_by_label("How many orders").fill("7")
    page.get_by_label("Seconds per step").fill("0")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("tr.saga")).to_have_count(7)
    expect(page.locator("tr.saga .chip--completed")).to_have_count(7)


def test_a_failing_order_is_seen_to_roll_back(desk: Desk, page: Page) -> None:
    page.goto("/demo/order/")
    page.get_by_text("Address not served", exact=True).click()
    page.get_by_label("Seconds per step").fill("1")
    with desk.still():
        begin(page)
    expect(page.locator(".saga-head .chip--compensating")).to_be_visible()
    expect(page.locator("[data-step=process_payment] .undo--done")).to_be_visible()
    expect(page.locator("[data-step=reserve_inventory] .undo--done")).to_be_visible()
    expect(page.locator(".saga-head .chip--failed")).to_be_visible()


def test_a_stuck_saga_says_why_and_is_rolled_back_by_hand(desk: Desk, page: Page) -> None:
    page.goto(f"/sagas/{stuck(desk)}/")
    expect(page.locator(".why")).to_contain_text("process_payment")
    page.locator(".why").get_by_role("link", name="Roll back").click()
    expect(page.locator(".plan")).to_contain_text("InventoryService.ReleaseReservation")
    page.get_by_label("Why?").fill("the customer is gone")
    page.get_by_role("button", name="Roll back").click()
    expect(page.locator(".saga-head .chip--failed")).to_be_visible()
    page.get_by_role("tab", name="People").click()
    expect(page.locator("#people")).to_contain_text("the customer is gone")


def test_what_is_pressed_is_not_replaced_under_the_pointer(desk: Desk, page: Page) -> None:
    page.goto(f"/sagas/{stuck(desk)}/")
    expect(page.locator("#badge.badge--live")).to_be_visible()
    link = page.locator(".why").get_by_role("link", name="Roll back")
    link.hover()
    page.mouse.down()
    region = page.locator("[data-region=why]")
    kept = region.evaluate(
        """async (region) => {
          const { applyRegions } = await import("/static/sagas/apply.js");
          const pressed = region.querySelector("a");
          applyRegions(region.parentNode, { why: region.innerHTML });
          return region.contains(pressed);
        }"""
    )
    assert kept
    page.mouse.up()
    expect(page).to_have_url(re.compile("/compensate/$"))


def test_a_reason_is_required(desk: Desk, page: Page) -> None:
    saga = stuck(desk)
    page.goto(f"/sagas/{saga}/pause/")
    page.get_by_role("button", name="Pause").click()
    expect(page).to_have_url(re.compile("/pause/$"))
    assert not desk.shown(saga)["paused"]


def test_what_was_typed_outlives_a_session_that_ended_and_a_form_that_is_refused(
    desk: Desk, page: Page
) -> None:
    saga = stuck(desk)
    where = f"/sagas/{saga}/resolve/?step=process_payment"
    page.goto(where)
    page.get_by_label("Why?").fill("the bank says so")
    page.get_by_label("Evidence").fill("ticket 7")
    page.context.clear_cookies(name="sagadesk")
    page.get_by_role("button", name="Preview").click()
    expect(page).to_have_url(re.compile("/login/"))
    page.get_by_label("Name").fill(OPERATORS[0])
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile("/resolve/"))
    expect(page.get_by_label("Why?")).to_have_value("the bank says so")
    expect(page.get_by_label("Evidence")).to_have_value("ticket 7")
    page.context.clear_cookies(name="sagadesk-csrf")
    page.get_by_role("radio", name="done").check()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="That form was too old")).to_be_visible()
    page.goto(where)
    expect(page.get_by_label("Why?")).to_have_value("the bank says so")
    page.get_by_role("radio", name="done").check()
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Settle process_payment by hand").click()
    expect(page.locator(".notice--success")).to_be_visible()
    page.wait_for_function("() => sessionStorage.length === 0")


def test_of_two_operators_who_press_retry_one_wins_and_the_other_is_told(
    desk: Desk, browse: Callable[..., Page]
) -> None:
    saga = stuck(desk)
    pages = [browse(operator) for operator in OPERATORS]
    for page, operator in zip(pages, OPERATORS, strict=True):
        page.goto(f"/sagas/{saga}/retry/?step=process_payment")
        page.get_by_label("Why?").fill(f"words of {operator}")
    for page in pages:
        page.evaluate("document.getElementById('do').click()")
    losers = [p for p in pages if until(lambda p=p: _settled(p)) == "lost"]
    assert len(losers) == 1
    [loser] = losers
    winner = next(o for o, p in zip(OPERATORS, pages, strict=True) if p is not loser)
    expect(loser.locator(".moved")).to_contain_text(winner)
    expect(loser.locator(".moved")).to_contain_text(f"words of {winner}")
    until(lambda: desk.shown(saga)["attention"])
    people = pages[0]
    people.goto(f"/sagas/{saga}/#people")
    expect(people.locator("#people tbody tr")).to_have_count(1)


def _settled(page: Page) -> str | None:
    if page.locator(".moved").count():
        return "lost"
    return "won" if page.locator(".saga-page").count() else None


def test_a_verb_page_says_when_the_saga_moves_on_under_it(desk: Desk, browse: Callable[..., Page]) -> None:
    saga = stuck(desk)
    reading, acting = browse(OPERATORS[0]), browse(OPERATORS[1])
    reading.goto(f"/sagas/{saga}/compensate/")
    reading.get_by_label("Why?").fill("half a sent")
    live(reading)
    acting.goto(f"/sagas/{saga}/pause/")
    acting.get_by_label("Why?").fill("let me look first")
    acting.get_by_role("button", name="Pause").click()
    expect(reading.locator("#moved-on")).to_be_visible()
    assert reading.get_by_label("Why?").input_value() == "half a sent"
    reading.get_by_role("button", name="Look again").click()
    expect(reading.locator(".crumb")).to_contain_text("paused")
    assert reading.get_by_label("Why?").input_value() == "half a sent"
    live(reading)
    expect(reading.locator("#moved-on")).to_be_hidden()
    expect(reading.get_by_text("Below is what your verb would do to it now.")).to_be_visible()
    desk.act(saga, "resume", "I have looked")
    expect(reading.locator("#moved-on")).to_contain_text("moved on again while you were reading")
    expect(reading.locator("#moved-on")).to_be_visible()
    expect(reading.get_by_text("Below is what your verb would do to it now.")).to_be_hidden()
    reading.get_by_role("button", name="Look again").click()
    expect(reading.locator(".crumb")).not_to_contain_text("paused")
    reading.get_by_role("button", name="Roll back").click()
    expect(reading.locator(".saga-head .chip").first).to_have_text(re.compile("compensating|failed"))


def test_the_keyboard_is_enough(desk: Desk, page: Page) -> None:
    saga = stuck(desk)
    page.goto("/sagas/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type(saga)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(saga))
    page.locator("#verb-compensate").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Why?").focus()
    page.keyboard.type("by keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".saga-head .chip--failed")).to_be_visible()
    page.locator("#tab-log").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#commands")).to_be_visible()
    expect(page.locator("#log")).to_be_hidden()


def test_what_the_keys_do_can_be_read_and_switched_off(desk: Desk, page: Page) -> None:
    page.goto("/sagas/")
    page.keyboard.press("?")
    told = page.get_by_role("dialog", name="Keys")
    expect(told).to_contain_text("Go to the queues")
    told.get_by_label("Single keys act").uncheck()
    page.keyboard.press("Escape")
    expect(told).to_be_hidden()
    page.reload()
    page.keyboard.press("?")
    page.keyboard.press("/")
    expect(told).to_be_hidden()
    expect(page.locator("#search")).not_to_be_focused()
    page.locator("#account summary").click()
    page.get_by_role("button", name="Keys").click()
    told.get_by_label("Single keys act").check()
    told.get_by_role("button", name="Close").click()
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page).to_have_url(re.compile("/queues/"))


def test_what_is_ticked_stays_ticked_while_it_moves_and_is_retried_together(desk: Desk, page: Page) -> None:
    first, second = stuck(desk), stuck(desk)
    page.goto("/sagas/?attention=held&type=OrderFulfillment")
    live(page)
    bar = page.locator("#selected")
    expect(bar).to_be_hidden()
    row = page.locator(f"tr[data-saga='{first}']")
    row.get_by_role("link").focus()
    page.keyboard.press("x")
    pick = page.get_by_role("checkbox", name="Select ")
    row.get_by_role("checkbox").focus()
    desk.act(first, "pause", "hands off")
    expect(row).to_contain_text("paused")
    expect(row.get_by_role("checkbox")).to_be_checked()
    expect(row.get_by_role("checkbox")).to_be_focused()
    expect(bar).to_contain_text("1 selected")
    page.get_by_role("checkbox", name="Select all of this page").check()
    expect(bar).to_contain_text(f"{pick.count() - 1} selected")
    bar.get_by_role("button", name="Clear").click()
    expect(bar).to_be_hidden()
    for saga in (first, second):
        page.locator(f"tr[data-saga='{saga}']").get_by_role("checkbox").check()
    bar.get_by_role("button", name="Retry").click()
    live(page)
    desk.act(first, "resume", "go on")
    moved = page.locator(f"li[data-saga='{first}']")
    expect(moved).to_contain_text("It has moved on while you were reading")
    expect(page.locator(f"li[data-saga='{second}']")).not_to_contain_text(
        "It has moved on", use_inner_text=True
    )
    page.get_by_label("Why?").fill("the bank is back")
    page.get_by_role("button", name="Retry what is ticked").click()
    expect(page.locator("h1")).to_contain_text("1 of 2 done")
    page.get_by_role("link", name="Look at what was refused").click()
    page.get_by_label("Why?").fill("the bank is back")
    page.get_by_role("button", name="Retry what is ticked").click()
    expect(page.locator("h1")).to_contain_text("1 of 1 done")
    page.get_by_role("link", name="Back to the list").click()
    expect(page).to_have_url(re.compile(r"type=OrderFulfillment&attention=held$"))


def test_many_are_retried_until_too_many_go_wrong_again_and_are_then_rolled_back(
    desk: Desk, page: Page
) -> None:
    begun = timezone.now().isoformat()
    sagas = [stuck(desk) for _ in range(3)]
    those = f"/sagas/?attention=held&type=OrderFulfillment&since={quote(begun)}"

    def all_are_there() -> bool:  # what has moved in this very second is not taken
        page.get_by_role("button", name="Look again").click()
        return page.locator("h1").inner_text().endswith("3 sagas")

    page.goto(those)
    page.get_by_role("link", name="Retry all…").click()
    page.get_by_label("First waves").fill("1, 1")
    until(all_are_there)
    expect(page.get_by_text("first 1, then 1, then the other 1, at most 10 a second")).to_be_visible()
    page.get_by_text("What it will do to the first 3, one by one").click()
    expect(page.locator(".each li").first).to_contain_text("PaymentService.ProcessPayment is called")
    page.get_by_label("Why?").fill("the bank is back")
    page.get_by_role("button", name="Retry 3 sagas").click()
    where = page.locator(".batch__where")
    expect(where).to_contain_text("1 of 1 went wrong again, which is more than 20 %.")  # and nobody reloads
    expect(page.get_by_role("row").nth(1)).to_contain_text("process_payment: held: card declined")
    expect(page.locator(".banner--paused")).to_contain_text("retry of 3 sagas for operator, is paused")
    page.get_by_role("link", name="Cancel…").click()
    page.get_by_label("Why?").fill("the cards are stolen")
    page.get_by_role("button", name="Cancel").click()
    expect(where).to_contain_text("Cancelled: 2 had no turn.")

    page.goto(those)
    page.get_by_role("link", name="Roll back all…").click()
    until(all_are_there)
    page.get_by_label("Why?").fill("the cards are stolen")
    page.get_by_role("button", name="Roll back 3 sagas").click()
    expect(page.locator(".page-head .chip")).to_contain_text("done")
    expect(page.locator(".batch__part--well").first).to_contain_text("3 went well")
    assert {desk.shown(saga)["state"] for saga in sagas} == {"failed"}


def test_an_alert_is_taken_and_everybody_sees_who_is_on_it(desk: Desk, browse: Callable[..., Page]) -> None:
    stuck(desk)
    page, other = browse(), browse(OPERATORS[1])
    for each in (page, other):
        each.goto("/")
    group = re.compile("process_payment: held for a decision.*OrderFulfillment", re.DOTALL)
    matter = "process_payment of OrderFulfillment: held for a decision"
    mine = page.locator(".group", has_text=group)
    mine.get_by_role("link", name="Take…").click(timeout=20_000)  # somebody looks every five seconds
    page.get_by_role("button", name="4 h").click()
    expect(page.get_by_text("nobody is told of it again for 4 hours")).to_be_visible()
    page.get_by_label("What do you do about it?").fill("calling the bank")
    page.get_by_role("button", name="Take for 4 h").click()
    alert = page.locator(".alert", has_text=matter)
    expect(alert).to_contain_text(f"{OPERATORS[0]} has been on it since")
    expect(alert).to_contain_text("calling the bank")
    theirs = other.locator(".group", has_text=group)
    expect(theirs).to_contain_text(OPERATORS[0], timeout=20_000)  # and nobody reloads
    alert.get_by_role("link", name="Give back…").click()
    page.get_by_label("Why?").fill("somebody else's turn")
    page.get_by_role("button", name="Give back").click()
    expect(page.locator(".alert", has_text=matter)).not_to_contain_text("has been on it")
    expect(theirs.get_by_role("link", name="Take…")).to_be_visible(timeout=20_000)


def test_several_are_rolled_back_without_javascript(desk: Desk, browse: Callable[..., Page]) -> None:
    saga = stuck(desk)
    page = browse(java_script_enabled=False)
    page.goto("/sagas/?attention=held")
    page.locator(f"tr[data-saga='{saga}']").get_by_role("checkbox").check()
    page.get_by_role("button", name="Roll back").click()
    page.get_by_label("Why?").fill("no other card")
    page.get_by_role("button", name="Roll back what is ticked").click()
    expect(page.locator("h1")).to_contain_text("1 of 1 done")
