"""How long ``bin/dev`` takes to be ready when it has run before, and a worker to the end of its first saga."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.engines import driver
from bench.local import sagadesk
from bench.peers import ROOT
from bench.report import arguments, number, spread
from sagaproject.processes import free_port

#: Seconds after which a start counts as failed.
PATIENCE = 120.0


def main() -> int:
    asked = arguments("startup", str(__doc__)).parse_args()
    runs = 5 if asked.quick else 9
    with tempfile.TemporaryDirectory(prefix="sagadesk-") as data:
        first, *again = [_dev(Path(data)) for _ in range(1 + runs)]
    with sagadesk("startup", "Start-up") as (engine, report):
        worker = [_worker(engine) for _ in range(runs)]
    report.numbers = {"dev_first": first, "dev_again": again, "worker": worker}
    report.say(
        f"{runs} runs each; the packages are installed. A worker counts as ready when a saga that waited has ended."
    )
    report.table(
        ("seconds", "median (least–most)"),
        [
            ("bin/dev on an empty data folder", number(first)),
            ("bin/dev again", spread(sorted(again))),
            ("worker, on PostgreSQL", spread(sorted(worker))),
        ],
    )
    report.hand_over(asked)
    return 0


def _dev(data: Path) -> float:
    """Measure one start of bin/dev to its "ready"."""
    given = {k: v for k, v in os.environ.items() if not k.startswith(("SAGADESK_", "DATABASE_", "REDIS_"))}
    env = {**given, "SAGADESK_DATA": str(data), "PORT": str(free_port())}
    log = data.with_suffix(".out")
    began = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            [ROOT / "bin" / "dev"], env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        while not re.search(r"^ready\b", log.read_text(), re.MULTILINE):
            if process.poll() is not None or time.monotonic() - began > PATIENCE:
                raise RuntimeError(f"bin/dev did not become ready:\n{log.read_text()}")
            time.sleep(0.01)
        return time.monotonic() - began
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        log.unlink()


def _worker(engine: Any) -> float:
    """Measure one worker, from its start to the end of a saga that waited for it."""
    from bench.orders.sagas import BenchOrder

    saga = BenchOrder().start({"order": "waits", "variant": "happy"})
    began = time.monotonic()
    with driver.running((sys.executable, ROOT / "manage.py", "saga", "worker")):
        driver.until(lambda: engine.has_ended(saga.pk), 1)
        return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
