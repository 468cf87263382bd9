"""From a commit to the DOM of a saga's page, in a real Chromium that has nothing else to do."""

import os
import shutil
import time
from typing import Any

from playwright.sync_api import sync_playwright

#: Notes each version that the page comes to show, with the time of the machine's clock.
OBSERVE = """() => {
  const place = document.querySelector("[data-live]");
  window.noted = [];
  new MutationObserver(() => window.noted.push([+place.dataset.version, performance.timeOrigin + performance.now()]))
    .observe(place, { attributes: true, attributeFilter: ["data-version"], childList: true, subtree: true });
}"""


def commit_to_dom(engine: Any, port: int, cookie: str, sagas: int) -> list[float]:
    """Follow sagas one after the other; return milliseconds, for each version that came while the page was open."""
    from bench.orders.slow import Followed

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = (
        "1"  # playwright keeps a loop in this thread, and nothing runs in it
    )
    took: list[float] = []
    name, _, value = cookie.partition("=")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = browser.new_context()
        context.add_cookies([{"name": name, "value": value, "url": f"http://127.0.0.1:{port}"}])
        page = context.new_page()
        for _ in range(sagas):
            saga = Followed().start({})
            page.goto(f"http://127.0.0.1:{port}/sagas/{saga.pk}/")
            page.wait_for_selector("body[data-feed=live]", timeout=10_000)
            page.evaluate(OBSERVE)
            since = time.time()
            engine.driver.until(lambda saga=saga: engine.has_ended(saga.pk), 2)
            page.wait_for_timeout(1_000)
            took += _lags(engine, saga.pk, since, page.evaluate("window.noted"))
        browser.close()
    return took


def _lags(engine: Any, saga: Any, since: float, noted: list[tuple[int, float]]) -> list[float]:
    decided = engine.rows(
        "SELECT version, extract(epoch FROM max(at))::float8 FROM sagas_event WHERE saga_id = %s GROUP BY 1",
        saga,
    )
    return [
        min(at for shown, at in noted if shown >= version) - 1000 * at
        for version, at in decided
        if at > since
    ]
