"""Paths of child sagas: begun, ended, told of, and undone with their parents."""

from typing import Any

from sagas.models import Saga
from tests.crashpoints.paths import Paths
from tests.crashpoints.stage import Stage

path = Paths()

SENDER = "Sender"


def waiting_for_a_child(stage: Stage) -> None:
    """Have a saga whose child waits for an approval."""
    _start(stage, {"kind": "Waits", "parcel": {"for": "approval"}})


def with_a_child(stage: Stage) -> None:
    """Have a saga whose child is completed; it waits itself."""
    _start(stage, {"ask": True, "parcel": {}})


def _start(stage: Stage, data: dict[str, Any]) -> None:
    stage.start(data, kind=SENDER)
    stage.serve()
    while stage.called():
        stage.pump.run(30)


def waiting_child(stage: Stage) -> None:
    """Have the child of a saga, which waits for its end."""
    waiting_for_a_child(stage)
    stage.saga = Saga.objects.get(origin=stage.saga).pk


@path()
def have_a_child(stage: Stage) -> None:
    stage.start({"parcel": {}}, key="k", kind=SENDER)
    stage.rest()


@path()
def have_a_child_that_is_refused(stage: Stage) -> None:
    stage.start({"kind": "Waits", "parcel": {}}, key="k", kind=SENDER)
    stage.rest()


@path(with_a_child)
def undo_a_child_that_is_completed(stage: Stage) -> None:
    stage.act("compensate")
    stage.rest()


@path(waiting_for_a_child)
def undo_a_child_that_is_under_way(stage: Stage) -> None:
    stage.act("compensate")
    stage.rest()


@path(waiting_child)
def end_a_child_by_hand(stage: Stage) -> None:
    stage.act("reject", step="wait")
    stage.rest()
