"""What we stand on is looked at: each finding says what can happen, and what helps."""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core import checks
from django.core.checks import WARNING, CheckMessage
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from sagas import bell, soundness
from sagas.clock import database_now
from sagas.management.commands._saga import running, upkeep
from sagas.models import Process
from tests.shell import Run

ON_SQLITE = connection.vendor == "sqlite"


def ids(messages: list[CheckMessage]) -> list[str]:
    assert all(message.hint or message.level < WARNING for message in messages)
    return [str(message.id) for message in messages]


@pytest.fixture
def options() -> Iterator[dict[str, Any]]:
    """The database's options, which a test may change."""
    with mock.patch.dict(connection.settings_dict["OPTIONS"]):
        yield connection.settings_dict["OPTIONS"]


def test_our_own_settings_are_sound(db: None) -> None:
    assert soundness.check_queues() == []
    assert soundness.check_options() == []
    assert soundness.check_daphne() == []
    assert ids(soundness.check_database(["default"])) == ["sagas.W009"], "tests do not wait for the disk"


class Apart:
    """Has the sagas in a database of their own."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "sagas" if model._meta.app_label == "sagas" else None


def test_sagas_in_a_database_of_their_own_are_refused(settings: Any) -> None:
    assert soundness.check_alias() == []
    settings.DATABASE_ROUTERS = [f"{__name__}.Apart"]
    (message,) = soundness.check_alias()
    assert ids([message]) == ["sagas.E017"]
    assert message.msg.startswith("DATABASE_ROUTERS sends the app sagas to sagas: ")


@pytest.mark.parametrize(
    ("library", "found"), [((3, 51, 2), ON_SQLITE), ((3, 40, 1), ON_SQLITE), ((3, 51, 3), False)]
)
def test_an_sqlite_that_corrupts_is_mentioned(library: tuple[int, ...], found: bool) -> None:
    with mock.patch("sqlite3.sqlite_version_info", library):
        messages = soundness.check_sqlite()
    assert ids(messages) == (["sagas.I002"] if found else [])


def test_a_queue_of_pickles_is_named(settings: Any) -> None:
    settings.RQ_QUEUES = {"default": {"SERIALIZER": "rq.serializers.JSONSerializer"}, "events": {"URL": "x"}}
    (message,) = soundness.check_queues()
    assert (message.id, "events" in message.msg, "default" in message.msg) == ("sagas.W002", True, False)


def test_a_projects_own_queues_may_be_of_pickles(settings: Any) -> None:
    settings.RQ_QUEUES = {
        "mail": {"URL": "x"},
        "default": {"URL": "x"},
        "sagas": {"SERIALIZER": "a.JSONSerializer"},
    }
    settings.SAGAS = {**settings.SAGAS, "RQ": "sagas"}
    assert soundness.check_queues() == []


SQLITE = [("transaction_mode", "DEFERRED", "sagas.W003"), ("timeout", 5, "sagas.W004")]
POSTGRES = [("pool", True, "sagas.W005"), ("connect_timeout", None, "sagas.W006")]


@pytest.mark.parametrize(("name", "value", "found"), SQLITE if ON_SQLITE else POSTGRES)
def test_an_option_that_fails_under_load_is_found(
    options: dict[str, Any], name: str, value: Any, found: str
) -> None:
    options[name] = value
    assert ids(soundness.check_options()) == [found]


def test_the_database_is_asked_itself(db: None) -> None:
    if ON_SQLITE:
        answers = {"PRAGMA journal_mode": "delete", "PRAGMA synchronous": 1}
        found = ["sagas.W008", "sagas.W009"]
    else:
        answers = dict.fromkeys((f"SHOW {name}" for name in soundness.TIMEOUTS), "0")
        answers |= {"SHOW fsync": "on", "SHOW synchronous_commit": "off"}
        found = ["sagas.W010", "sagas.W009"]
    with mock.patch.object(soundness, "_value", lambda _, question: answers[question]):
        assert ids(soundness.check_database(["default"])) == found
    assert soundness.check_database(["another"]) == [], "only where sagas live"


@pytest.mark.parametrize(("installed", "found"), [("4.2.1", 1), ("4.2.2", 0), ("4.10.0", 0), ("3.9", 1)])
def test_a_daphne_with_holes_is_found(installed: str, found: int) -> None:
    with mock.patch.object(soundness, "version", return_value=installed):
        assert ids(soundness.check_daphne()) == ["sagas.W007"] * found


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"redis_version": "7.2.4", "aof_enabled": 1}, []),
        ({"redis_version": "7.2.4", "aof_enabled": 0}, ["sagas.I004"]),
        ({"redis_version": "4.0.9", "aof_enabled": 1}, ["sagas.W011"]),
        ({"aof_enabled": 1, "maxmemory": 1, "maxmemory_policy": "allkeys-lru"}, ["sagas.W012"]),
        ({"aof_enabled": 1, "maxmemory": 1, "maxmemory_policy": "noeviction"}, []),
        ({"aof_enabled": 1, "maxmemory": 0, "maxmemory_policy": "allkeys-lru"}, []),
    ],
)
def test_redis_is_judged_by_what_it_says(told: dict[str, Any], found: list[str]) -> None:
    assert ids(list(soundness._judge_redis(told))) == found


def test_redis_is_asked_and_may_be_away() -> None:
    assert ids(soundness.check_redis()) == ["sagas.I004"]
    with mock.patch.object(bell, "brief", side_effect=bell.RedisError("away")):
        (message,) = soundness.check_redis()
    assert (message.id, message.is_serious()) == ("sagas.I003", False)


def test_a_deployment_as_it_is_documented_has_no_findings(tmp_path: Path) -> None:
    """And needs no server to say so."""
    deployed = {
        "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
        "DATABASE_URL": "postgresql://user:password@db.example.org/sagadesk",
        "REDIS_URL": "rediss://redis.example.org",
        "SAGADESK_HTTPS": "1",
        "SAGADESK_ALLOWED_HOSTS": "desk.example.org",
        "SAGADESK_ORIGINS": "https://desk.example.org",
        "SAGADESK_DATA": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "DEBUG"],
        env=os.environ | deployed,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_saga_check_asks_the_servers(db: None) -> None:
    assert upkeep.of_servers()[0] == []
    evicting = {"maxmemory": 1, "maxmemory_policy": "allkeys-lru", "aof_enabled": 1}
    with mock.patch.object(bell, "brief", return_value=evicting):
        (problem,), _ = upkeep.of_servers()
    assert "noeviction" in problem


def test_saga_check_mentions_that_nobody_works(db: None, run: Run) -> None:
    now = database_now()
    process = {"host": "h", "pid": 1, "started_at": now}
    with mock.patch.object(bell, "brief", side_effect=bell.RedisError("away")):
        code, _, err = run("check")
    assert code == 0, "before a first deploy nobody does"
    assert "Redis does not answer: away" in err
    assert "To be looked at: No worker is alive" in err
    assert "To be looked at: No clock is alive" in err
    assert err.endswith("No problem.\n")
    Process.objects.create(name="w", kind=Process.WORKER, seen_at=now, **process)
    Process.objects.create(name="c", kind=Process.CLOCK, seen_at=now, **process)
    assert "alive" not in run("check").err


@pytest.mark.parametrize(
    ("app", "code", "says"),
    [("sagas", 1, "The database"), ("auth", 0, "To be looked at: The database")],
)
def test_saga_check_says_that_a_database_is_not_migrated(
    db: None, run: Run, app: str, code: int, says: str
) -> None:
    assert soundness.unapplied() == []
    last = MigrationRecorder.Migration.objects.filter(app=app).order_by("name").last()
    assert last is not None
    last.delete()
    done = run("check")
    assert done.code == code
    assert f"{says} lacks the migration {app}.{last.name}: `python manage.py migrate`." in done.err


@pytest.mark.parametrize("process", ["worker", "clock"])
def test_a_process_waits_for_a_database_that_is_not_migrated(
    db: None, run: Run, process: str, caplog: pytest.LogCaptureFixture
) -> None:
    last = MigrationRecorder.Migration.objects.filter(app="sagas").order_by("name").last()
    assert last is not None
    last.delete()
    text = f"The database lacks the migration sagas.{last.name}: `python manage.py migrate`."
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            MigrationRecorder.Migration.objects.create(app="sagas", name=last.name)

    with (
        mock.patch.object(running.time, "sleep", sleep),
        mock.patch.object(running.processes, f"run_{process}", side_effect=lambda *_, **__: waited.append(0)),
    ):
        assert run(process).code == 0
    assert waited == [running.PAUSE, running.PAUSE, 0]
    said = [record.getMessage() for record in caplog.records if record.name == running.__name__]
    assert said == [f"{text} It is waited for.", "the database is migrated"]


def test_who_only_does_what_is_there_does_not_wait_for_migrations(db: None, run: Run) -> None:
    MigrationRecorder.Migration.objects.filter(app="sagas").delete()
    done = run("worker", "--burst")
    assert done.code == 1
    assert re.search(
        r"lacks the migration sagas\.0001_\w+ and \d+ more: `python manage.py migrate`", done.err
    )


def test_who_is_interrupted_while_waiting_says_so(db: None, run: Run) -> None:
    MigrationRecorder.Migration.objects.filter(app="sagas").delete()
    with mock.patch.object(running.time, "sleep", side_effect=KeyboardInterrupt):
        done = run("clock")
    assert (done.code, done.err) == (1, "CommandError: Stopped before it began.\n")


def test_that_nothing_is_lacking_costs_one_statement(db: None, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(2):  # of which one asks whether there is such a table
        assert soundness.lacking() == []


def test_saga_check_asks_each_server_once(db: None) -> None:
    with (
        mock.patch.object(soundness, "check_redis", wraps=soundness.check_redis) as redis,
        mock.patch.object(checks, "run_checks", wraps=checks.run_checks) as run_checks,
        contextlib.suppress(CommandError),
    ):
        call_command("saga", "check", stderr=io.StringIO(), stdout=io.StringIO())
    of_database = [call for call in run_checks.call_args_list if call.kwargs.get("databases")]
    assert (redis.call_count, len(of_database)) == (1, 1)


def test_a_group_that_is_asked_and_is_not_there_is_told_and_strands_nothing(db: None) -> None:
    told = "RefundApproval: step large_refund asks the group managers, and there is no such group"
    problems, advice = upkeep.of_servers()
    assert any(told in said for said in advice)
    assert problems == []
    Group.objects.create(name="managers")
    assert not any(told in said for said in upkeep.of_servers()[1])


@pytest.mark.parametrize(
    ("room", "alive", "says"),
    [
        (64, (1, 1), None),
        (63, (1, 1), "63 connections, and 64 may be wanted at once: 1 worker of 32 handlers"),
        (197, (4, 2), None),
        (97, (4, 2), "176 may be wanted at once: 4 workers of 32 handlers and 4 more each, 2 clocks of 4"),
    ],
)
def test_connections_are_counted_against_what_the_database_takes(
    room: int, alive: tuple[int, int], says: str | None, settings: Any
) -> None:
    settings.SAGAS = {**settings.SAGAS, "CONCURRENCY": 32}
    messages = list(soundness._too_many(room, *alive))
    assert ids(messages) == (["sagas.W015"] if says else [])
    assert not says or says in messages[0].msg


def test_the_workers_that_are_alive_are_counted_and_one_at_least(db: None) -> None:
    assert soundness._alive() == (1, 1)
    now = database_now()
    for name, seen in (("a", now), ("b", now), ("gone", now - timedelta(hours=1))):
        process = {"kind": Process.WORKER, "host": "h", "pid": 1, "started_at": now, "seen_at": seen}
        Process.objects.create(name=name, **process)
    assert soundness._alive() == (2, 1)


def test_postgresql_is_asked_how_many_it_takes(db: None) -> None:
    with mock.patch.object(soundness, "_too_many", return_value=[]) as judged:
        assert soundness.check_connections(["default"]) == []
        assert soundness.check_connections() == []
    assert judged.call_args_list == ([] if ON_SQLITE else [mock.call(200 - 3, 1, 1)])
