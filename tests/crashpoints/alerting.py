"""Paths of those who look whether something asks for a person, of those who are told, and of who takes it."""

from unittest.mock import patch

from tests.crashpoints import shop
from tests.crashpoints.operating import HELD
from tests.crashpoints.paths import Paths, says
from tests.crashpoints.stage import Stage

path = Paths()


@path(HELD)
def be_told_take_it_and_mend_it(stage: Stage) -> None:
    stage.look()
    stage.act_on_alerts("take", hours=1)
    stage.look()  # an hour later
    stage.look()
    stage.act("retry", step="pay")
    stage.rest()
    stage.look()
    stage.look()


@path(HELD)
def be_told_of_more_by_a_pager_that_fails_at_first(stage: Stage) -> None:
    with patch.object(shop, "signal", False):
        stage.look()
    stage.act_on_alerts("take")
    stage.act_on_alerts("give_back")
    stage.start({"hold": True, **says(pay_do=("reject", 9))}, key="k")
    stage.rest()
    stage.look()
