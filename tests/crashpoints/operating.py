"""Paths of operators: each verb, from the moment it is asked for until all is at rest again."""

from tests.crashpoints import seams
from tests.crashpoints.paths import Paths, says, started
from tests.crashpoints.shop import ANEW
from tests.crashpoints.stage import Stage

path = Paths()

#: Held, because its last step was rejected; the next generation of it is not.
HELD = started(hold=True, **says(pay_do=("reject", 9)))
#: At attention: nobody knows whether it was paid.
UNKNOWN = started(bare=True, shape="chain", tries=2)


@path(HELD)
def retry(stage: Stage) -> None:
    stage.act("retry", step="pay")
    stage.rest()


@path(started(tries=2, **says(pay_do=("reject", 9), fetch_undo=("fail", 2))))
def retry_an_undo(stage: Stage) -> None:
    stage.act("retry", step="fetch")
    stage.rest()


@path(HELD)
def compensate(stage: Stage) -> None:
    stage.act("compensate")
    stage.rest()


@path(HELD)
def skip(stage: Stage) -> None:
    stage.act("skip", step="pay")
    stage.rest()


@path(UNKNOWN)
def resolve_as_done(stage: Stage) -> None:
    stage.act("resolve", step="pay", outcome="done", result={"paid": True}, evidence="the bank says so")
    stage.rest()


@path(UNKNOWN)
def resolve_as_none(stage: Stage) -> None:
    stage.act("resolve", step="pay", outcome="none")
    stage.rest()


@path(started(cannot_undo=True, **says(pay_do=("reject", 9))))
def waive_an_undo(stage: Stage) -> None:
    stage.act("resolve", step="fetch", outcome="waived")
    stage.rest()


@path(HELD)
def edit_and_retry(stage: Stage) -> None:
    stage.act("edit", data={"hold": True, "address": "next door"})
    stage.act("retry", step="pay")
    stage.rest()


@path()
def pause_and_resume(stage: Stage) -> None:
    with seams.unseen():
        stage.start(key="k")
    stage.act("pause")
    stage.rest()
    stage.act("resume")
    stage.rest()


@path()
def pause_a_queue_and_resume_it_slowly(stage: Stage) -> None:
    with seams.unseen():
        stage.start(key="k")
    stage.act_on_queue("pause", "parcel")
    stage.rest()
    stage.act_on_queue("resume", "parcel", per_second=5)
    stage.rest()


@path(HELD)
def retry_many(stage: Stage) -> None:
    stage.start_batch("retry")
    stage.carry_on_batches()
    stage.rest()


@path(HELD)
def pause_many_and_go_on(stage: Stage) -> None:
    with seams.unseen():
        stage.start_batch("compensate")
    stage.act_on_batches("pause")
    stage.carry_on_batches()
    stage.act_on_batches("resume")
    stage.carry_on_batches()
    stage.rest()


@path(started(**says(pay_do=("reject", 9))))
def restart(stage: Stage) -> None:
    stage.act("restart")
    stage.others_rest()


@path(started(anew=True))
def call_it_by_its_new_name(stage: Stage) -> None:
    """At attention, since nobody handles its action under that name; one that is due goes on under the new one, too."""
    stage.start(key="due", data={"anew": True})
    stage.remap(ANEW)
    stage.rest()
