"""Who may begin a batch, what is refused, and what is said before."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from sagas import orchestrator
from sagas.engine import Pump
from sagas.models import Batch, OperatorAction, Saga
from sagas.orchestrator import Course, Forbidden, Invalid, Refused, batch_plan, batching
from tests.sagas import shop
from tests.sagas.batches.carrying import AT_ONCE, Ask, begin, carried_on, states
from tests.sagas.running import rest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("verb", ["resume", "release"])
def test_to_have_it_go_on_one_needs_its_verbs_permission(held: Any, asked: Ask, verb: str) -> None:
    held(2)
    batch = carried_on(begin(asked, course=Course(waves=(1,), per_second=20)))
    orchestrator.act_on_batch(batch.pk, "pause", asked())
    user = get_user_model().objects.create_user("ulf")
    user.user_permissions.set(Permission.objects.filter(codename="run_batch"))
    with pytest.raises(Forbidden, match=r"needs the permission sagas\.retry_saga"):
        orchestrator.act_on_batch(batch.pk, verb, asked(operator=user))
    orchestrator.act_on_batch(batch.pk, "cancel", asked(operator=user))


@pytest.mark.parametrize("lacking", ["run_batch", "retry_saga"])
def test_it_needs_both_permissions(held: Any, lacking: str) -> None:
    held(1)
    user = get_user_model().objects.create_user("ulf")
    names = {"run_batch", "retry_saga"} - {lacking}
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    asking = orchestrator.Asked(operator=user, via="desk", reason="because")
    with pytest.raises(Forbidden, match=f"needs the permission sagas.{lacking}"):
        orchestrator.start_batch("retry", Saga.objects.all(), asking, AT_ONCE, filters={})
    with pytest.raises(Forbidden, match=f"needs the permission sagas.{lacking}"):
        orchestrator.preview_batch("retry", Saga.objects.all(), asking, AT_ONCE)


@pytest.mark.parametrize("lost", ["run_batch", "retry_saga"])
def test_it_pauses_itself_once_who_began_it_may_not_any_more(held: Any, asked: Ask, lost: str) -> None:
    held(2)
    user = get_user_model().objects.create_user("ulf")
    both = Permission.objects.filter(codename__in=["run_batch", "retry_saga"])
    user.user_permissions.set(both)
    batch = begin(asked, operator=get_user_model().objects.get(pk=user.pk))
    user.user_permissions.set(both.exclude(codename=lost))
    assert carried_on(batch).state == Batch.PAUSED
    assert batch.note is not None
    assert batch.note.startswith("ulf may not do it any more: You may not ")
    assert batch.note.endswith(f"it needs the permission sagas.{lost}.")
    assert states(batch) == ["waiting", "waiting"]


@pytest.mark.parametrize("via", ["desk", "api", "command"])
def test_it_pauses_itself_once_who_began_it_is_gone(held: Any, asked: Ask, operator: Any, via: str) -> None:
    held(1)
    batch = begin(asked, via=via)
    operator.delete()
    assert carried_on(batch).state == Batch.PAUSED
    assert batch.note == "olga may not do it any more: That user is not there any more."
    other = get_user_model().objects.create_superuser("mia")
    with pytest.raises(Refused, match="is not there any more: cancel it, and begin another"):
        orchestrator.act_on_batch(batch.pk, "resume", asked(operator=other))


def test_who_began_it_at_a_shell_is_named_whoever_runs_the_clock(
    held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (saga,) = held(1)
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    batch = begin(lambda **_: orchestrator.Asked(operator=None, via="command", reason="because"))
    monkeypatch.setattr("getpass.getuser", lambda: "clock")
    assert states(carried_on(batch)) == ["acted"]
    assert OperatorAction.objects.get(saga=saga).operator_name == "shell:root"


@pytest.mark.parametrize(
    ("course", "wrong"),
    [
        (Course(waves=(0,)), "waves: must be whole numbers from 1 to 10000"),
        (Course(waves=(1.5,)), "waves: must be whole numbers"),  # type: ignore[arg-type]
        (Course(waves=(True,)), "waves: must be whole numbers"),
        (Course(waves=(1,) * 21), "waves: must be at most 20"),
        (Course(per_second=0), r"per_second: must be from 0\.01 to 20"),
        (Course(per_second=21), "per_second: must be"),
        (Course(per_second=float("nan")), "per_second: must be"),
        (Course(per_second=True), "per_second: must be"),
        (Course(per_second=10**400), "per_second: must be"),
        (Course(per_second="x"), "per_second: must be"),  # type: ignore[arg-type]
        (Course(stop_above=100), "stop_above: must be a percentage from 0 to 99, or left out"),
        (Course(stop_above=-1), "stop_above: must be"),
        (Course(stop_above=2.5), "stop_above: must be"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_an_impossible_course_is_refused(held: Any, asked: Ask, course: Course, wrong: str) -> None:
    held(1)
    with pytest.raises(Invalid, match=wrong):
        begin(asked, course=course)
    with pytest.raises(Invalid, match=wrong):
        orchestrator.preview_batch("retry", Saga.objects.all(), asked(), course)


def test_verbs_that_are_for_one_saga_at_a_time(asked: Ask) -> None:
    with pytest.raises(
        Invalid, match="'resolve' is not for many sagas at once; there are retry, compensate, restart"
    ):
        begin(asked, "resolve")


def test_nothing_begins_without_a_saga_or_without_a_reason(held: Any, asked: Ask) -> None:
    with pytest.raises(
        Refused,
        match="No saga matches that asks for a person and can be retried, or each has moved since you looked",
    ):
        begin(asked)
    held(1)
    with pytest.raises(Invalid, match="reason: is required"):
        begin(asked, reason="")
    assert not Batch.objects.exists()


def test_more_than_one_batch_takes_are_refused(
    held: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(3)
    monkeypatch.setattr(batch_plan, "LARGEST", 2)
    monkeypatch.setattr(batching, "LARGEST", 2)
    with pytest.raises(Refused, match="3 sagas match, and one batch takes at most 2: narrow the filters"):
        begin(asked)
    plan = orchestrator.preview_batch("retry", Saga.objects.all(), asked(), AT_ONCE)
    assert not plan.possible
    assert plan.sentences == ("3 sagas match, and one batch takes at most 2: narrow the filters.",)


def test_the_preview_says_what_it_will_do_and_changes_nothing(held: Any, errand: Any, asked: Ask) -> None:
    held(40)
    errand()
    plan = orchestrator.preview_batch("retry", Saga.objects.all(), asked(reason=""), Course())
    assert (plan.total, plan.matching, plan.possible) == (40, 41, True)
    assert [(a.saga_type, a.state, a.count, a.step, a.attention) for a in plan.alike] == [
        ("Errand", "pending", 40, "pay", "held")
    ]
    assert [saga.pk for saga in plan.first] == list(
        Saga.objects.order_by("pk").values_list("pk", flat=True)[:5]
    )
    assert plan.sentences == (
        "It retries the steps that ask for a person in 40 sagas, the oldest first: first 1, then 5, then 25, "
        "then the other 9, at most 10 a second.",
        "A wave begins once it is known what came of each saga of the wave before.",
        "It pauses by itself when more than 20 % of those of which it is known went wrong again.",
        "Each is done only if its saga is then still as it is now, and the verb applies; "
        "others are left alone, and listed.",
        "It goes on with nobody looking, and can be paused, resumed and cancelled; what was done stays done.",
        "1 more matches, and is left alone: it is not for that one, or it is paused, or moved a moment ago.",
    )
    assert not Batch.objects.exists()


def test_one_saga_needs_no_waves(held: Any, asked: Ask) -> None:
    held(1)
    plan = orchestrator.preview_batch("compensate", Saga.objects.all(), asked(), Course(stop_above=None))
    assert plan.sentences[:2] == (
        "It rolls back 1 saga, the oldest first, at most 10 a second.",
        "Each is done only if its saga is then still as it is now, and the verb applies; "
        "others are left alone, and listed.",
    )
    assert [(a.saga_type, a.count) for a in plan.alike] == [("Errand", 1)]


def test_what_has_moved_since_the_preview_is_not_taken(held: Any, asked: Ask) -> None:
    first, second = held(2)
    plan = orchestrator.preview_batch("retry", Saga.objects.all(), asked(), AT_ONCE)
    orchestrator.act(first.pk, "pause", asked())
    batch = orchestrator.start_batch(
        "retry", Saga.objects.all(), asked(), AT_ONCE, filters={}, seen_at=plan.seen_at
    ).batch
    assert [item.saga_id for item in batch.items.all()] == [second.pk]


def test_more_than_was_previewed_are_refused(held: Any, asked: Ask) -> None:
    held(2)
    sagas = Saga.objects.all()
    with pytest.raises(Refused, match="2 sagas match by now, more than the 1 that you saw: look again"):
        orchestrator.start_batch("retry", sagas, asked(), AT_ONCE, filters={}, at_most=1)
    assert orchestrator.start_batch("retry", sagas, asked(), AT_ONCE, filters={}, at_most=2).batch.total == 2


def test_what_is_paused_is_left_alone(held: Any, asked: Ask) -> None:
    first, second = held(2)
    orchestrator.act(first.pk, "pause", asked())
    orchestrator.act_on_queue("pay", "pause", asked())
    plan = orchestrator.preview_batch("retry", Saga.objects.all(), asked(), AT_ONCE)
    assert "What calls a paused queue waits until that is resumed: pay." in plan.sentences
    assert [item.saga_id for item in begin(asked).items.all()] == [second.pk]


def test_what_no_retry_helps_is_left_alone(errand: Any, pump: Pump, asked: Ask, world: shop.World) -> None:
    world.behaviour["PayService.Pay"] = shop.reject("closed")
    saga = rest(pump, errand(cannot_undo=True))
    assert saga.attention == "cannot_undo"
    plan = orchestrator.preview_batch("retry", Saga.objects.all(), asked(), AT_ONCE)
    assert (plan.total, plan.matching, plan.alike) == (0, 1, [])


def test_what_moves_in_this_moment_is_not_taken(
    held: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(1)
    monkeypatch.setattr(batch_plan, "SETTLED", timedelta(hours=1))
    assert orchestrator.preview_batch("retry", Saga.objects.all(), asked(), AT_ONCE).total == 0


def test_what_is_said_of_each_verb(held: Any, asked: Ask) -> None:
    held(1)
    batch = begin(asked)
    assert verbs(batch) == ["pause", "cancel"]
    assert "What was begun goes on" in orchestrator.preview_batch_verb(batch.pk, "pause", asked())
    carried_on(batch)
    assert verbs(batch) == ["pause", "release", "cancel"]


def verbs(batch: Batch) -> list[str]:
    (document,) = orchestrator.batch_documents([batch])
    return list(document["verbs"])
