"""Callbacks: a participant elsewhere answers when it is done, once, and nobody else can."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from sagas import orchestrator
from sagas.api import documents
from sagas.api.problems import MAX_BODY
from sagas.core.words import Attention
from sagas.engine import Pump
from sagas.models import Callback, LateReply, Saga, Step
from sagas.transports import signing
from tests.sagas import shop
from tests.sagas.elsewhere import NEW, OLD, Elsewhere, Parcel, says, serving
from tests.sagas.running import assert_rows_are_the_fold, rest
from tests.sagas.test_http import STEP, configure

pytestmark = pytest.mark.django_db(transaction=True)

DONE = {"outcome": "completed", "result": {"tracking": 9}}


@pytest.fixture(scope="module")
def server() -> Iterator[Elsewhere]:
    with serving() as elsewhere:
        yield elsewhere


@pytest.fixture
def pump() -> Pump:
    return Pump(("fetch", "carrier", "default", "events"), "test-worker")


@pytest.fixture
def taken(server: Elsewhere, settings: Any, world: shop.World, pump: Pump) -> Saga:
    """A saga whose carrier has taken the parcel on, and will answer later."""
    server.asked.clear()
    server.behaviour = says(202)
    configure(settings, server)
    saga = Parcel().start({"weight": 3})
    pump.run(budget=30)
    return saga


def path_of(server: Elsewhere) -> str:
    """Return where the carrier was told to answer."""
    return server.asked[-1].headers["saga-callback"].removeprefix("https://desk.example")


def call(
    path: str, body: Any = None, key: str = NEW, *, at: float | None = None, **headers: str
) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(DONE if body is None else body).encode()
    proof = signing.signed(key, "POST", path, {}, raw, time.time() if at is None else at)
    return Client().post(path, raw, "application/json", headers={**proof, **headers})


def assert_problem(response: HttpResponse, status: int, word: str) -> None:
    assert response.status_code == status, response.content
    documents.Problem.model_validate(response.json())
    assert word in response.json()["error"]["message"]


@pytest.mark.parametrize("key", [NEW, OLD])
def test_either_key_answers_and_the_saga_goes_on(
    taken: Saga, server: Elsewhere, pump: Pump, key: str
) -> None:
    answered = call(path_of(server), key=key)
    assert (answered.status_code, answered.json()) == (200, {"late": False})
    saga = rest(pump, taken)
    assert (saga.state, Step.objects.get(saga=saga, name=STEP).result) == ("completed", {"tracking": 9})
    assert len(server.asked) == 1
    assert_rows_are_the_fold(saga)


def test_a_no_rolls_back(taken: Saga, server: Elsewhere, pump: Pump) -> None:
    assert call(path_of(server), {"outcome": "rejected", "reason": "the van broke down"}).status_code == 200
    saga = rest(pump, taken)
    assert (saga.state, saga.error) == ("failed", "the van broke down")


def test_a_no_that_may_not_speak_for_an_earlier_attempt_is_not_the_last_word(
    server: Elsewhere, settings: Any, world: shop.World, pump: Pump
) -> None:
    server.behaviour = says(202)
    configure(settings, server, inbox=False)
    saga = Parcel().start({"weight": 3})
    pump.run(budget=30)
    assert call(path_of(server), {"outcome": "rejected", "reason": "not today"}).status_code == 200
    pump.run(budget=30)
    assert call(path_of(server)).json() == {"late": False}
    assert rest(pump, saga).state == "completed"


def test_a_no_that_is_repeated_costs_no_attempt(
    server: Elsewhere, settings: Any, world: shop.World, pump: Pump
) -> None:
    server.asked.clear()
    server.behaviour = says(202)
    configure(settings, server, inbox=False)
    saga = Parcel().start({"weight": 3})
    pump.run(budget=30)
    path, no, versions = path_of(server), {"outcome": "rejected", "reason": "not today"}, set()
    for _ in range(3):
        assert call(path, no).json() == {"late": False}
        saga.refresh_from_db()
        versions.add(saga.version)
    assert len(versions) == 1
    server.behaviour = says(200, {"tracking": 7})
    assert rest(pump, saga).state == "completed"


def test_a_repeated_callback_hears_the_same_and_does_nothing_more(taken: Saga, server: Elsewhere) -> None:
    path, at = path_of(server), time.time()
    first = call(path, at=at)
    version = Saga.objects.get().version
    replayed, repeated = call(path, at=at), call(path)
    assert first.json() == replayed.json() == repeated.json() == {"late": False}
    assert (Saga.objects.get().version, LateReply.objects.count(), Callback.objects.count()) == (
        version,
        0,
        1,
    )


def test_another_answer_than_the_first_is_refused(taken: Saga, server: Elsewhere) -> None:
    call(path_of(server))
    assert_problem(call(path_of(server), {"outcome": "rejected"}), 409, "the first answer counts")


def test_a_success_after_a_no_tells_of_an_effect_that_nobody_knew(
    taken: Saga, server: Elsewhere, pump: Pump
) -> None:
    path = path_of(server)
    call(path, {"outcome": "rejected", "reason": "the van broke down"})
    assert rest(pump, taken).state == "failed"
    for _ in range(2):
        assert call(path).json() == {"late": True}
    assert Step.objects.get(saga=taken, name=STEP).attention == Attention.LATE_EFFECT
    assert LateReply.objects.count() == 0  # it is in the log
    for other in ({"outcome": "rejected", "reason": "the van broke down"}, {"outcome": "completed"}):
        assert_problem(call(path, other), 409, "the first answer counts")
    assert Callback.objects.get().kind == "completed"
    assert_rows_are_the_fold(taken)


def test_a_late_answer_is_told_to_be_late_and_recorded_once(taken: Saga, server: Elsewhere) -> None:
    orchestrator.step_completed(taken.pk, STEP, {"tracking": 1})
    version = Saga.objects.get().version
    for _ in range(2):
        answered = call(path_of(server))
        assert (answered.status_code, answered.json()) == (200, {"late": True})
    assert Saga.objects.get().version == version
    assert LateReply.objects.count() == 1


def test_a_bad_signature_is_no_answer(taken: Saga, server: Elsewhere) -> None:
    path = path_of(server)
    proof = signing.signed(NEW, "POST", path, {}, b"{}", time.time())
    forged = Client().post(path, json.dumps(DONE), "application/json", headers=proof)
    assert_problem(forged, 401, "not that of this message")
    assert_problem(call(path, key="another-key-of-16"), 401, "not that of this message")
    assert_problem(Client().post(path, json.dumps(DONE), "application/json"), 401, "are required")
    elsewhere = path.replace("/Carrier/", "/Stranger/")
    assert_problem(call(elsewhere), 401, "not that of this message")
    moved = signing.signed(NEW, "POST", path, {}, json.dumps(DONE).encode(), time.time())
    other = path.rpartition("/")[0] + "/1"
    assert_problem(Client().post(other, json.dumps(DONE), "application/json", headers=moved), 401, "not that")
    added = call(path, **{"saga-number": "8"})
    assert_problem(added, 401, "not that of this message")
    assert not Callback.objects.exists()


@pytest.mark.parametrize("age", [-signing.TOLERANCE - 60, signing.TOLERANCE + 60])
def test_a_stale_callback_is_no_answer(taken: Saga, server: Elsewhere, age: float) -> None:
    assert_problem(call(path_of(server), at=time.time() - age), 401, "stale")
    assert not Callback.objects.exists()


def test_an_unknown_command_is_not_found(taken: Saga, server: Elsewhere) -> None:
    folder, _, number = path_of(server).rpartition("/")
    for wrong in ("1", str(int(number) + 50), "2"):  # no command, none yet, and one of another service
        assert_problem(call(f"{folder}/{wrong}"), 404, "was sent no command")
    nobody = path_of(server).replace(str(taken.pk), "00000000-0000-4000-8000-000000000000")
    assert_problem(call(nobody), 404, "was sent no command")
    assert_problem(call(path_of(server).replace(str(taken.pk), "17")), 404, "not a saga's id")
    assert not Callback.objects.exists()


def test_what_is_no_answer_is_refused_with_the_reason(taken: Saga, server: Elsewhere) -> None:
    path = path_of(server)
    assert_problem(call(path, {"outcome": "perhaps"}), 422, "outcome")
    assert_problem(call(path, {**DONE, "colour": 1}), 422, "colour")
    assert_problem(call(path, {"outcome": "completed", "result": "\x00"}), 422, "result")
    assert_problem(call(path, b"[]"), 400, "JSON object")
    assert_problem(call(path, b"x" * (MAX_BODY + 1)), 413, "larger")
    assert Client().get(path).status_code == 405


def test_a_late_answer_that_tells_of_an_effect_asks_an_operator(taken: Saga, server: Elsewhere) -> None:
    orchestrator.step_failed(taken.pk, STEP, "lost patience")  # somebody was wrong about it
    assert call(path_of(server)).json() == {"late": True}
    assert Step.objects.get(saga=taken, name=STEP).attention == Attention.LATE_EFFECT


def test_an_undo_is_answered_by_its_own_number(
    taken: Saga, server: Elsewhere, pump: Pump, asked: Any
) -> None:
    action = path_of(server)
    orchestrator.act(taken.pk, "compensate", asked())
    pump.run(budget=30)
    undo = path_of(server)
    assert undo != action
    assert call(action).json() == {"late": True}
    assert call(undo).json() == {"late": False}
    saga = rest(pump, taken)
    assert saga.state == "failed"
