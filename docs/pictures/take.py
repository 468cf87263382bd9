"""Takes the pictures in the docs: starts Sagadesk in a folder of its own, orders, and photographs the desk.

    .venv/bin/python docs/pictures/take.py

Needs Chromium, which bin/test installs.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
PASSWORD = "only-for-the-pictures"  # noqa: S105 - of a desk that lives for a minute, on loopback
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]


def main() -> None:
    """Take them all."""
    with tempfile.TemporaryDirectory(prefix="sagadesk-pictures-") as data, desk(Path(data)) as (address, env):
        stuck = start(env, "trip", "flight_cancel_fails_forever")
        for scenario in ("needs_a_manager", "needs_two_managers"):
            start(env, "refund", scenario)
        for scenario in (
            "happy",
            "card_declined",
            "refund_fails_twice",
            "hold_for_operator",
            "carrier_down_twice",
        ):
            start(env, "order", scenario, "-n", "4")
        at_rest(env, stuck)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            photograph(browser, address, "light", {"overview": "/", "saga": f"/sagas/{stuck}/"})
            photograph(browser, address, "dark", {"saga-dark": f"/sagas/{stuck}/"})


@contextlib.contextmanager
def desk(data: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Run bin/dev on a free port; yield its address and the environment for bin/manage."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"SAGADESK_DATA": str(data), "PORT": str(port), "SAGADESK_OPERATOR_PASSWORD": PASSWORD}
    env = {**os.environ, **own}
    process = subprocess.Popen([ROOT / "bin" / "dev"], env=env, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout or ():
            sys.stderr.write(line)
            if line.startswith("ready"):
                break
        yield f"http://127.0.0.1:{port}", env
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def start(env: dict[str, str], demo: str, scenario: str, *more: str) -> str:
    """Start sagas of a demo; return the first one's id."""
    return manage(env, "demo", demo, "--scenario", scenario, *more).split()[0]


def at_rest(env: dict[str, str], saga_id: str) -> None:
    """Wait until a saga asks for a person."""
    end = time.monotonic() + 90
    while not json.loads(manage(env, "saga", "show", saga_id, "--json"))["attention"]:
        if time.monotonic() > end:
            raise TimeoutError(f"{saga_id} did not come to rest")
        time.sleep(1)


def manage(env: dict[str, str], *words: str) -> str:
    """Run bin/manage and return what it said."""
    done = subprocess.run(
        [ROOT / "bin" / "manage", *words], env=env, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def photograph(browser: Browser, address: str, scheme: str, pages: dict[str, str]) -> None:
    """Log in and take pages, each as docs/pictures/<name>.png."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.fill("[name=username]", "operator")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    for name, path in pages.items():
        page.goto(address + path)
        page.locator("#badge.badge--live").wait_for()
        page.screenshot(path=FOLDER / f"{name}.png")
    context.close()


if __name__ == "__main__":
    main()
