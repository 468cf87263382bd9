"""``saga drill`` and the desk's table: what was found, kept and shown; and the real books are never touched."""

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.test import Client

from participants.models import Account
from sagas import SagaStep, drills
from sagas.models import Drill
from sagas.testing import apart
from tests.shell import Run
from tests.testing import broken, gifts  # noqa: F401 - registered by being imported
from tests.testing.test_drill import _needs_the_result


def test_it_shows_a_table_and_says_how_many_points_it_ran(run: Run) -> None:
    ended = run("Booking")
    assert ended.code == 0, ended.err
    assert "undo charge" in ended.out
    assert f"Booking: {Drill.objects.get().points} failure points, every one holds." in ended.out


def test_a_point_that_does_not_hold_is_exit_code_1_and_has_its_trace(run: Run) -> None:
    with broken.participants(Refund=_needs_the_result):
        ended = run("Booking")
    assert ended.code == 1
    assert "✗ charge: unknown, with effect" in ended.out
    assert "NoneType" in ended.out
    assert "do not hold" in ended.err or "does not hold" in ended.err
    kept = Drill.objects.get()
    assert kept.failing > 0
    assert kept.definition_digest


def test_json_is_for_programs(run: Run) -> None:
    report = json.loads(run("Booking", "--json").out)
    assert (report["type"], report["ok"], report["failing"]) == ("Booking", True, 0)
    assert report["points"] == len(report["table"])
    assert {"step", "direction", "failure", "verdict", "problems", "trace"} <= report["table"][0].keys()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["Nothing"], "There is no saga type 'Nothing'"),
        (["Booking", "--only", "chrage"], "no step 'chrage'"),
        (["Booking", "--data", "[]"], "not a JSON object"),
        (["OrderFulfillment", "--data", "{}"], "order_id"),
    ],
)
def test_bad_usage_is_exit_code_2(run: Run, words: list[str], says: str) -> None:
    ended = run(*words)
    assert ended.code == 2
    assert says in ended.err


def test_a_part_of_a_drill_is_not_kept(run: Run) -> None:
    assert run("Booking", "--only", "mail").code == 0
    assert run("Booking", "--data", '{"order_id": "B-2"}').code == 0
    assert not Drill.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_real_books_are_not_touched_and_only_the_table_is_kept_there(
    real: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("setup_test_environment", "teardown_test_environment"):  # pytest has done that
        monkeypatch.setattr(apart, name, lambda **_: None)
    Account.objects.create(method="card", holder="ada", opening_cents=7, balance_cents=7)
    before = connection.settings_dict["NAME"], dict(connection.settings_dict["TEST"])
    ended = real("Booking")
    assert ended.code == 0, ended.err
    assert Drill.objects.get().failing == 0
    assert (connection.settings_dict["NAME"], dict(connection.settings_dict["TEST"])) == before
    assert Account.objects.get().balance_cents == 7


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db
def test_who_may_not_make_a_database_is_told_what_would_help() -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("CREATE ROLE poor")
        cursor.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO poor")
        cursor.execute("SET LOCAL ROLE poor")
        with pytest.raises(apart.NoDatabase, match="ALTER ROLE poor CREATEDB"), apart.own_databases():
            pass


def test_code_outside_of_any_repository_has_no_version(tmp_path: Any) -> None:
    assert drills.code_version(str(tmp_path / "sagas.py")) == ""


@pytest.fixture
def desk(client: Client, db: None) -> Client:
    client.force_login(get_user_model().objects.create_superuser("olga", password="x"))
    return client


def test_the_desk_shows_the_table_with_date_and_code(desk: Client, run: Run) -> None:
    assert "It was not drilled yet" in desk.get("/types/Booking/").content.decode()
    with broken.participants(Refund=_needs_the_result):
        run("Booking")
    Drill.objects.update(code="c0ffee123456")
    page = desk.get("/types/Booking/").content.decode()
    assert "do not hold" in page
    assert "c0ffee123456" in page
    assert "drill__fails" in page
    assert "What does not hold:" in page
    assert "The steps have changed since" not in page


def test_the_desk_says_when_the_steps_have_changed_since(
    desk: Client, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("Booking")
    monkeypatch.setattr(
        broken.Booking, "define_steps", lambda self, data: [SagaStep("mail", "BookingService.Mail")]
    )
    assert "The steps have changed since" in desk.get("/types/Booking/").content.decode()


def test_the_desk_shows_the_table_of_a_choreography(desk: Client, run: Run) -> None:
    assert "says no" in run("DrilledGifts").out
    page = desk.get("/types/DrilledGifts/").content.decode()
    assert '<th scope="col">says no</th>' in page
    assert '<th scope="row">unwrap</th>' in page
    assert "The steps have changed since" not in page


def test_the_desk_names_what_no_run_came_to(desk: Client) -> None:
    document = {"type": "DrilledGifts", "definition": "", "points": 0, "failing": 0, "table": []}
    drills.keep({**document, "unreached": []}, "")
    assert "No run came to" not in desk.get("/types/DrilledGifts/").content.decode()
    drills.keep({**document, "unreached": ["search", "find"]}, "")
    assert "No run came to <b>search, find</b>" in desk.get("/types/DrilledGifts/").content.decode()
