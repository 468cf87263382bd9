"""Paths of choreographies: events are published, taken in and delivered."""

from sagas import publish
from tests.crashpoints.paths import Paths, says
from tests.crashpoints.stage import Stage

path = Paths()

ROUND = "ParcelRound"


def silent(stage: Stage) -> None:
    """Have a choreography in which somebody says nothing."""
    stage.start(says(pay_do=("keep_silent", 9)), kind=ROUND)
    stage.serve()
    while stage.called():
        stage.pump.run(30)


@path()
def go_by_events(stage: Stage) -> None:
    stage.start(key="k", kind=ROUND)
    stage.rest()


@path()
def go_back_by_events(stage: Stage) -> None:
    stage.start(says(pay_do=("refuse", 9)), key="k", kind=ROUND)
    stage.rest()


@path()
def lose_the_answer_of_a_delivery(stage: Stage) -> None:
    stage.start(says(fetch_do=("lose", 1), pay_do=("fail", 1)), key="k", kind=ROUND)
    stage.rest()


@path(keyless=True)
def begin_with_an_event(stage: Stage) -> None:
    if "published" not in stage.told:
        stage.hears("published", len(publish("ParcelAsked", {})))
    stage.others_rest()


@path(silent)
def publish_from_outside(stage: Stage) -> None:
    publish("ParcelPaid", {}, saga_id=stage.saga)
    stage.rest()


@path(silent)
def publish_from_outside_what_is_known(stage: Stage) -> None:
    publish("ParcelFetched", {}, saga_id=stage.saga)
    stage.serve()
    publish("ParcelPaid", {}, saga_id=stage.saga)
    stage.rest()
