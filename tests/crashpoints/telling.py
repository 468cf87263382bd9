"""Paths of what others hear, of replies from outside and of late ones."""

import uuid
from contextlib import suppress

from sagas import orchestrator
from tests.crashpoints.paths import Paths, says
from tests.crashpoints.stage import Stage

path = Paths()


def fresh(stage: Stage) -> None:
    """Have a saga of which nothing is claimed."""
    stage.start()


@path()
def tell_of_the_end(stage: Stage) -> None:
    stage.start(key="k", kind="ToldParcel")
    stage.rest()


@path()
def tell_of_the_other_end(stage: Stage) -> None:
    stage.start(says(fetch_do=("reject", 9)), key="k", kind="ToldParcel")
    stage.rest()


@path(fresh)
def be_answered_from_outside(stage: Stage) -> None:
    assert stage.saga
    orchestrator.step_completed(stage.saga, "fetch", {"by": "hand"})
    orchestrator.step_failed(stage.saga, "pay", "not today")
    orchestrator.compensation_completed(stage.saga, "fetch")
    stage.rest()


@path(fresh)
def be_answered_late_from_outside(stage: Stage) -> None:
    assert stage.saga
    orchestrator.compensation_completed(stage.saga, "fetch")
    with suppress(orchestrator.NotFound):
        orchestrator.step_completed(uuid.UUID(int=7), "post", {})
    stage.rest()


@path(threads=False)
def hang_and_come_back_in_time(stage: Stage) -> None:
    """Its time is over, but nobody else has been asked yet."""
    stage.start(says(fetch_do=("hang", 1)), key="k")
    stage.serve()
    stage.come_back()
    stage.rest()


@path(threads=False)
def hang_and_come_back_late(stage: Stage) -> None:
    """Somebody else has answered by then."""
    stage.start(says(fetch_do=("hang", 1)), key="k")
    stage.rest()
    stage.come_back()
