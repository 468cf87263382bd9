"""How the project's settings reach the database: measured there, not read in a file."""

import threading
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction

from sagaproject.database import database
from sagas.databases import SQLITE
from sagas.models import Process


def ask(question: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize(
    ("name", "value"),
    [("lock_timeout", "5s"), ("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "10s")],
)
def test_postgres_gives_up_on_who_holds_others_up(db: None, name: str, value: str) -> None:
    assert ask(f"SHOW {name}") == value


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_postgres_frees_what_a_client_that_went_silent_had_locked() -> None:
    """As behind a partition; sooner here than in the settings."""
    import psycopg

    silent = psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor})
    silent.execute("SET idle_in_transaction_session_timeout = '100ms'")
    silent.commit()
    silent.execute("LOCK TABLE sagas_process IN EXCLUSIVE MODE")
    Process.objects.filter(name="nobody").update(busy=1)  # waits for the lock, for less than lock_timeout
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        silent.execute("SELECT 1")
    silent.close()


@pytest.mark.only_on("postgresql")
def test_a_new_connection_comes_with_its_time_zone(db: None) -> None:
    assert ask("SHOW TimeZone") == connection.timezone_name
    source = ask("SELECT source FROM pg_settings WHERE name = 'TimeZone'")
    assert source == "client", "else it is told, on each connection, where the server's is another"


def test_our_side_of_postgres_gives_up_too() -> None:
    options = database("postgresql://u:p@h/n", max_age=0)["OPTIONS"]
    assert {
        "connect_timeout",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
    } <= {name for name, value in options.items() if value}
    assert "pool" not in options
    assert "-c tcp_keepalives_idle=5" in options["options"]


def test_what_the_url_says_comes_before_our_defaults() -> None:
    options = database("postgresql:///n?connect_timeout=1&options=-c%20lock_timeout%3D9s", max_age=0)[
        "OPTIONS"
    ]
    assert options["connect_timeout"] == "1"
    assert options["options"].endswith("-c lock_timeout=9s"), "the last one counts"


@pytest.mark.parametrize(
    "url",
    ["mysql://h/n", "h/n", "sqlite://relative", "sqlite:///", "postgresql://h", "postgresql://u:pa/ss@h/n"],
)
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        database(url, max_age=0)


@pytest.mark.only_on("sqlite")
def test_sqlite_writes_ahead_and_waits(db: None) -> None:
    assert ask("PRAGMA journal_mode") == "wal"
    assert ask("PRAGMA busy_timeout") == 20_000
    assert "synchronous=FULL" in SQLITE["init_command"]
    assert database("sqlite:////x", max_age=0)["OPTIONS"] == SQLITE


@pytest.mark.django_db(transaction=True)
def test_who_reads_and_then_writes_is_never_told_that_the_database_is_locked(django_db_blocker: Any) -> None:
    """With SQLite's own DEFERRED transactions, most of these fail as soon as two of them meet."""
    from django.utils import timezone

    now = timezone.now()
    Process.objects.create(name="p", kind="worker", host="h", pid=1, busy=0, started_at=now, seen_at=now)
    together, faults = threading.Barrier(4), []

    def count_up() -> None:
        try:
            together.wait(20)
            for _ in range(25):
                with transaction.atomic():
                    process = Process.objects.select_for_update().get(name="p")
                    Process.objects.filter(name="p").update(busy=process.busy + 1)
        except Exception as fault:
            faults.append(fault)
        finally:
            connection.close()

    crowd = [threading.Thread(target=count_up) for _ in range(4)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join(60)
    assert faults == []
    assert Process.objects.get().busy == 100
