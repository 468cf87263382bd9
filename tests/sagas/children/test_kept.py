"""What is told, kept, removed and exported of child sagas."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sagas import Later, orchestrator
from sagas.engine import Pump
from sagas.models import Child, OperatorAction, Saga
from sagas.orchestrator import Asked
from tests.sagas import kin
from tests.sagas.children.family import back, begin, of, run

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_undo_that_is_answered_later_answers_the_saga_that_undoes(pump: Pump) -> None:
    """To the participant it is an undo, whoever asks for it."""
    saga = run(pump, begin("child", "ok", child=of("plan")))
    asked: list[Any] = []

    def later(sent: Any) -> Later:
        asked.append((sent["saga_id"], sent["step_name"]))
        return Later(within=3600)

    kin.answers["KinService.Undo"] = later
    back(saga)
    run(pump, saga)
    assert orchestrator.compensation_completed(*asked[0])
    assert run(pump, saga).state == "failed"


def test_what_undoes_a_child_says_nothing_of_the_childs_type(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    hook = lambda self, view: heard.append(view.data["name"])  # noqa: E731
    monkeypatch.setattr(kin.Kin, "on_saga_completed", hook, raising=False)
    saga = run(pump, begin("child", "ok", child=of("plan")))
    back(saga)
    assert run(pump, saga).state == "failed"
    assert heard == ["child"]  # when it was completed, and not again when that was undone


def test_neither_a_child_nor_its_parent_is_pruned_before_the_other_is_over(pump: Pump) -> None:
    keeper = Asked(operator=None, via="command", reason="old")

    def pruned() -> set[UUID]:
        return {pk for batch in orchestrator.prune(timedelta(0), 10, keeper) for pk in batch}

    saga = run(pump, begin("child", "ok", child=of("plan")))
    assert pruned() == set()
    back(saga)
    run(pump, saga)
    every = set(Saga.objects.values_list("pk", flat=True))
    assert len(every) == 3
    assert pruned() == every
    assert not Child.objects.exists()


def test_a_grandchild_stays_as_long_as_it_may_have_to_be_undone(pump: Pump) -> None:
    keeper = Asked(operator=None, via="command", reason="old")
    inner = of("plan")
    saga = run(pump, begin("child", "ok", child=of("child", child=inner)))
    every = set(Saga.objects.values_list("pk", flat=True))
    assert len(every) == 3
    assert [*orchestrator.prune(timedelta(0), 10, keeper)] in ([], [[]])
    assert {pk for batch in orchestrator.old_sagas(timedelta(0), 10) for pk in batch} == set()
    back(saga)
    assert run(pump, saga).state == "failed"
    assert not kin.standing


def test_a_family_is_exported_and_imported_as_a_record(pump: Pump) -> None:
    saga = run(pump, begin("child", "ok", child=of("plan")))
    back(saga)
    run(pump, saga)
    every = list(Saga.objects.values_list("pk", flat=True))
    documents = [orchestrator.export(pk, reveal=True) for pk in every]
    kinds = {document["saga"]["origin_kind"] for document in documents}
    assert kinds == {"", "child", "undo"}
    keeper = Asked(operator=None, via="command", reason="moved")
    Child.objects.all().delete()
    OperatorAction.objects.all().delete()
    Saga.objects.all().delete()
    for document in documents:
        orchestrator.import_saga(document, keeper)
    again = {str(pk): orchestrator.export(pk, reveal=True) for pk in every}
    assert [again[document["saga"]["id"]]["saga"] for document in documents] == [d["saga"] for d in documents]
    assert orchestrator.snapshot(Saga.objects.get(pk=saga.pk))["steps"][0]["child"] is None
