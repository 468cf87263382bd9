"""A desk that runs, and browsers in which operators are logged in."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.desk import OPERATORS, PASSWORD, Desk
from tests.servers import short_folder

#: Milliseconds; far more than anything takes, for machines that do much else.
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here is a browser test."""
    for item in items:
        if "tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def desk() -> Iterator[Desk]:
    """The processes. A test that kills one starts it again."""
    folder = short_folder("sagadesk-browser-")
    made = Desk(folder)
    try:
        made.up()
        yield made
    finally:
        made.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The machine's Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "Chromium is missing: apt-get install chromium (bin/test does)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def browse(desk: Desk, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a browser of one's own, logged in; whatever its console complains of fails the test."""
    contexts, complaints = [], []

    def opened(operator: str | None = OPERATORS[0], **options: object) -> Page:
        session = desk.sessions.get(operator or "")
        context = chromium.new_context(base_url=desk.url, storage_state=session, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None
        )
        if operator and not session:
            log_in(page, operator)
            desk.sessions[operator] = context.storage_state()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def page(browse: Callable[..., Page]) -> Page:
    """The operator's browser."""
    return browse()


def log_in(page: Page, operator: str) -> None:
    """Log in, as a person would."""
    page.goto("/login/")
    page.get_by_label("Name").fill(operator)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")
