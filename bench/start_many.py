"""How fast sagas are accepted: many in one call, and one in the caller's own transaction."""

import statistics
import sys
import time

from bench.local import sagadesk
from bench.report import arguments, number, spread

CHUNK = 1000


def main() -> int:
    asked = arguments("start_many", str(__doc__)).parse_args()
    turns = 5 if asked.quick else 20
    with sagadesk("start_many", "Accepting sagas") as (_, report):
        rates = sorted(_accepted() for _ in range(turns))
        added = _added(turns * 20)
    report.numbers = {"accepted_per_second": rates, "added_ms": added}
    report.table(
        ("", "figure"),
        [
            (f"start_many, {CHUNK:,} in a call, durable when it returns: sagas/s", spread(rates)),
            ("start in the caller's transaction: ms that it adds, p50", number(statistics.median(added))),
            ("p95", number(added[int(len(added) * 0.95)])),
        ],
    )
    report.hand_over(asked)
    return 0


def _accepted() -> float:
    from sagas.orchestrator import start_many

    orders = [{"order": f"order-{n}", "variant": "happy"} for n in range(CHUNK)]
    began = time.perf_counter()
    start_many("BenchOrder", orders)
    return CHUNK / (time.perf_counter() - began)


def _added(count: int) -> list[float]:
    """Time the call itself, between a caller's own statement and its commit."""
    from django.db import connection, transaction

    from sagas.orchestrator import start

    took: list[float] = []
    for n in range(count):
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            began = time.perf_counter()
            start("BenchOrder", {"order": f"own-{n}", "variant": "happy"})
            took.append(1000 * (time.perf_counter() - began))
    return sorted(took[5:])


if __name__ == "__main__":
    sys.exit(main())
