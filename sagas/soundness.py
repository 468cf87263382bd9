"""Checks of what sagas stand on: the database, RQ, Redis, the web server.

What the settings tell is checked at every start. What only a server can tell is asked by ``migrate``,
``check --database`` and ``saga check``: a server that is away must not keep anything from starting.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pkgutil import iter_modules
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, OperationalError, ProgrammingError, connections, router
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from redis.exceptions import RedisError

from sagas import bell, broker, migrations, registry, stranded
from sagas.checks import TAG, check_settings
from sagas.clock import database_now
from sagas.conf import settings as our_settings
from sagas.models import Process, Saga

#: The first SQLite in which two connections cannot corrupt a database by resetting its write-ahead log.
SOUND_SQLITE = (3, 51, 3)
#: The first daphne that bounds a socket's messages, and lets no client smuggle headers.
SOUND_DAPHNE = (4, 2, 2)
OLDEST_REDIS = (5,)
#: Of a Redis that does not answer.
SILENT_REDIS = "sagas.I003"
#: What keeps a worker that is cut off from holding a row for ever: the server's side, and ours.
TIMEOUTS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
PATIENCE = ("connect_timeout", "keepalives_idle", "tcp_user_timeout")
_ENOUGH_FOR_SQLITE = 20
#: Connections that a process may have open beside one for each handler: docs/deploying.md.
OF_A_WORKER, OF_A_CLOCK, OF_A_WEB_PROCESS = 4, 4, 24


@register(TAG)
def check_queues(**_: Any) -> list[CheckMessage]:
    """Find queues of ours that are read with pickle, which runs whatever it reads."""
    if check_settings():  # which say what they are called
        return []
    queues = getattr(settings, "RQ_QUEUES", None) or {}
    ours = {broker.queue(name) for name in registry.queues()} & queues.keys()
    loose = [name for name in sorted(ours) if "json" not in str(queues[name].get("SERIALIZER", "")).lower()]
    if not loose:
        return []
    text = (
        f"RQ reads {', '.join(loose)} with pickle: whoever can write to Redis can run code in this process."
    )
    hint = 'Give each of them in RQ_QUEUES "SERIALIZER": "rq.serializers.JSONSerializer".'
    return [Warning(text, hint=hint, id="sagas.W002")]


@register(TAG)
def check_alias(**_: Any) -> list[CheckMessage]:
    """Find a router that has our rows in a database of their own: transactions are those of ``default``."""
    elsewhere = {router.db_for_write(model) for model in apps.get_app_config("sagas").get_models()}
    elsewhere -= {DEFAULT_DB_ALIAS}
    if not elsewhere:
        return []
    text = (
        f"DATABASE_ROUTERS sends the app sagas to {', '.join(sorted(elsewhere))}: what a saga decides is then not"
        " written in one transaction, and may be lost by halves."
    )
    hint = 'Let the router say None, or "default", for the app label sagas.'
    return [Error(text, hint=hint, id="sagas.E017")]


@register(TAG)
def check_options(**_: Any) -> list[CheckMessage]:
    """Find options with which the database fails under load, or holds up everybody."""
    connection = connections[router.db_for_write(Saga)]
    options = connection.settings_dict.get("OPTIONS", {})
    if connection.vendor == "sqlite":
        return list(_sqlite_options(options))
    return list(_postgres_options(options)) if connection.vendor == "postgresql" else []


def _sqlite_options(options: dict[str, Any]) -> Iterator[CheckMessage]:
    if str(options.get("transaction_mode", "")).upper() != "IMMEDIATE":
        text = "SQLite's transactions are DEFERRED: with two processes that write, most of them fail."
        hint = 'OPTIONS = {"transaction_mode": "IMMEDIATE", …}: take sagas.databases.SQLITE.'
        yield Warning(text, hint=hint, id="sagas.W003")
    if float(options.get("timeout", 5)) < _ENOUGH_FOR_SQLITE:
        text = "SQLite gives up waiting for another process' transaction too soon."
        yield Warning(text, hint=f'OPTIONS = {{"timeout": {_ENOUGH_FOR_SQLITE}, …}}', id="sagas.W004")


def _postgres_options(options: dict[str, Any]) -> Iterator[CheckMessage]:
    if options.get("pool"):
        text = "A pool of database connections does not survive a fork: a child can read another's rows."
        hint = 'Leave "pool" out; a worker needs one connection for each of its threads and no more.'
        yield Warning(text, hint=hint, id="sagas.W005")
    missing = [name for name in PATIENCE if not options.get(name)]
    if missing:
        text = f"A PostgreSQL that stops answering is waited for, for minutes: {', '.join(missing)} not set."
        hint = "OPTIONS takes libpq's parameters; sagas.databases.POSTGRES has values that were measured."
        yield Warning(text, hint=hint, id="sagas.W006")


@register(TAG, deploy=True)
def check_sqlite(**_: Any) -> list[CheckMessage]:
    """Find an SQLite that is known to corrupt databases, if rarely."""
    used = connections[router.db_for_write(Saga)].vendor == "sqlite"
    if not used or sqlite3.sqlite_version_info >= SOUND_SQLITE:
        return []
    return [
        Info(
            f"SQLite {sqlite3.sqlite_version} can, very rarely, corrupt a database that several processes write to.",
            hint="It is mended in SQLite 3.51.3. Keep backups, or use PostgreSQL.",
            id="sagas.I002",
        )
    ]


@register(TAG, deploy=True)
def check_daphne(**_: Any) -> list[CheckMessage]:
    """Find a web server with known holes."""
    try:
        installed = version("daphne")
    except PackageNotFoundError:
        return []
    if _numbers(installed) >= SOUND_DAPHNE:
        return []
    text = f"daphne {installed} takes messages of any length, and lets clients smuggle headers."
    return [Warning(text, hint="Install daphne 4.2.2 or later.", id="sagas.W007")]


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Ask the database itself how it keeps what it acknowledges, and how long it lets others wait."""
    alias = router.db_for_write(Saga)
    if alias not in (databases or ()):
        return []
    connection = connections[alias]
    ask = {"sqlite": _ask_sqlite, "postgresql": _ask_postgres}.get(connection.vendor)
    return list(ask(connection)) if ask else []


@register(Tags.database, deploy=True)
def check_sagas_under_way(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Find sagas under way that the code in this tree would strand: ``check --deploy --database default``."""
    if router.db_for_write(Saga) not in (databases or ()):
        return []
    try:
        found = stranded.findings()
    except (OperationalError, ProgrammingError):
        return []  # before the first migration there are no sagas
    return [_stranding(finding) for finding in found]


def _stranding(finding: stranded.Finding) -> CheckMessage:
    if finding.elsewhere:
        hint = "If this code replaces that process, too, it would strand them."
        return Info(str(finding), hint=hint, id="sagas.I005")
    hint = "docs/deploying-changes.md says how to rename an action, drop a step or retire a type."
    hint = f"{finding.remedy} {hint}".lstrip()
    return Warning(str(finding), hint=hint, id="sagas.W013")


@register(Tags.database, deploy=True)
def check_connections(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Compare how many connections PostgreSQL takes with how many the processes that are alive may want."""
    alias = router.db_for_write(Saga)
    connection = connections[alias]
    if alias not in (databases or ()) or connection.vendor != "postgresql":
        return []
    most = int(_value(connection, "SHOW max_connections"))
    reserve = int(_value(connection, "SHOW superuser_reserved_connections"))
    try:
        return list(_too_many(most - reserve, *_alive()))
    except (OperationalError, ProgrammingError):
        return []  # before the first migration nobody can have said hello


def _alive() -> tuple[int, int]:
    """Return how many workers and clocks there are: one of each at least, since nothing would move without."""
    kinds = alive()
    return max(kinds[Process.WORKER], 1), max(kinds[Process.CLOCK], 1)


def alive() -> Counter[str]:
    """Return how many processes of each kind have lately said that they live."""
    since = database_now() - timedelta(seconds=our_settings().ALIVE)
    return Counter(Process.objects.filter(seen_at__gte=since).values_list("kind", flat=True))


def unapplied() -> list[str]:
    """Return the migrations that the database of sagas still lacks, of all apps, as ``sagas.0023_alerts``."""
    executor = MigrationExecutor(connections[router.db_for_write(Saga)])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def lacking() -> list[str]:
    """Return which of our own migrations the database lacks; to hear that there is none costs one statement."""
    applied = MigrationRecorder(connections[router.db_for_write(Saga)]).applied_migrations()
    ours = [each.name for each in iter_modules(migrations.__path__)]
    if all(("sagas", name) in applied for name in ours):
        return []
    return [name for name in unapplied() if name.startswith("sagas.")]


def _too_many(room: int, workers: int, clocks: int) -> Iterator[CheckMessage]:
    handlers = our_settings().CONCURRENCY
    wanted = workers * (handlers + OF_A_WORKER) + clocks * OF_A_CLOCK + OF_A_WEB_PROCESS
    if wanted > room:
        text = (
            f"PostgreSQL has room for {room} connections, and {wanted} may be wanted at once: "
            f"{workers} worker{'s' if workers > 1 else ''} of {handlers} handlers and {OF_A_WORKER} more each, "
            f"{clocks} clock{'s' if clocks > 1 else ''} of {OF_A_CLOCK}, a web process of {OF_A_WEB_PROCESS}."
        )
        hint = f"Raise max_connections or lower SAGAS['CONCURRENCY']; each web process more is {OF_A_WEB_PROCESS} more."
        yield Warning(text, hint=hint, id="sagas.W015")


def _ask_sqlite(connection: Any) -> Iterator[CheckMessage]:
    journal, synchronous = _value(connection, "PRAGMA journal_mode"), _value(connection, "PRAGMA synchronous")
    if str(journal).lower() not in {"wal", "memory"}:
        text = f"SQLite's journal is {journal!r}: whoever reads keeps others from writing."
        yield Warning(text, hint="init_command: PRAGMA journal_mode=WAL;", id="sagas.W008")
    if int(synchronous) < 2:
        text = "SQLite does not wait for the disk: what it has acknowledged may be lost in a power cut."
        yield Warning(text, hint="init_command: PRAGMA synchronous=FULL;", id="sagas.W009")


def _ask_postgres(connection: Any) -> Iterator[CheckMessage]:
    endless = [name for name in TIMEOUTS if _value(connection, f"SHOW {name}") == "0"]
    if endless:
        text = (
            f"PostgreSQL lets a client that is cut off hold its rows for ever: {', '.join(endless)} not set."
        )
        hint = 'OPTIONS = {"options": "-c lock_timeout=5s -c statement_timeout=30s …"}, or ALTER ROLE … SET.'
        yield Warning(text, hint=hint, id="sagas.W010")
    loose = [name for name in ("fsync", "synchronous_commit") if _value(connection, f"SHOW {name}") == "off"]
    if loose:
        text = f"PostgreSQL does not wait for the disk: {', '.join(loose)} off; what it acknowledged may be lost."
        yield Warning(text, hint="Leave both on.", id="sagas.W009")


def _value(connection: Any, question: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def check_redis() -> list[CheckMessage]:
    """Ask Redis what it is. Nothing that it holds is needed, so little of it is serious."""
    try:
        told: dict[str, Any] = bell.brief(lambda redis: redis.info())
    except RedisError as fault:
        return [Info(f"Redis does not answer: {fault}", hint="Workers look by themselves.", id=SILENT_REDIS)]
    return list(_judge_redis(told))


def _judge_redis(told: dict[str, Any]) -> Iterator[CheckMessage]:
    if _numbers(str(told.get("redis_version", "99"))) < OLDEST_REDIS:
        text = f"Redis {told['redis_version']} is too old for RQ."
        yield Warning(text, hint="Install Redis 5 or later, or Valkey.", id="sagas.W011")
    policy = told.get("maxmemory_policy", "noeviction")
    if told.get("maxmemory") and policy != "noeviction":
        text = f"Redis throws jobs away when its memory is full ({policy}): work then waits for the clock."
        yield Warning(text, hint="Set maxmemory-policy noeviction.", id="sagas.W012")
    if not told.get("aof_enabled"):
        text = (
            "Redis does not log what it is told. That is as it should be: a nudge that is lost is made again."
        )
        yield Info(text, id="sagas.I004")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
