"""Functions and choreographies as child sagas."""

import pytest

from sagas import Later, publish
from sagas.engine import Pump
from tests.sagas import kin
from tests.sagas.children.family import back, begin, child_of, effects, run, step

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_function_may_be_a_child_and_all_its_turns_are_undone(pump: Pump) -> None:
    saga = run(pump, begin("child", "ok", type="Tale", child={"name": "tale", "turns": 2}))
    results = step(saga).result["results"]
    assert {name: result and result.get("by") for name, result in results.items()} == {
        "function": "tale.plan",
        "plan": "tale.plan",
        "build": "tale.build",
        "build-2": "tale.build-2",
    }
    assert len(effects()) == 3
    back(saga)
    assert run(pump, saga).state == "failed"
    assert effects() == []
    assert [each["name"] for each in kin.undone] == ["tale.build-2", "tale.build", "tale.plan"]


def test_a_function_under_way_is_rolled_back_with_its_parent(pump: Pump) -> None:
    kin.answers["tale.build"] = lambda _: Later(within=3600)
    saga = run(pump, begin("child", type="Tale", child={"name": "tale", "turns": 1}))
    assert step(child_of(saga), "build").waiting == "reply"
    assert effects() == ["tale.plan"]
    back(saga)
    assert run(pump, saga).state == "failed"
    assert effects() == []


def test_a_choreography_may_be_a_child(pump: Pump) -> None:
    kin.answers["VillageAsked"] = lambda _: publish("VillageBuilt", {})
    saga = run(pump, begin("child", type="Village", child={}))
    assert saga.state == "completed"


def test_a_choreography_under_way_is_undone_by_the_event_that_it_declares(pump: Pump) -> None:
    kin.answers["VillageUnwanted"] = lambda _: publish("VillageGone", {})
    saga = run(pump, begin("child", type="Village", child={}))
    back(saga)
    assert run(pump, saga).state == "failed"
    assert child_of(saga).state == "failed"


def test_a_choreography_that_declares_none_asks_for_a_person(pump: Pump) -> None:
    saga = run(pump, begin("child", type="Hamlet", child={}))
    back(saga)
    assert run(pump, saga).attention == "cannot_undo"
    assert "declares no event that begins its compensation" in (step(saga).error or "")


def test_a_completed_choreography_asks_for_a_person(pump: Pump) -> None:
    kin.answers["VillageAsked"] = lambda _: publish("VillageBuilt", {})
    saga = run(pump, begin("child", "ok", type="Village", child={}))
    back(saga)
    assert run(pump, saga).attention == "cannot_undo"
    assert "only its subscribers know" in (step(saga).error or "")
