"""Every page on every screen: nothing sticks out, nothing is said by colour alone, the keyboard sees where it is."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from sagas.dashboard.graph import GAP_Y, HEIGHT, LANE_GAP, draw
from sagas.dashboard.rows import Row
from sagas.models import Saga
from tests.browser.desk import Desk
from tests.sagas.test_dashboard_drawing import step
from tests.waiting import until

SCENARIOS = ("happy", "address_not_served", "refund_fails_forever", "hold_for_operator")


@pytest.fixture(scope="module")
def paths(desk: Desk) -> Iterator[list[str]]:
    """Every page there is, each with something to show."""
    sagas = [desk.order(scenario)[0] for scenario in (*SCENARIOS, "hold_for_operator")]
    stuck, held, other = sagas[2:]
    until(lambda: all(desk.shown(saga)["attention"] for saga in (stuck, held, other)), within=60)
    desk.manage("saga", "queue", "pause", "billing", "--reason", "its provider is down " * 20)
    begin = ("saga", "batch", "start", "retry", "--correlation-id", desk.shown(other)["correlation_id"])
    until(lambda: desk.manage(*begin, "--dry-run", "--json").count('"possible": true'))
    batch = desk.manage(*begin, "--reason", "its provider is back " * 20).strip()
    until(lambda: json.loads(desk.manage("saga", "batch", "show", batch, "--json"))["state"] == "paused")
    alerts = until(lambda: desk.manage("saga", "alert", "list").split())
    desk.manage("saga", "alert", "take", alerts[0], "--reason", "calling its provider " * 20)
    yield [
        *(
            "/",
            "/sagas/",
            "/sagas/?attention=any&since=2020-01-01T00:00",
            "/demo/order/",
            "/demo/trip/",
            "/demo/refund/",
            "/approvals/",
            "/audit/",
        ),
        *("/types/", "/types/OrderFulfillment/", "/queues/", "/password/", "/nothing-here/"),
        *("/queues/payment/pause/", "/queues/payment/resume/", "/queues/billing/resume/?per_second=5"),
        *("/batches/", f"/batches/{batch}/", f"/batches/{batch}/cancel/"),
        *("/alerts/", f"/alerts/{alerts[0]}/take/", f"/alerts/{alerts[0]}/give_back/"),
        "/batches/new/retry/?attention=any&type=OrderFulfillment",
        *(f"/sagas/{saga}/" for saga in sagas[:4]),
        *(f"/sagas/{held}/{verb}/?step=process_payment" for verb in ("retry", "resolve", "edit", "resume")),
    ]
    desk.manage("saga", "queue", "resume", "billing", "--reason", "it is back")
    desk.manage("saga", "alert", "give-back", alerts[0], "--reason", "it was only looked at")
    desk.manage("saga", "batch", "cancel", batch, "--reason", "it is not")


def test_no_page_scrolls_sideways_on_any_screen(page: Page, paths: list[str]) -> None:
    for path in paths:
        page.goto(path)
        for width in (2560, 1440, 980, 760, 360):
            page.set_viewport_size({"width": width, "height": 800})
            wider = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wider <= 0, f"{path} is {wider} px too wide at {width} px"


def test_hundreds_of_branches_are_drawn_each_in_a_cell_of_its_own(chromium: Browser) -> None:
    steps = [defaultdict(str, step(f"s{n}", *(["s0"] if n else []))) for n in range(301)]
    styles = "".join(
        (settings.BASE_DIR / "sagas" / "static" / "sagas" / f"{name}.css").read_text()
        for name in ("graph", "grid")
    )
    graph = draw(steps, "pending")
    page = chromium.new_page()
    page.set_content(f"<style>{styles}</style>{render_to_string('sagas/_graph.html', {'graph': graph})}")
    tops = page.locator(".node.col-2").evaluate_all(
        "nodes => nodes.map(node => node.getBoundingClientRect().top)"
    )
    between = {round(low - high) for high, low in pairwise(sorted(tops))}
    assert len(tops) == 2 * 300
    assert between == {HEIGHT + GAP_Y, HEIGHT + GAP_Y + LANE_GAP}
    page.close()


def test_a_list_of_sagas_shows_all_of_its_columns_on_a_laptop(chromium: Browser) -> None:
    saga = Saga(
        saga_type="SubscriptionRenewal",
        state="compensating",
        waiting={"kind": "approval"},
        attention="compensation_failed",
        correlation_id="customer-order-of-the-year-2026-000017",
        updated_at=timezone.now(),
    )
    row = Row(saga, "process_payment: an undo keeps failing", 7384, ("completed",) * 14)
    styles = "".join(
        (settings.BASE_DIR / "sagas" / "static" / "sagas" / f"{name}.css").read_text()
        for name in ("tokens", "base", "parts", "tables")
    )
    table = render_to_string("sagas/_table.html", {"rows": [row]})
    page = chromium.new_page()
    page.set_content(f"<style>{styles}</style>{table}")
    for width in (1060, 793):  # what rail and scroll bar leave of 1280, and of 1024
        page.set_viewport_size({"width": width, "height": 800})
        assert page.locator(".table-box").evaluate("box => box.scrollWidth - box.clientWidth") == 0, width
    page.close()


def test_a_long_reason_stays_in_its_column_and_opens_in_place(
    page: Page, desk: Desk, paths: list[str]
) -> None:
    saga = next(path for path in reversed(paths) if "process_payment" in path).split("/")[2]
    desk.act(saga, "pause", "unbroken" * 240)
    desk.act(saga, "resume", "go on")
    for path in ("/audit/", f"/sagas/{saga}/#people"):
        page.goto(path)
        for width in (1440, 1024, 420):
            page.set_viewport_size({"width": width, "height": 900})
            summary = page.locator(".actions .folded summary").first
            expect(summary).to_be_visible()  # a script opens its tab
            table = page.locator(".table-box:has(.actions)")
            assert table.evaluate("box => box.scrollWidth - box.clientWidth") == 0, f"{path} at {width}"
            page.wait_for_function(AS_HIGH, arg=[0, 100])
            summary.click()
            page.wait_for_function(AS_HIGH, arg=[150, 9_999])
            summary.click()


#: Whether the first reason is as high as this. What comes live may put it anew while it is looked at.
AS_HIGH = """([least, most]) => {
  const { height } = document.querySelector(".actions .folded").getBoundingClientRect();
  return least < height && height < most;
}"""


def test_a_saga_prints_on_white_unfolded_and_without_what_one_presses(page: Page, paths: list[str]) -> None:
    page.set_viewport_size({"width": 718, "height": 1000})  # what its margins leave of A4
    page.goto(next(path for path in paths if path.startswith("/sagas/0")))
    expect(page.locator("#badge")).to_have_text("live")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    shown = page.evaluate(
        """() => [...document.querySelectorAll("nav, button, .button, .more summary")]
            .filter((node) => node.checkVisibility() && node.getBoundingClientRect().height)
            .map((node) => node.outerHTML)"""
    )
    assert not shown
    for name in ("Log", "Commands", "Data", "People"):
        expect(page.get_by_role("heading", name=name, exact=True).first).to_be_visible()
    expect(page.locator(".log .json").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    boxes = page.locator(".table-box").evaluate_all(
        "all => all.map((box) => box.scrollWidth - box.clientWidth)"
    )
    assert max(boxes) <= 0, boxes


def test_login_fits_a_phone(browse: Callable[..., Page]) -> None:
    page = browse(None, viewport={"width": 360, "height": 640})
    page.goto("/login/")
    expect(page.get_by_role("button", name="Log in")).to_be_in_viewport()


def test_every_page_has_one_heading_a_title_and_named_controls(page: Page, paths: list[str]) -> None:
    for path in paths:
        page.goto(path)
        assert page.locator("h1").count() == 1, path
        assert page.title().endswith("Sagadesk")
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea, summary")]
                .filter((node) => node.checkVisibility())
                .filter((node) => !node.textContent.trim() && !node.ariaLabel && !node.labels?.length)
                .map((node) => node.outerHTML)"""
        )
        assert not nameless, path


def test_colours_keep_their_contrast(page: Page) -> None:
    page.goto("/")
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        for ink in INKS:
            for ground in ("page", "panel", "sunken"):
                ratio = page.evaluate(CONTRAST, [ink, ground])
                assert ratio >= 5.5, f"{theme}: {ink} on {ground} is {ratio:.2f}"
        for ink, ground in (("on-accent", "accent"), ("on-attention", "attention")):
            assert page.evaluate(CONTRAST, [ink, ground]) >= 5.5


INKS = (
    *("muted", "ink", "accent", "started", "pending", "compensating"),
    *("completed", "failed", "attention", "paused"),
)
CONTRAST = """([ink, ground]) => {
    const style = getComputedStyle(document.documentElement);
    const light = (name) => {
        const hex = style.getPropertyValue(`--${name}`).trim();
        const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [low, high] = [light(ink), light(ground)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
}"""


def test_the_theme_is_remembered(page: Page) -> None:
    page.goto("/")
    page.locator("#theme").click()
    page.locator("#theme").click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 21, 19)"


def test_times_are_in_the_browsers_zone(browse: Callable[..., Page], paths: list[str]) -> None:
    page = browse(timezone_id="Asia/Tokyo", locale="en-GB")
    page.goto(next(path for path in paths if path.startswith("/sagas/0")))
    time = page.locator(".facts time[data-style=exact]").first
    expected = page.evaluate(
        "at => new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(at))",
        time.get_attribute("datetime"),
    )
    expect(time).to_have_text(expected)


def test_the_graph_stands_upright_on_a_phone(browse: Callable[..., Page], paths: list[str]) -> None:
    page = browse(viewport={"width": 360, "height": 740})
    page.goto(next(path for path in paths if path.startswith("/sagas/0")))
    expect(page.locator("#badge")).to_have_text("live")  # what is measured is not replaced meanwhile
    boxes = page.locator(".step .node").evaluate_all(
        "nodes => nodes.map(node => node.getBoundingClientRect()).map(({ left, right, top }) => ({ left, right, top }))"
    )
    assert all(box["left"] >= 0 and box["right"] <= 360 for box in boxes), boxes
    do, undo = boxes[:2]
    assert do["left"] < undo["left"]
    assert abs(do["top"] - undo["top"]) < 2


def test_an_attempts_bar_is_as_wide_as_the_time_it_took(
    browse: Callable[..., Page], paths: list[str]
) -> None:
    page = browse(viewport={"width": 1440, "height": 900})
    page.goto(next(path for path in paths if path.startswith("/sagas/0")))
    expect(page.locator("#badge")).to_have_text("live")  # what is measured is not replaced meanwhile
    bars = page.locator("svg rect.bar").evaluate_all(
        """bars => bars.map(bar => ({
            told: parseFloat(bar.getAttribute("width")),
            drawn: 100 * bar.getBoundingClientRect().width / bar.ownerSVGElement.getBoundingClientRect().width,
        }))"""
    )
    assert bars
    assert all(abs(bar["told"] - bar["drawn"]) < 1 for bar in bars), bars
