"""Fills a database with sagas and measures how long each page of the desk takes the server, and its queries.

A few sagas of each kind are really run; the others are copies of them, with ids, times and data of their own.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench import servers
from bench.machine import machine
from bench.report import Report, arguments, number

SAGAS = {"postgres": 1_000_000, "sqlite": 100_000}
#: Events of the one saga whose log is long.
LONG_LOG = 10_000
CHUNK = 50_000
#: Which numbers become sagas of which kind: 2.5 % failed, 0.3 % open, 0.05 % in need of a person.
KINDS = {
    "failed": "n % 1000 < 25",
    "open": "n % 1000 BETWEEN 25 AND 27",
    "asking": "n % 2000 = 28",
    "completed": "n % 1000 > 27 AND n % 2000 <> 28",
}
#: Milliseconds between two sagas' starts: a million are spread over ten days.
APART = 864
#: In so many turns each page's requests are made.
ROUNDS = 6


def main() -> int:
    parser = arguments("desk", str(__doc__))
    parser.add_argument("--database", choices=list(SAGAS), default="postgres")
    parser.add_argument("--sagas", type=int, help="instead of 1,000,000 on PostgreSQL, 100,000 on SQLite")
    asked = parser.parse_args()
    count = asked.sagas or SAGAS[asked.database]
    requests = 40 if asked.quick else 120
    with servers.running() as started:
        url = (
            started.url("postgres")
            if asked.database == "postgres"
            else f"sqlite:///{started.folder}/desk.sqlite3"
        )
        about = {
            **machine(started.folder),
            "server": started.server_version() if asked.database == "postgres" else "SQLite",
        }
        _set_up(url, started)
        report = Report("desk", f"The desk at {count:,} sagas", about)
        print(f"  filling {count:,} sagas", flush=True)
        began = time.monotonic()
        samples = fill(count)
        print(f"  filled in {time.monotonic() - began:.0f} s", flush=True)
        measured = _measured(dict(_pages(samples)), requests)
    report.numbers = {"sagas": count, "database": asked.database, "pages": measured}
    report.say(
        f"{asked.database}, {count:,} finished and open sagas with their steps and events; server time of a request."
    )
    report.table(
        ("page", "p50, ms", "p95, ms", "queries", "KiB"),
        [
            (
                name,
                number(m["p50"]),
                number(m["p95"]),
                str(m["queries"]),
                number(m["bytes"] / 1024),
            )
            for name, m in measured.items()
        ],
    )
    report.hand_over(asked)
    return 0


def _set_up(url: str, started: servers.Servers) -> None:
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
        "DATABASE_URL": url,
        "REDIS_URL": started.redis,
        "SAGADESK_DATA": str(started.folder),
        "SAGADESK_APPS": "bench.orders",
        "SAGADESK_SEARCHABLE": "order",
        "SAGADESK_CONN_MAX_AGE": "600",
        "SAGADESK_LOG_LEVEL": "ERROR",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def fill(count: int, *, first: int = 0, kinds: Mapping[str, str] = KINDS) -> dict[str, Any]:
    """Make sagas of these kinds, numbered from ``first`` to ``count``; return ids and values to look for."""
    from django.db import connection

    templates = _templates()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET synchronous_commit = off; SET statement_timeout = 0")
        for begin in range(first, count, CHUNK):
            for kind, chosen in kinds.items():
                _copy(cursor, templates[kind], begin, min(begin + CHUNK, count), chosen)
        _lengthen(cursor, templates["long"])
        if connection.vendor == "postgresql":  # what it would do by itself within the next minutes, beside us
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("RESET synchronous_commit; RESET statement_timeout; CHECKPOINT")
        else:
            cursor.execute("ANALYZE")
    return {
        "count": count,
        "long": templates["long"],
        "middle": _id(count // 2),
        "deep": _id(max(0, count - 50 * 10_000)),
    }


def _templates() -> dict[str, Any]:
    """Run one saga of each kind."""
    from bench.orders.sagas import BenchOrder
    from sagas import orchestrator
    from sagas.core.messages import Unserved
    from sagas.engine import Pump
    from sagas.models import Due, Saga

    def start(variant: str) -> Saga:
        return BenchOrder().start({"order": "template", "variant": variant})

    ended = {"completed": start("happy"), "failed": start("compensating"), "long": start("happy")}
    Pump(["inventory", "payment", "shipping", "notification"], "bench").run(60)
    ended |= {"open": start("happy"), "asking": start("happy")}
    number_ = Due.objects.get(saga=ended["asking"]).number
    orchestrator.deliver([orchestrator.Answered(ended["asking"].pk, Unserved(number_, "nobody serves it"))])
    for saga in ended.values():
        saga.refresh_from_db()
    assert [each.state for each in ended.values()] == [
        "completed",
        "failed",
        "completed",
        "pending",
        "pending",
    ]
    return {kind: saga.pk for kind, saga in ended.items()}


#: The time at which the first saga of all started, in milliseconds.
_BEGIN = int(time.time() * 1000) - APART * max(SAGAS.values())


def _id(n: int) -> str:
    """Return the id of saga number n, as the statements below make it."""
    from uuid import UUID

    return str(UUID(f"{_BEGIN + n * APART:012x}70008{n:015x}"))


def _copy(cursor: Any, template: Any, first: int, last: int, chosen: str) -> None:
    """Copy a saga with all its rows, once for each number that is chosen."""
    from django.db import connection

    from sagas.models import Due, Event, Saga, Step

    begin = f"{_BEGIN} + n::bigint * {APART}"
    if connection.vendor == "postgresql":
        series = f"generate_series({first}, {last - 1}) AS s(n)"
        key = f"(lpad(to_hex({begin}), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid"
        at = f"to_timestamp(({begin}) / 1000.0)"
        data, original = "jsonb_build_object('order', 'order-' || n, 'variant', 'happy')", str(template)
    else:
        begin = begin.replace("::bigint", "")
        numbers = f"SELECT {first} UNION ALL SELECT n + 1 FROM s WHERE n < {last - 1}"
        series = f"(WITH RECURSIVE s(n) AS ({numbers}) SELECT n FROM s)"
        key = f"printf('%012x70008%015x', {begin}, n)"
        at = f"strftime('%Y-%m-%d %H:%M:%f', ({begin}) / 1000.0, 'unixepoch')"
        data, original = "json_object('order', 'order-' || n, 'variant', 'happy')", template.hex
    own = {"id": key, "correlation_id": "'corr-' || n", "data": data, "created_at": at, "updated_at": at}
    later = {"due_at": "'2099-01-01 00:00:00'"}
    for model, values in (
        (Saga, own),
        (Step, {"saga_id": key}),
        (Event, {"saga_id": key}),
        (Due, {"saga_id": key, **later}),
    ):
        columns = [f.column for f in model._meta.concrete_fields if f.column != "id" or model is Saga]
        picked = [_value(model, column, values, at) for column in columns]
        table, where = model._meta.db_table, "id" if model is Saga else "saga_id"
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(picked)}"
            f" FROM {table} AS t, {series} WHERE t.{where} = '{original}' AND {chosen}"
        )


def _value(model: Any, column: str, values: dict[str, str], at: str) -> str:
    if column == "finished_at":
        return f"CASE WHEN t.finished_at IS NULL THEN NULL ELSE {at} END"
    return values.get(column, f"t.{column}")


def _lengthen(cursor: Any, saga: Any) -> None:
    """Give a saga a long log: many pauses."""
    from django.utils import timezone

    from sagas.models import Event, Saga

    known = Saga.objects.get(pk=saga)
    Event.objects.bulk_create(
        [
            Event(
                saga_id=saga,
                sequence=n,
                version=n,
                type="SagaPaused" if n % 2 else "SagaResumed",
                data={},
                at=timezone.now(),
            )
            for n in range(known.sequence + 1, LONG_LOG + 1)
        ],
        batch_size=1000,
    )
    Saga.objects.filter(pk=saga).update(sequence=LONG_LOG, version=LONG_LOG)


def _pages(samples: dict[str, Any]) -> Iterator[tuple[str, Callable[[int], Any]]]:
    """Yield each page, as what gets it; the argument varies what is asked for."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    client = Client(HTTP_HOST="localhost")
    client.force_login(get_user_model().objects.create_superuser("bench"))
    count = samples["count"]
    since = time.strftime("%Y-%m-%dT%H:%M", time.gmtime((_BEGIN + count * APART // 3) / 1000))
    until = time.strftime("%Y-%m-%dT%H:%M", time.gmtime((_BEGIN + count * APART // 2) / 1000))
    for name, address in (
        ("overview", "/"),
        ("list, first page", "/sagas/"),
        ("list, failed", "/sagas/?state=failed"),
        ("list, needing a person", "/sagas/?attention=any"),
        ("list, by type and time", f"/sagas/?type=BenchOrder&since={since}&until={until}"),
        ("list, by correlation id", "/sagas/?correlation=corr-{n}"),
        ("list, by a value in the data", "/sagas/?data.order=order-{n}"),
        ("list, 10,000 pages deep", f"/sagas/?after={samples['deep']}"),
        ("search", "/search/?q=corr-{n}"),
        ("saga", "/sagas/{id}/"),
        (f"saga with {LONG_LOG:,} events", f"/sagas/{samples['long']}/"),
        ("its log, older entries", f"/sagas/{samples['long']}/log/?before=5000"),
        ("types", "/types/"),
        ("queues", "/queues/"),
        ("audit", "/audit/"),
        ("metrics", "/metrics"),
        ("API, list", "/api/v1/sagas"),
        ("API, saga", "/api/v1/sagas/{id}"),
        ("admin, list of sagas", "/admin/sagas/saga/"),
        ("admin, list of events", "/admin/sagas/event/"),
        ("admin, saga", "/admin/sagas/saga/{id}/change/"),
    ):

        def get(turn: int, address: str = address) -> Any:
            n = (turn * 7919) % (count // 2) * 2 + 1
            return client.get(address.format(n=n, id=_id(n)))

        yield name, get


def _measured(pages: Mapping[str, Callable[[int], Any]], requests: int) -> dict[str, dict[str, Any]]:
    """Ask for each page so often, all pages in turns: a machine that is slow for a while is so for all of them."""
    from django.db import close_old_connections

    told = {name: _told(get) for name, get in pages.items()}
    took: dict[str, list[float]] = {name: [] for name in pages}
    for turn in range(ROUNDS):
        for name, get in pages.items():
            get(0)
            for n in range(1 + turn, 1 + requests, ROUNDS):
                began = time.perf_counter()
                close_old_connections()  # as at a request's begin: it is looked at, and kept
                get(n)
                took[name].append(1000 * (time.perf_counter() - began))
    return {
        name: {
            "p50": statistics.median(times),
            "p95": sorted(times)[int(len(times) * 0.95)],
            "max": max(times),
            **told[name],
        }
        for name, times in took.items()
    }


def _told(get: Callable[[int], Any]) -> dict[str, int]:
    """Return how many queries a page takes, and how many bytes it has."""
    from django.db import connection

    get(0)  # what a process learns once
    asked: list[str] = []

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        answer = get(1)
    assert answer.status_code in {200, 302}, f"{answer.status_code}: {answer.content[:300]}"
    return {"queries": len(asked), "bytes": len(answer.content)}


if __name__ == "__main__":
    sys.exit(main())
