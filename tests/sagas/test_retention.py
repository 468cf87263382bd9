"""Pruning: what is long over goes, with all that hangs on it; what anybody may still need stays."""

import json
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from sagas import orchestrator
from sagas.engine import Pump
from sagas.management.commands._saga import archive, keeping
from sagas.models import Definition, Due, Event, LateReply, OperatorAction, Saga, Step
from sagas.orchestrator import Asked, pins
from tests.archives import documents_in
from tests.sagas import shop
from tests.shell import Run

pytestmark = pytest.mark.django_db(transaction=True)

SHELL = Asked(operator=None, via="command", reason="housekeeping")
MONTH = timedelta(days=30)


@pytest.fixture
def done(world: shop.World, pump: Pump) -> Callable[..., Saga]:
    """Run an errand to its end, a number of days ago."""

    def make(days: int = 60, **data: Any) -> Saga:
        saga = shop.Errand().start({"item": "book", **data})
        pump.run(budget=30)
        return aged(saga, days)

    return make


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "PAUSE", 0.0)


def aged(saga: Saga, days: int) -> Saga:
    Saga.objects.filter(pk=saga.pk).update(finished_at=Now() - timedelta(days=days))
    saga.refresh_from_db()
    return saga


def failed(**data: Any) -> Saga:
    saga = shop.Errand().start({"item": "book", **data})
    orchestrator.step_failed(saga.pk, "fetch", "sold out")
    saga.refresh_from_db()
    return saga


def prune(batch: int = 10, keep: Any = None, older_than: timedelta = MONTH) -> list[Any]:
    return [pk for ids in orchestrator.prune(older_than, batch, SHELL, keep) for pk in ids]


def left() -> set[Any]:
    return set(Saga.objects.values_list("pk", flat=True))


# What goes, and what stays


def test_what_is_long_over_goes_with_its_steps_events_and_late_replies(done: Callable[..., Saga]) -> None:
    old, young = done(60), done(10)
    orchestrator.step_completed(old.pk, "fetch", "late")
    assert prune() == [old.pk]
    assert left() == {young.pk}
    for model in (Step, Event):
        assert set(model.objects.values_list("saga_id", flat=True)) == {young.pk}
    assert not LateReply.objects.exists()


def test_the_longest_finished_go_first_in_batches(done: Callable[..., Saga]) -> None:
    sagas = [done(60 + n) for n in range(5)]
    batches = list(orchestrator.prune(MONTH, 2, SHELL))
    assert batches == [[s.pk for s in part] for part in (sagas[:2:-1], sagas[2:0:-1], sagas[:1])]


@pytest.mark.parametrize("age", ["created_at", "updated_at"])
def test_an_unfinished_saga_stays_however_old_it_is(errand: Callable[..., Saga], age: str) -> None:
    saga = errand()
    Saga.objects.update(**{age: Now() - timedelta(days=1000)})
    assert prune() == []
    assert left() == {saga.pk}


def test_a_saga_with_a_late_effect_stays_until_that_is_settled(
    done: Callable[..., Saga], operator: Any
) -> None:
    saga = done()
    Saga.objects.update(attention="late_effect")
    assert prune() == []
    Saga.objects.update(attention=None)
    assert prune() == [saga.pk]


def test_a_saga_whose_event_nobody_has_taken_yet_stays(done: Callable[..., Saga]) -> None:
    saga = done()
    undelivered = Due.objects.create(
        kind="delivery", saga=saga, queue="events", due_at=saga.created_at, name="x", event="ErrandCompleted"
    )
    assert prune() == []
    undelivered.delete()
    assert prune() == [saga.pk]


def restarted(first: Saga, operator: Any) -> Saga:
    asked = Asked(operator=operator, via="desk", reason="again")
    return Saga.objects.get(pk=orchestrator.act(first.pk, "restart", asked).created)


def test_a_saga_stays_while_its_restart_runs_or_is_young(
    pump: Pump, world: shop.World, operator: Any
) -> None:
    first = aged(failed(), 60)
    second = restarted(first, operator)
    assert prune() == []
    pump.run(budget=30)
    aged(second, 10)
    assert prune() == []
    aged(second, 50)
    assert prune() == [first.pk, second.pk]


def test_a_restart_never_goes_before_its_origin(pump: Pump, world: shop.World, operator: Any) -> None:
    first = aged(failed(), 60)
    second = restarted(first, operator)
    pump.run(budget=30)
    aged(second, 50)
    Saga.objects.filter(pk=first.pk).update(attention="late_effect")
    assert prune() == []
    Saga.objects.filter(pk=first.pk).update(attention=None)
    assert prune(batch=1) == [first.pk, second.pk]


def test_a_restart_stays_while_its_origin_stays_for_the_sake_of_another(
    errand: Callable[..., Saga], pump: Pump, world: shop.World, operator: Any
) -> None:
    first = aged(failed(), 60)
    second = restarted(first, operator)
    pump.run(budget=30)
    aged(second, 50)
    Saga.objects.filter(pk=errand().pk).update(origin=first, origin_kind="repair")
    assert prune() == []


def test_what_a_saga_was_a_restart_of_stays_known_when_that_is_gone(
    pump: Pump, world: shop.World, operator: Any, client: Any
) -> None:
    first = aged(failed(), 60)
    second = restarted(first, operator)
    pump.run(budget=30)
    aged(second, 50)
    next(orchestrator.prune(MONTH, 1, SHELL))
    assert orchestrator.snapshot(Saga.objects.get())["origin"] == str(first.pk)
    client.force_login(operator)
    for page in (f"/sagas/{second.pk}/", "/sagas/", f"/admin/sagas/saga/{second.pk}/change/"):
        assert client.get(page).status_code == 200


# The audit trail


def test_what_operators_did_outlives_the_saga(operator: Any, client: Any) -> None:
    saga = shop.Errand().start({"item": "book", "hold": True})
    orchestrator.step_failed(saga.pk, "fetch", "sold out")
    asked = Asked(operator=operator, via="desk", reason="enough of it", action_id="a1")
    orchestrator.act(saga.pk, "compensate", asked)
    aged(saga, 60)
    assert prune() == [saga.pk]
    deed = OperatorAction.objects.get(verb="compensate")
    assert (deed.saga_id, deed.operator, deed.reason) == (saga.pk, operator, "enough of it")
    named = {"type": "Errand", "correlation_id": saga.correlation_id, "state": "failed"}
    assert deed.answer == {"pruned": named}, "the copy of the saga went with it"
    client.force_login(operator)
    for page in ("/audit/", "/admin/sagas/operatoraction/"):
        assert "enough of it" in client.get(page).content.decode()
    assert saga.correlation_id in client.get("/audit/").content.decode()


def test_who_pruned_how_many_is_one_row_of_the_audit_trail(
    done: Callable[..., Saga], client: Any, operator: Any
) -> None:
    for n in range(3):
        done(60 + n)
    prune(batch=2)
    deed = OperatorAction.objects.get()
    assert (deed.verb, deed.saga_id, deed.reason, deed.answer) == (
        "prune",
        None,
        "housekeeping",
        {"removed": 3},
    )
    client.force_login(operator)
    for page in ("/audit/", "/admin/sagas/operatoraction/"):
        assert "housekeeping" in client.get(page).content.decode()
    prune()
    assert OperatorAction.objects.count() == 1, "a run that removed nothing did nothing"


# Definitions


def test_a_definition_goes_when_nobody_needs_it_and_nobody_may_be_about_to(done: Callable[..., Saga]) -> None:
    done()
    prune()
    assert Definition.objects.exists(), "a process may be about to start a saga with it"
    Definition.objects.update(used_at=Now() - timedelta(days=2))
    kept = done(0)
    prune()
    assert Definition.objects.exists(), "a saga needs it"
    kept.delete()
    for model in (Step, Event):
        model.objects.all().delete()
    Definition.objects.update(used_at=Now() - timedelta(days=2))
    prune()
    assert not Definition.objects.exists()


def test_who_is_no_longer_sure_of_a_definition_makes_sure(
    errand: Callable[..., Saga], monkeypatch: pytest.MonkeyPatch
) -> None:
    errand()
    Definition.objects.update(used_at=Now() - timedelta(days=2))
    errand()
    assert Definition.objects.filter(used_at__lt=Now() - timedelta(days=1)).exists(), "it was sure"
    pins._stored.update(dict.fromkeys(pins._stored, 0.0))
    errand()
    assert not Definition.objects.filter(used_at__lt=Now() - timedelta(days=1)).exists()


# Others, at the same time


def test_a_saga_that_somebody_has_locked_is_left_for_the_next_time(done: Callable[..., Saga]) -> None:
    if connection.vendor != "postgresql":
        return  # SQLite has one writer: there is nobody else while we remove
    held, free = done(61), done(60)
    locked, go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            list(Saga.objects.select_for_update().filter(pk=held.pk))
            locked.set()
            go.wait(30)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    locked.wait(30)
    try:
        assert prune() == [free.pk]
    finally:
        go.set()
        other.join()
    assert prune() == [held.pk]


def test_concurrent_prunes_remove_each_saga_once_and_touch_no_other(
    done: Callable[..., Saga], errand: Callable[..., Saga]
) -> None:
    old = {done(60 + n).pk for n in range(12)}
    running = errand()
    removed: list[Any] = []
    faults: list[Exception] = []

    def work() -> None:
        try:
            removed.extend(prune(batch=2))
        except Exception as fault:
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    removed += prune()
    assert sorted(removed) == sorted(old)
    assert left() == {running.pk}


def test_sagas_run_on_while_others_are_pruned(
    done: Callable[..., Saga], errand: Callable[..., Saga], pump: Pump
) -> None:
    for n in range(6):
        done(60 + n)
    running = [errand() for _ in range(5)]
    for _ in orchestrator.prune(MONTH, 2, SHELL):
        pump.run(budget=30)
    assert {Saga.objects.get(pk=saga.pk).state for saga in running} == {"completed"}
    assert left() == {saga.pk for saga in running}


def test_a_batch_takes_as_many_queries_whatever_its_size(done: Callable[..., Saga], tmp_path: Path) -> None:
    counted = []
    for size in (1, 8):
        for n in range(size):
            done(60 + n)
        with archive.Archive(tmp_path / "a") as file, CaptureQueriesContext(connection) as queries:
            assert len(next(orchestrator.prune(MONTH, 8, SHELL, file.keep))) == size
        # SQLite executes one prepared statement per row, which crosses no wire.
        counted.append(
            len({q["sql"].split(" WHERE")[0] for q in queries} if connection.vendor == "sqlite" else queries)
        )
    assert counted[0] == counted[1]


# Nothing is lost on the way to the file


class Died(BaseException):
    """The process ends here."""


def test_each_saga_is_in_the_file_before_it_is_gone(done: Callable[..., Saga], tmp_path: Path) -> None:
    sagas = [done(60 + n) for n in range(5)]
    whole = {str(s.pk): orchestrator.export(s.pk, reveal=True) for s in sagas}
    path = tmp_path / "old.jsonl.zst"
    with archive.Archive(path) as file:
        prune(batch=2, keep=file.keep)
    assert {d["saga"]["id"]: d for d in documents_in(path)} == whole
    assert path.stat().st_mode & 0o777 == 0o600
    assert not left()


def test_a_crash_between_file_and_database_leaves_the_saga_in_both(
    done: Callable[..., Saga], tmp_path: Path
) -> None:
    sagas = {str(done(60 + n).pk) for n in range(4)}
    path = tmp_path / "old.jsonl.zst"
    with (
        mock.patch("sagas.orchestrator.retention._remove", side_effect=Died),
        pytest.raises(Died),
        archive.Archive(path) as file,
    ):
        prune(batch=2, keep=file.keep)
    assert len(documents_in(path)) == 2
    assert len(left()) == 4
    with archive.Archive(path) as file:
        prune(batch=2, keep=file.keep)
    assert {d["saga"]["id"] for d in documents_in(path)} == sagas
    assert not left()


@pytest.mark.parametrize("cut", [1, 3, 20])
def test_a_frame_that_a_crash_cut_off_is_moved_aside(
    done: Callable[..., Saga], tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "old.jsonl.zst"
    done()
    with archive.Archive(path) as file:
        prune(keep=file.keep)
    before = path.read_bytes()
    path.write_bytes(before + before[:cut])
    second = done()
    with archive.Archive(path) as file:
        prune(keep=file.keep)
    assert [d["saga"]["id"] for d in documents_in(path)][1:] == [str(second.pk)]
    assert (tmp_path / "old.jsonl.zst.torn").read_bytes() == before[:cut]


def test_what_changed_since_it_was_written_is_not_removed(done: Callable[..., Saga], tmp_path: Path) -> None:
    one, other = done(61), done(60)
    with archive.Archive(tmp_path / "a") as file:

        def keep(documents: Any) -> None:
            file.keep(documents)
            orchestrator.step_completed(one.pk, "fetch", "late, and not in the file")

        assert prune(keep=keep) == [other.pk]
        assert left() == {one.pk}
        assert prune(keep=file.keep) == [one.pk]


# The command


@pytest.mark.parametrize("age", ["90", "d", "90x", "-1d", "1.5h", "", "9999999d", "999999d", "90d 12h"])
def test_an_age_that_is_none_is_bad_usage(run: Run, age: str) -> None:
    ended = run("prune", f"--older-than={age}")
    assert (ended.code, ended.out) == (2, "")
    assert "90d, 12h or 30m" in ended.err


@pytest.mark.parametrize("batch", ["0", "1001", "x"])
def test_a_batch_is_from_1_to_1000(run: Run, batch: str) -> None:
    assert run("prune", "--older-than", "90d", "--batch", batch).code == 2
    assert run("prune").code == 2


def test_prune_prints_ids_and_says_how_many(run: Run, done: Callable[..., Saga], tmp_path: Path) -> None:
    saga, path = done(), tmp_path / "old.jsonl.zst"
    dry = run("prune", "--older-than", "30d", "--dry-run", "--export", path)
    assert (dry.code, dry.out) == (0, f"{saga.pk}\n")
    assert "1 saga would be removed" in dry.err
    assert (left(), path.exists()) == ({saga.pk}, False)
    ended = run("prune", "--older-than", "720h", "--export", path)
    assert (ended.code, ended.out) == (0, f"{saga.pk}\n")
    assert "1 saga removed" in ended.err
    assert [d["saga"]["id"] for d in documents_in(path)] == [str(saga.pk)]
    assert (run("prune", "--older-than", "30d").code, left()) == (0, set())


def test_a_file_that_cannot_be_written_removes_nothing(
    run: Run,
    done: Callable[..., Saga],
    tmp_path: Path,
) -> None:
    saga, other = done(), tmp_path / "other"
    other.write_text("something else")
    for path, says in ((tmp_path / "none" / "x", "cannot be written"), (other, "not a zstd file")):
        ended = run("prune", "--older-than", "30d", "--export", path)
        assert (ended.code, ended.out, left()) == (1, "", {saga.pk})
        assert says in ended.err
    assert other.read_text() == "something else"
    with archive.Archive(tmp_path / "busy"):
        ended = run("prune", "--older-than", "30d", "--export", tmp_path / "busy")
    assert (ended.code, left()) == (1, {saga.pk})
    assert "another process" in ended.err
    with mock.patch("os.fsync", side_effect=OSError(28, "No space left on device")):
        ended = run("prune", "--older-than", "30d", "--export", tmp_path / "full")
    assert (ended.code, left()) == (1, {saga.pk})
    assert "No space left" in ended.err


def test_ctrl_c_stops_between_batches_and_says_how_far_it_came(
    run: Run,
    done: Callable[..., Saga],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for n in range(3):
        done(60 + n)
    clock = mock.Mock(monotonic=time.monotonic, sleep=mock.Mock(side_effect=KeyboardInterrupt))
    monkeypatch.setattr(keeping, "time", clock)
    ended = run("prune", "--older-than", "30d", "--batch", "1")
    assert (ended.code, len(ended.out.split()), len(left())) == (1, 1, 2)
    assert "Stopped. 1 saga removed" in ended.err


def test_export_and_import_on_the_command_line(
    run: Run,
    world: shop.World,
    pump: Pump,
    tmp_path: Path,
) -> None:
    saga, path = shop.Errand().start({"item": "book"}), tmp_path / "saga.json"
    pump.run(budget=30)
    assert run("export", saga.pk).json == orchestrator.export(saga.pk)
    ended = run("export", saga.pk, "--reveal", "--output", path)
    assert (ended.code, ended.out) == (0, f"{saga.pk}\n")
    same = run("import", path)
    assert (same.code, same.out, "already" in same.err) == (0, f"{saga.pk}\n", True)
    assert prune(older_than=timedelta(0)) == [saga.pk]
    assert (run("import", path, "--dry-run").code, left()) == (0, set())
    ended = run("import", path)
    assert (ended.code, ended.out, left()) == (0, f"{saga.pk}\n", {saga.pk})
    assert run("export", saga.pk, "--reveal").out == path.read_text()
    assert [run("export", word).code for word in ("nonsense", "018f0000-0000-7000-8000-000000000000")] == [
        1,
        1,
    ]
    assert run("export", saga.pk, "--output", tmp_path / "none" / "x").code == 1


def test_an_export_puts_no_file_in_the_place_of_a_pipe_or_a_link(
    run: Run, world: shop.World, tmp_path: Path
) -> None:
    saga = shop.Errand().start({"item": "book"})
    pipe, kept, link = tmp_path / "pipe", tmp_path / "kept", tmp_path / "link"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert run("export", saga.pk, "--output", pipe).code == 0
    told = os.read(reader, 65_536)
    os.close(reader)
    assert pipe.is_fifo()
    kept.write_text("what was there before")
    link.symlink_to(kept)
    assert run("export", saga.pk, "--output", link).code == 0
    assert (link.is_symlink(), kept.read_bytes()) == (True, told)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"format": NaN}', "[" * 100_000, '"\\ud800"'])
def test_a_file_that_is_no_document_is_refused_in_a_sentence(run: Run, tmp_path: Path, text: str) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    ended = run("import", path)
    assert (ended.code, ended.out) == (1, "")
    assert run("import", tmp_path / "none").code == 1
    path.write_bytes(b"\xff\xfe")
    assert run("import", path).code == 1


def test_a_saga_of_an_archive_can_be_taken_in_again_with_what_people_did(
    world: shop.World, pump: Pump, asked: Any
) -> None:
    saga = shop.Errand().start({"item": "book"})
    for verb in ("pause", "resume"):
        orchestrator.act(saga.pk, verb, asked())
    pump.run(budget=30)
    aged(saga, 60)
    kept: list[Any] = []
    assert prune(keep=kept.extend) == [saga.pk]
    document = json.loads(json.dumps(kept[0]))
    document["saga"]["finished_at"] = document["saga"]["updated_at"]  # it was not aged in earnest
    orchestrator.import_saga(document, SHELL)
    trail = OperatorAction.objects.filter(saga_id=saga.pk).order_by("id").values_list("verb", flat=True)
    assert [verb for verb in trail if verb != "prune"] == ["pause", "resume", "import"]
