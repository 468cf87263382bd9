"""The live page: it follows the truth, knows when it cannot, and heals."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.desk import Desk
from tests.waiting import until

#: Counts who listens for the end of an animation.
COUNTING = """
window.listening = 0;
const listen = EventTarget.prototype.addEventListener;
EventTarget.prototype.addEventListener = function (type, ...more) {
  if (type === "animationend") window.listening += 1;
  return listen.call(this, type, ...more);
};
"""


def live(page: Page) -> None:
    expect(page.locator("#badge")).to_have_text("live")


def test_each_change_comes_to_the_page_as_it_is(desk: Desk, page: Page) -> None:
    [saga] = desk.order("hold_for_operator")
    until(lambda: desk.shown(saga)["attention"])
    page.goto(f"/sagas/{saga}/")
    live(page)
    page.evaluate("window.loaded = 'once'")
    for verb in ("pause", "resume", "pause"):
        desk.act(saga, verb, f"to see it {verb}")
        version = str(desk.shown(saga)["version"])
        expect(page.locator(".saga-page")).to_have_attribute("data-version", version)
        expect(page.locator(".log__line--person").first).to_contain_text(f"to see it {verb}")
    assert page.evaluate("window.loaded") == "once"


def test_what_has_changed_is_marked_for_a_moment_and_waits_for_nothing_that_never_comes(
    desk: Desk, browse: Callable[..., Page]
) -> None:
    [saga] = desk.order("hold_for_operator")
    until(lambda: desk.shown(saga)["attention"])
    for motion in ("no-preference", "reduce"):
        page = browse(reduced_motion=motion)
        page.add_init_script(COUNTING)
        page.goto(f"/sagas/{saga}/")
        live(page)
        for verb in ("pause", "resume"):
            desk.act(saga, verb, f"to see it {verb}")
            expect(page.locator(".log__line--person").first).to_contain_text(f"to see it {verb}")
        assert page.evaluate("window.listening") == 1, "one listener, however many changes came"
        if motion == "no-preference":
            expect(page.locator(".changed")).to_have_count(0)


def test_a_functions_steps_are_followed_as_they_come_until_somebody_looks_elsewhere(
    desk: Desk, page: Page
) -> None:
    saga = desk.manage("demo", "subscription", "--pace", "0.2")
    page.goto(f"/sagas/{saga}/")
    live(page)
    third, fourth = (page.locator(f'[data-step="charge-{n}"] .node').first for n in (3, 4))
    expect(third).to_be_in_viewport()
    first = page.locator('[data-step="function"] .node').first
    expect(first).not_to_be_in_viewport()
    # In one go: between finding the graph and scrolling it, another could take its place.
    page.evaluate("document.querySelector('.graph').scrollLeft = 0")
    expect(fourth).to_be_attached()
    expect(fourth).not_to_be_in_viewport()
    expect(first).to_be_in_viewport()


def test_the_list_follows_in_place_and_gathers_what_is_new(desk: Desk, page: Page) -> None:
    [saga] = desk.order("hold_for_operator")
    page.goto("/sagas/")
    live(page)
    row = page.locator(f'tr[data-saga="{saga}"]')
    expect(row).to_contain_text("held for a decision")
    order = page.locator("tr.saga").evaluate_all("rows => rows.map(row => row.dataset.saga)")
    desk.act(saga, "compensate", "enough")
    expect(row.locator(".chip--failed")).to_be_visible()
    [new] = desk.order("happy")
    strip = page.locator("#new-strip")
    expect(strip).to_contain_text("1 new")
    assert page.locator("tr.saga").evaluate_all("rows => rows.map(row => row.dataset.saga)") == order
    strip.click()
    expect(page.locator(f'tr[data-saga="{new}"]')).to_be_visible()


def test_the_overview_follows(desk: Desk, page: Page) -> None:
    page.goto("/")
    live(page)
    before = page.locator(".group").count()
    [saga] = desk.order("refund_fails_forever")
    expect(page.locator(f'tr[data-saga="{saga}"]')).to_be_visible()
    expect(page.locator(".overview__attention")).to_contain_text("an undo keeps failing", timeout=60_000)
    assert page.locator(".group").count() >= before


def test_a_killed_web_process_makes_pages_stale_and_its_return_heals_them(desk: Desk, page: Page) -> None:
    [saga] = desk.order("hold_for_operator")
    until(lambda: desk.shown(saga)["attention"])
    page.goto(f"/sagas/{saga}/")
    live(page)
    desk.kill("web")
    expect(page.locator("#badge")).to_have_text("stale", timeout=12_000)
    button = page.locator("#verb-compensate")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_attribute("title", re.compile("stale"))
    button.click(force=True)
    expect(page).to_have_url(re.compile(f"{saga}/$"))
    desk.manage("saga", "compensate", saga, "--reason", "while nobody looked")
    desk.start("web")
    live(page)
    expect(page.locator(".saga-head .chip--failed")).to_be_visible(timeout=5_000)
    expect(page.locator("#why-restart")).not_to_have_attribute("aria-disabled", "true")


def test_a_page_that_lost_its_connection_says_so_on_top_and_lets_its_clocks_stand(
    desk: Desk, page: Page
) -> None:
    [saga] = desk.order("hold_for_operator")
    until(lambda: desk.shown(saga)["attention"])
    others = [page.context.new_page() for _ in range(3)]
    act = {
        page: (f"/sagas/{saga}/", ".verbs .button:not(.button--off)"),
        others[0]: ("/sagas/?attention=held", ".offered .button, #selected .button"),
        others[1]: ("/", ".group__take"),
        others[2]: ("/alerts/", ".alert__do a"),
    }
    for each, (path, buttons) in act.items():
        each.goto(path)
        live(each)
        expect(each.locator(buttons).first).to_be_attached()
        expect(each.locator("#stale")).to_be_hidden()
    desk.kill("web")
    for each, (_, buttons) in act.items():
        expect(each.locator("#stale")).to_have_text(re.compile(r"No connection since \d+:\d\d:\d\d"))
        for button in each.locator(buttons).all():
            expect(button).to_have_attribute("aria-disabled", "true")
            expect(button).to_have_attribute("title", re.compile("stale"))
    clocks = page.locator("[data-since]").all_inner_texts()
    page.wait_for_function("began => Date.now() - began > 2500", arg=page.evaluate("Date.now()"))
    assert page.locator("[data-since]").all_inner_texts() == clocks
    desk.start("web")
    for each, (_, buttons) in act.items():
        live(each)
        expect(each.locator("#stale")).to_be_hidden()
        expect(each.locator(buttons).first).not_to_have_attribute("aria-disabled", "true")
    expect(page.locator("[data-since]").first).not_to_have_text(clocks[0])


def test_pages_follow_while_redis_is_gone_and_after_it_is_back(desk: Desk, page: Page) -> None:
    [saga] = desk.order("hold_for_operator")
    until(lambda: desk.shown(saga)["attention"])
    page.goto(f"/sagas/{saga}/")
    live(page)
    desk.kill("redis")
    desk.act(saga, "pause", "without redis")
    expect(page.locator(".saga-head .chip--paused")).to_be_visible(timeout=6_000)
    desk.start("redis")
    desk.act(saga, "resume", "with redis")
    expect(page.locator(".saga-head .chip--paused")).to_be_hidden(timeout=6_000)
    until(desk.ready)


def test_the_banner_comes_and_goes_with_the_workers(desk: Desk, page: Page) -> None:
    page.goto("/sagas/")
    live(page)
    expect(page.locator(".banner")).to_be_hidden()
    desk.kill("worker")
    expect(page.locator(".banner")).to_contain_text("No worker is alive", timeout=20_000)
    desk.start("worker")
    expect(page.locator(".banner")).to_be_hidden(timeout=20_000)


def test_without_javascript_pages_work_by_reloading(desk: Desk, browse) -> None:  # type: ignore[no-untyped-def]
    page = browse(java_script_enabled=False)
    [saga] = desk.order("hold_for_operator")
    until(lambda: desk.shown(saga)["attention"])
    page.goto(f"/sagas/{saga}/")
    page.locator("#verb-compensate").click()
    page.get_by_label("Why?").fill("no script here")
    page.get_by_role("button", name="Roll back").click()
    # The browser answers no reload while it is still being led to the saga's page.
    expect(page).to_have_url(re.compile(f"{saga}/$"))
    until(lambda: desk.shown(saga)["state"] == "failed")
    page.reload()
    expect(page.locator(".saga-head .chip--failed")).to_be_visible()
    expect(page.locator("#people")).to_contain_text("no script here")


def test_text_that_is_being_selected_stays(desk: Desk, page: Page) -> None:
    [saga] = desk.order("hold_for_operator")
    until(lambda: desk.shown(saga)["attention"])
    page.goto(f"/sagas/{saga}/")
    live(page)
    page.locator(".why__text").click(click_count=3)
    picked = page.evaluate("getSelection().toString()")
    desk.act(saga, "pause", "meanwhile")
    expect(page.locator(".saga-head .chip--paused")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == picked
    expect(page.locator(".behind .why__text")).to_be_visible()
    page.evaluate("getSelection().removeAllRanges()")
    expect(page.locator(".why__text")).not_to_have_text(picked)
    expect(page.locator(".behind")).to_have_count(0)


def test_text_of_the_queues_that_is_being_selected_stays(desk: Desk, page: Page) -> None:
    page.goto("/queues/")
    live(page)
    page.locator("tbody th").first.click(click_count=3)
    picked = page.evaluate("getSelection().toString()")
    expect(page.locator("[data-again].behind")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == picked
    page.evaluate("getSelection().removeAllRanges()")
    expect(page.locator(".behind")).to_have_count(0)
