"""Paths of what others hear, of replies from outside and of late ones."""

import uuid
from contextlib import suppress

from sagas import orchestrator
from sagas.core.messages import Completed
from sagas.models import Step
from tests.crashpoints import seams
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


@path(fresh)
def be_answered_by_a_callback(stage: Stage) -> None:
    """The participant calls until it hears an answer; it hears the same one however often."""
    _call_back(stage, "fetch", {"by": "callback"})
    stage.rest()
    _call_back(stage, "pay", {"by": "callback, too late"})


def _call_back(stage: Stage, step: str, result: dict[str, str]) -> None:
    assert stage.saga
    with seams.aside():
        number = Step.objects.get(saga=stage.saga, name=step).action_number or 0
    late = orchestrator.call_back(stage.saga, "ParcelService", Completed(number, result))
    stage.hears(("called back", step), late)
