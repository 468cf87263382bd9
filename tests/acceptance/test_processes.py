"""Processes die, Redis dies, and no saga is lost, stuck or doubled."""

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import django_rq
import pytest
from django.db import connection
from redis import Redis

from sagas.models import Due, Process, Saga
from tests import servers
from tests.acceptance import errands
from tests.acceptance.conftest import Processes
from tests.sagas.elsewhere import says, serving
from tests.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]


def start(**data: Any) -> Saga:
    return errands.Errands().start(data)


def state(saga: Saga) -> str:
    saga.refresh_from_db()
    return saga.state


def ended(saga: Saga, within: float = 30) -> str:
    return until(lambda: state(saga) if state(saga) in {"completed", "failed"} else None, within)


def begun() -> int:
    return sum(word == "begin" for word, *_ in errands.lines())


def effects() -> Counter[str]:
    return Counter(key for word, key, *_ in errands.lines() if word == "effect")


def open_gate(processes: Processes, name: str = "gate") -> None:
    (processes.folder / name).touch()


def test_a_worker_killed_in_the_middle_of_a_step_costs_a_lease(processes: Processes) -> None:
    doomed = processes.start("worker")
    processes.start("clock")
    saga = start(gate="gate")
    until(begun)
    doomed.kill()
    processes.start("worker")
    until(lambda: begun() == 2)
    open_gate(processes)
    assert ended(saga) == "completed"
    assert set(effects().values()) == {1}
    keys = {key for word, key, *_ in errands.lines() if word == "begin"}
    assert len(keys) == 1, "the second attempt has the first one's key"


def test_a_process_that_calls_a_saga_needs_no_worker_and_no_redis(processes: Processes) -> None:
    caller = processes.call({"reject": True}, REDIS_URL="redis://127.0.0.1:1/0")
    assert caller.wait(timeout=60) == 0
    assert processes.logs().split()[-1] == "failed"
    assert Saga.objects.get().state == "failed"
    assert set(effects().values()) == {1}
    assert {int(pid) for *_, pid in errands.lines()} == {caller.pid}


def test_a_saga_outlives_the_process_that_called_it(processes: Processes) -> None:
    doomed = processes.call({"gate": "gate"})
    until(begun)
    processes.start("clock")
    processes.start("worker")
    doomed.kill()
    until(lambda: begun() == 2)
    open_gate(processes)
    assert ended(Saga.objects.get()) == "completed"
    assert set(effects().values()) == {1}
    keys = {key for word, key, *_ in errands.lines() if word == "begin"}
    assert len(keys) == 1, "the second attempt has the first one's key"


def test_a_worker_paused_beyond_its_lease_comes_back_to_a_world_that_went_on(processes: Processes) -> None:
    zombie = processes.start("worker")
    processes.start("clock")
    saga = start(gate="gate")
    until(begun)
    zombie.send_signal(signal.SIGSTOP)
    processes.start("worker")
    until(lambda: begun() == 2)
    open_gate(processes)
    assert ended(saga) == "completed"
    version = saga.version
    zombie.send_signal(signal.SIGCONT)
    zombie.send_signal(signal.SIGTERM)
    zombie.wait(timeout=30)
    saga.refresh_from_db()
    assert (saga.state, saga.version) == ("completed", version)
    assert set(effects().values()) == {1}


def test_sagas_that_roll_back_survive_the_death_of_every_worker(processes: Processes) -> None:
    processes.start("clock")
    sagas = [start(reject=True) for _ in range(6)]
    for _ in range(3):
        worker, seen = processes.start("worker"), len(errands.lines())
        until(lambda seen=seen: len(errands.lines()) > seen or not Saga.objects.active().exists())
        worker.kill()
    processes.start("worker")
    assert {ended(saga, 60) for saga in sagas} == {"failed"}
    assert set(effects().values()) == {1}
    assert sum(":undo:" in key for key in effects()) == 6


def test_sigterm_finishes_what_runs_and_leaves(processes: Processes) -> None:
    worker = processes.start("worker")
    processes.start("clock")
    saga = start(gate="gate")
    until(begun)
    worker.send_signal(signal.SIGTERM)
    open_gate(processes)
    assert worker.wait(timeout=20) == 0
    assert ended(saga) == "completed", "what it ran, it reported"
    until(lambda: not Process.objects.filter(kind="worker").exists())


def test_an_idle_worker_leaves_at_once(processes: Processes) -> None:
    worker, clock = processes.start("worker"), processes.start("clock")
    until(lambda: Process.objects.count() == 2)
    worker.send_signal(signal.SIGTERM)
    clock.send_signal(signal.SIGINT)
    assert (worker.wait(timeout=15), clock.wait(timeout=15)) == (0, 0)


def test_a_flushed_redis_only_delays(processes: Processes) -> None:
    sagas = [start() for _ in range(5)]
    django_rq.get_connection().flushall()
    processes.start("worker")
    processes.start("clock")
    assert {ended(saga) for saga in sagas} == {"completed"}


def test_a_worker_outlives_its_redis(processes: Processes, tmp_path: Path) -> None:
    folder = servers.short_folder("sagadesk-redis-")
    processes.redis_url = servers.redis_url(folder)
    with servers.redis(folder):
        worker, clock = processes.start("worker"), processes.start("clock")
        before = start()
        assert ended(before) == "completed"
        until(lambda: not Due.objects.exists())
    during = start()
    assert ended(during) == "completed", "it looks by itself while nobody can ring"
    with servers.redis(folder):
        assert ended(start()) == "completed"
    assert (worker.poll(), clock.poll()) == (None, None)


def test_a_redis_that_hangs_holds_nothing_up(processes: Processes) -> None:
    folder = servers.short_folder("sagadesk-redis-")
    processes.redis_url = servers.redis_url(folder)
    with servers.redis(folder):
        worker, clock = processes.start("worker", SAGADESK_BUDGET="0.5"), processes.start("clock")
        assert ended(start()) == "completed"
        server = int(Redis.from_url(processes.redis_url).info("server")["process_id"])
        os.kill(server, signal.SIGSTOP)
        try:
            assert {ended(start(reject=reject), 60) for reject in (False, True)} == {"completed", "failed"}
        finally:
            os.kill(server, signal.SIGCONT)
        assert ended(start()) == "completed"
    assert (worker.poll(), clock.poll()) == (None, None)


def test_a_worker_that_has_done_its_share_ends_in_good_order(processes: Processes) -> None:
    worker = processes.start("worker", SAGADESK_BUDGET="0.1", SAGADESK_MAX_JOBS="2")
    processes.start("clock")
    assert worker.wait(timeout=30) == 0
    processes.start("worker")
    assert ended(start()) == "completed"


def test_workers_outlive_their_database_connections(processes: Processes) -> None:
    if connection.vendor != "postgresql":
        return  # SQLite has no server that could drop a connection
    worker = processes.start("worker")
    processes.start("clock")
    assert ended(start()) == "completed"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert ended(start()) == "completed"
    assert worker.poll() is None


def test_a_restart_of_the_database_is_outlived(processes: Processes) -> None:
    if connection.vendor != "postgresql":
        return  # SQLite has no server
    folder = servers.short_folder("sagadesk-postgres-")
    servers.make_cluster(folder)
    with servers.running_cluster(folder), processes.on_another_server(folder):
        worker, clock = processes.start("worker"), processes.start("clock")
        running = start(gate="gate")
        until(begun)
        os.kill(int((folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
        open_gate(processes)
        with servers.running_cluster(folder):
            connection.close()
            assert ended(running) == "completed"
            assert ended(start()) == "completed"
            assert set(effects().values()) == {1}
            assert (worker.poll(), clock.poll()) == (None, None)


def test_a_worker_full_of_handlers_that_hang_makes_way_for_a_fresh_one(processes: Processes) -> None:
    worker = processes.start("worker", SAGADESK_CONCURRENCY="1", SAGADESK_BUDGET="0.5")
    processes.start("clock")
    hanging = [errands.Hangs().start({}) for _ in range(3)]
    assert worker.wait(timeout=60) == 0
    assert {saga.state for saga in Saga.objects.filter(pk__in=[h.pk for h in hanging])} == {"pending"}
    processes.start("worker")
    assert ended(start()) == "completed"


def test_any_number_of_clocks_and_workers_share_the_work(processes: Processes) -> None:
    for _ in range(2):
        processes.start("worker")
        processes.start("clock")
    sagas = [start(reject=bool(i % 3 == 0)) for i in range(30)]
    assert Counter(ended(saga, 60) for saga in sagas) == {"completed": 20, "failed": 10}
    assert set(effects().values()) == {1}
    assert not Due.objects.exists()


def test_a_forged_job_is_refused(processes: Processes, tmp_path: Path) -> None:
    from rq import Queue
    from rq.serializers import JSONSerializer

    redis = django_rq.get_connection()
    target = tmp_path / "touched"
    forged = Queue("default", connection=redis, serializer=JSONSerializer).enqueue_call(
        "os.system", (f"touch {target}",)
    )
    worker = processes.start("worker", SAGADESK_BUDGET="0.1")
    processes.start("clock")
    until(lambda: forged.get_status(refresh=True) in {"failed", "finished"})
    assert forged.is_failed
    assert not target.exists()
    assert ended(start()) == "completed", "and the worker goes on"
    assert worker.poll() is None


def test_a_worker_that_starts_before_its_redis_waits_for_it(processes: Processes) -> None:
    folder = servers.short_folder("sagadesk-redis-")
    processes.redis_url = servers.redis_url(folder)
    worker, clock = processes.start("worker"), processes.start("clock")
    until(lambda: Process.objects.count() == 2)
    saga = start()
    with servers.redis(folder):
        assert ended(saga) == "completed"
    assert (worker.poll(), clock.poll()) == (None, None)


def test_whoever_is_left_tells_that_the_others_are_gone(processes: Processes) -> None:
    with serving() as chat:
        chat.behaviour = says(200)
        told = {
            "SAGADESK_ALERTS": json.dumps({"chat": {"webhook": chat.url, "private": True}}),
            "SAGADESK_ALERT_AFTER": "0",
            "SAGADESK_ALIVE": "2",
        }
        clock = processes.start("clock", **told)
        worker = processes.start("worker", **told)
        until(lambda: Process.objects.count() == 2)
        clock.kill()
        until(lambda: any("No clock is alive" in asked.body["text"] for asked in [*chat.asked]))
        processes.start("clock", **told)
        until(lambda: Process.objects.count() == 3)
        worker.kill()
        until(lambda: any("No worker is alive" in asked.body["text"] for asked in [*chat.asked]))
