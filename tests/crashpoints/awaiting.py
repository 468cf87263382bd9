"""Paths of what waits: timers, approvals, promised replies, a beginning to come, a deadline that passes."""

from datetime import UTC, datetime, timedelta

from sagas import orchestrator
from tests.crashpoints import seams
from tests.crashpoints.paths import Paths, Script, says
from tests.crashpoints.stage import Stage

path = Paths()


def waiting(**data: object) -> Script:
    """Have a saga that has come to where it waits."""

    def before(stage: Stage) -> None:
        stage.start(data, kind="Waits")
        stage.serve()

    return before


PROMISED = waiting(**{"for": "reply", "tries": 1, **says(wait_do=("later", 1))})


@path()
def wait_for_a_timer(stage: Stage) -> None:
    stage.start({"for": "timer"}, key="k", kind="Waits")
    stage.rest()


@path(waiting(**{"for": "approval"}))
def approve(stage: Stage) -> None:
    stage.act("approve", step="wait")
    stage.rest()


@path(waiting(**{"for": "approval"}))
def reject(stage: Stage) -> None:
    stage.act("reject", step="wait")
    stage.rest()


@path(waiting(**{"for": "approval", "ask": {"deadline": 60, "otherwise": "reject"}}))
def let_the_deadline_answer(stage: Stage) -> None:
    stage.rest()


@path(waiting(**{"for": "approval"}))
def roll_back_what_waits(stage: Stage) -> None:
    stage.act("compensate")
    stage.rest()


@path(PROMISED)
def keep_a_promise(stage: Stage) -> None:
    stage.answer({"by": "hand"})
    stage.rest()


@path(PROMISED)
def break_a_promise(stage: Stage) -> None:
    stage.rest()


@path(waiting(**{"for": "timer", "deadline": 30}))
def miss_a_deadline(stage: Stage) -> None:
    stage.rest()


@path()
def begin_later(stage: Stage) -> None:
    at = datetime.now(UTC) + timedelta(days=1)
    with seams.unseen():
        saga = orchestrator.start("Waits", {"for": "timer"}, idempotency_key="k", at=at).saga
    stage.saga = saga.pk
    stage.rest()
