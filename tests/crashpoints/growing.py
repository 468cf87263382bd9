"""Paths of durable functions: they are run, their steps are recorded and dispatched, they hear of verdicts."""

from tests.crashpoints.paths import Paths, says
from tests.crashpoints.stage import Stage

path = Paths()

FUNCTION = "ParcelFunction"


@path()
def grow_in_branches(stage: Stage) -> None:
    stage.start(key="k", kind=FUNCTION)
    stage.rest()


@path()
def grow_another_way_and_back(stage: Stage) -> None:
    stage.start(says(pay_do=("reject", 9), post_do=("reject", 9)), key="k", kind=FUNCTION)
    stage.rest()
