"""The desk on the command line: ids and JSON on stdout, all else on stderr; 0, 1 or 2; and never a traceback."""

import io
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError

from sagas import orchestrator
from sagas.core.ids import uuid7
from sagas.models import Definition, OperatorAction, Saga, Token
from tests.shell import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(errand: Callable[..., Saga]) -> Saga:
    """A saga that is held at its first step."""
    saga = errand(hold=True)
    orchestrator.step_failed(saga.pk, "fetch", "sold out")
    saga.refresh_from_db()
    return saga


# Starting and reading


def test_start_prints_the_id_and_the_same_key_the_same_id(run: Run) -> None:
    first = run("start", "Errand", "--data", '{"item": "book"}', "--key", "k", "--correlation-id", "mine")
    again = run("start", "Errand", "--data", '{"item": "book"}', "--key", "k")
    saga = Saga.objects.get()
    assert (first.code, first.out) == (again.code, again.out) == (0, f"{saga.pk}\n")
    assert saga.correlation_id == "mine"


def test_data_can_come_from_stdin(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"item": "pen"}'))
    assert run("start", "Errand", "--data", "-").code == 0
    assert Saga.objects.get().data == {"item": "pen"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("start", "Nonsense", "--data", "{}"), 1, "Errand"),
        (("start", "Errand", "--data", "{}"), 1, "data.item"),
        (("start", "Errand", "--data", '{"item": "\\u0000"}'), 1, "NUL"),
        (("start", "Errand", "--data", '{"item": 1e999}'), 1, "JSON"),
        (("start", "Errand", "--data", "{"), 2, "not JSON"),
        (("start", "Errand", "--data", "[1]"), 2, "not a JSON object"),
        (("start", "Errand", "--data", '{"item": "\\ud800"}'), 2, "not JSON"),
        (("start", "Errand", "--data", '{"item": NaN}'), 2, "NaN"),
        (("start", "Errand", "--data", "[" * 100_000), 2, "not JSON"),
        (("start",), 2, "TYPE"),
        ((), 2, "COMMAND"),
        (("explode", "x"), 2, "explode"),
        (("show", "nonsense"), 1, "nonsense"),
        (("show", uuid7()), 1, "no saga"),
        (("list", "--state", "stuck"), 2, "stuck"),
        (("list", "--attention", "yes"), 2, "yes"),
        (("list", "--limit", "0"), 2, "1 to 1000"),
        (("list", "--limit", "many"), 2, "many"),
        (("list", "--after", "7"), 1, "7"),
        (("token", "nobody"), 1, "nobody"),
        (("retry", uuid7(), "--step", "fetch", "--reason", "x"), 1, "no saga"),
        (("pause", "nonsense", "--reason", "x"), 1, "nonsense"),
        (("pause", uuid7()), 2, "--reason"),
        (("pause", uuid7(), "--reason", " "), 2, "--reason"),
        (("pause", uuid7(), "--reason", "x", "--version", "-1"), 2, "version"),
        (("pause", uuid7(), "--reason", "x", "--as", "nobody"), 1, "nobody"),
        (("start", "Errand", "--data", '{"item": "book"}', "--as", "nobody"), 1, "nobody"),
        (("resolve", uuid7(), "--step", "fetch", "--reason", "x"), 2, "--outcome"),
        (("resolve", uuid7(), "--step", "fetch", "--reason", "x", "--outcome", "maybe"), 2, "maybe"),
        (("edit", uuid7(), "--reason", "x"), 2, "--data"),
        (("edit", uuid7(), "--reason", "x", "--data", "oops"), 2, "not JSON"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    run: Run, words: tuple[Any, ...], code: int, says: str
) -> None:
    ended = run(*words)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
    assert not Saga.objects.exists()


def test_a_key_that_is_taken_names_the_saga(run: Run) -> None:
    first = run("start", "Errand", "--data", '{"item": "book"}', "--key", "k")
    other = run("start", "Errand", "--data", '{"item": "pen"}', "--key", "k")
    assert (other.code, other.out) == (1, "")
    assert first.out.strip() in other.err


def test_show_gives_all_to_programs_and_the_short_of_it_to_people(run: Run, held: Saga) -> None:
    assert run("show", held.pk, "--json").json == orchestrator.snapshot(held)
    shown = run("show", held.pk).out
    for word in (str(held.pk), "held", "sold out", "fetch", "failed"):
        assert word in shown


def test_list_gives_ids_newest_first_and_pages_of_json(
    run: Run, held: Saga, errand: Callable[..., Saga]
) -> None:
    other = errand()
    assert run("list").out.split() == [str(other.pk), str(held.pk)]
    assert (
        run("list", "--attention").out.split()
        == run("list", "--attention", "held").out.split()
        == [str(held.pk)]
    )
    assert run("list", "--attention", "none", "--state", "pending").out.split() == [str(other.pk)]
    assert run("list", "--type", "Nonsense").out == ""
    page = run("list", "--limit", "1", "--json").json
    assert [saga["id"] for saga in page["items"]] == [page["next"]] == [str(other.pk)]
    assert run("list", "--after", page["next"]).out.split() == [str(held.pk)]


# Acting


def test_a_verb_acts_for_whoever_has_the_shell(run: Run, held: Saga) -> None:
    ended = run("retry", held.pk, "--step", "fetch", "--reason", "restocked", "--version", held.version)
    assert (ended.code, ended.out) == (0, f"{held.pk}\n")
    assert "pending" in ended.err
    audited = OperatorAction.objects.get()
    assert (audited.via, audited.reason, audited.operator) == ("command", "restocked", None)
    assert audited.operator_name.startswith("shell")


def test_a_saga_is_started_as_a_user_who_may(run: Run, operator: Any) -> None:
    get_user_model().objects.create_user("otto")
    words = ("start", "Errand", "--data", '{"item": "book"}', "--as")
    refused = run(*words, "otto")
    assert (refused.code, refused.out) == (1, "")
    assert "sagas.start_saga" in refused.err
    assert not Saga.objects.exists()
    run(*words, operator.username)
    assert Saga.objects.get().started_by == operator


def test_a_verb_acts_as_a_user_with_that_user_s_permissions(run: Run, held: Saga, operator: Any) -> None:
    get_user_model().objects.create_user("otto")
    refused = run("pause", held.pk, "--reason", "x", "--as", "otto")
    assert (refused.code, refused.out) == (1, "")
    assert "sagas.pause_saga" in refused.err
    assert run("pause", held.pk, "--reason", "x", "--as", "olga").code == 0
    assert OperatorAction.objects.get().operator == operator


def test_a_step_may_be_left_out_where_only_one_can_be_meant(run: Run, held: Saga) -> None:
    words = ("retry", held.pk, "--reason", "x", "--action-id", "a1")
    assert run(*words).code == 0
    assert "known" in run(*words).err
    ended = run("retry", held.pk, "--reason", "x")
    assert (ended.code, "fetch" in ended.err) == (1, True), ended.err
    ended = run("skip", held.pk, "--reason", "x")
    assert (ended.code, "fetch, pay, post" in ended.err) == (2, True)


def test_a_dry_run_prints_the_plan_and_changes_nothing(run: Run, held: Saga) -> None:
    ended = run("retry", held.pk, "--step", "fetch", "--dry-run")
    assert ended.code == 0
    assert ended.json["calls"][0]["command"] == "FetchService.Fetch"
    assert ended.json["sentences"][0] in ended.err
    assert not OperatorAction.objects.exists()


def test_a_stale_version_is_told_the_state_and_who_moved_it(run: Run, held: Saga) -> None:
    run("pause", held.pk, "--reason", "hands off")
    ended = run("compensate", held.pk, "--reason", "x", "--version", held.version)
    assert (ended.code, ended.out) == (1, "")
    for word in ("hands off", "pending", f"version {held.version + 1}"):
        assert word in ended.err


def test_the_same_action_id_does_nothing_more(run: Run, held: Saga) -> None:
    words = ("pause", held.pk, "--reason", "x", "--action-id", "a1", "--json")
    first, again = run(*words), run(*words)
    assert (first.code, again.code) == (0, 0)
    assert first.json == again.json
    assert "known" in again.err
    assert OperatorAction.objects.count() == 1


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("compensate",), "failed"),
        (("skip", "--step", "fetch"), "pending"),
        (("edit", "--data", '{"item": "pen"}'), "pending"),
    ],
)
def test_the_other_verbs(run: Run, held: Saga, words: tuple[str, ...], state: str) -> None:
    verb, *more = words
    assert run(verb, held.pk, "--reason", "x", *more).code == 0
    held.refresh_from_db()
    assert held.state == state


def test_resolve_takes_a_result_and_restart_prints_the_new_id(run: Run, held: Saga) -> None:
    words = (
        "--step",
        "fetch",
        "--outcome",
        "done",
        "--result",
        '{"shelf": 4}',
        "--reason",
        "x",
        "--evidence",
        "y",
    )
    assert run("resolve", held.pk, *words).code == 0
    assert held.steps.get(name="fetch").result == {"shelf": 4}
    orchestrator.step_failed(held.pk, "pay", "broke")
    run("compensate", held.pk, "--reason", "x")
    orchestrator.compensation_completed(held.pk, "fetch")
    ended = run("restart", held.pk, "--reason", "again")
    assert Saga.objects.get(pk=ended.out.strip()).origin_id == held.pk


def test_approve_and_reject_are_refused_where_nothing_waits(run: Run, held: Saga) -> None:
    for verb in ("approve", "reject"):
        ended = run(verb, held.pk, "--step", "pay", "--reason", "x")
        assert (ended.code, ended.out) == (1, "")
        assert "not waiting" in ended.err


# Upkeep


def test_a_token_is_printed_once_and_opens_the_api(run: Run, operator: Any, client: Any) -> None:
    ended = run("token", "olga")
    text = ended.out.strip()
    assert (ended.code, Token.objects.get().user) == (0, operator)
    assert text not in ended.err
    assert client.get("/api/v1/sagas", headers={"Authorization": f"Bearer {text}"}).status_code == 200


def test_check_finds_running_sagas_that_cannot_go_on(run: Run, held: Saga) -> None:
    assert run("check").code == 0
    pinned = Definition.objects.get()
    pinned.document["steps"][1]["action"] = "PayService.Gone"
    pinned.saga_type = "Forgotten"
    pinned.save()
    ended = run("check")
    assert (ended.code, ended.out) == (1, "")
    for word in (str(held.pk), "Forgotten is no longer defined", "PayService.Gone", "step pay"):
        assert word in ended.err


def test_check_forgives_sagas_that_are_over(run: Run, held: Saga) -> None:
    run("compensate", held.pk, "--reason", "x")
    Definition.objects.update(saga_type="Forgotten")
    assert run("check").code == 0


def test_a_database_that_is_away_is_said_in_a_sentence(run: Run) -> None:
    with mock.patch("sagas.models.Saga.objects.filter", side_effect=OperationalError("no such table")):
        ended = run("list")
    assert ended.code == 1
    assert "migrated" in ended.err


def test_worker_and_clock_are_called_with_what_was_asked(run: Run) -> None:
    with mock.patch("sagas.worker.run_worker") as worker, mock.patch("sagas.worker.run_clock") as clock:
        assert run("worker", "pay", "post", "--burst").code == 0
        assert run("clock").code == 0
    worker.assert_called_once_with(["pay", "post"], burst=True)
    clock.assert_called_once_with()


def test_a_worker_does_not_start_with_definitions_that_cannot_run(run: Run, settings: Any) -> None:
    settings.SAGAS = {"LEASE": -1}
    with mock.patch("sagas.worker.run_worker") as worker:
        ended = run("worker")
    assert ended.code == 1
    assert "LEASE" in ended.err
    worker.assert_not_called()
