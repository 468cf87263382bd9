"""Paths of starts, of the order forward and of the order back."""

from django.db import transaction

from sagas import orchestrator
from sagas.orchestrator.company import _Caller
from tests.crashpoints.paths import Paths, says
from tests.crashpoints.stage import STARTING, Stage

path = Paths()

#: The last of three steps says no.
REJECTED = {"shape": "chain", **says(post_do=("reject", 9))}


@path()
def start_with_a_key(stage: Stage) -> None:
    stage.start(key="k")
    stage.others_rest()


@path(keyless=True)
def start_without_a_key(stage: Stage) -> None:
    stage.start()
    stage.others_rest()


@path()
def start_in_company(stage: Stage) -> None:
    """Somebody else waits to be written: whoever writes now writes for both."""
    pin = STARTING.definition_for(STARTING._author("Parcel"), {})
    neighbour = _Caller(STARTING.Opening(pin, {}, idempotency_key="neighbour"))
    STARTING._keyed._waiting.append(neighbour)
    stage.start(key="k")
    stage.start(key="neighbour")
    stage.others_rest()


@path()
def start_in_a_transaction_of_the_caller(stage: Stage) -> None:
    with transaction.atomic():
        saga = orchestrator.start("Parcel", {}, idempotency_key="k").saga
    stage.hears("k", saga.pk)
    stage.others_rest()


@path(keyless=True)
def start_many(stage: Stage) -> None:
    if "many" not in stage.told:
        orchestrator.start_many("Parcel", [{}, {}])
        stage.hears("many", 2)
    stage.others_rest()


@path()
def complete(stage: Stage) -> None:
    stage.start(key="k")
    stage.rest()


@path()
def run_it_where_it_is_started(stage: Stage) -> None:
    stage.run_here(key="k")
    stage.others_rest()


@path()
def run_it_where_it_is_started_and_lose_an_answer(stage: Stage) -> None:
    stage.run_here({"shape": "chain", **says(pay_do=("lose", 1), post_do=("reject", 9))}, key="k")
    stage.others_rest()


@path()
def roll_back(stage: Stage) -> None:
    stage.start(REJECTED, key="k")
    stage.rest()


@path()
def fail_at_the_first_step(stage: Stage) -> None:
    stage.start(says(fetch_do=("reject", 9)), key="k")
    stage.rest()


@path()
def fail_and_lose_an_answer_and_try_again(stage: Stage) -> None:
    stage.start(says(fetch_do=("fail", 1), pay_do=("lose", 1)), key="k")
    stage.rest()


@path()
def never_learn_what_became_of_it_and_undo_it(stage: Stage) -> None:
    stage.start({"tries": 2, **says(pay_do=("lose", 9))}, key="k")
    stage.rest()


@path()
def undo_what_never_happened(stage: Stage) -> None:
    stage.start({"tries": 2, **says(pay_do=("fail", 9))}, key="k")
    stage.rest()


@path()
def fail_to_undo_and_undo_it_then(stage: Stage) -> None:
    stage.start(says(pay_do=("reject", 9), fetch_undo=("fail", 1)), key="k")
    stage.rest()


@path()
def lose_the_answer_of_an_undo(stage: Stage) -> None:
    stage.start(says(pay_do=("reject", 9), fetch_undo=("lose", 1)), key="k")
    stage.rest()


@path()
def fail_to_undo_for_ever(stage: Stage) -> None:
    stage.start({"tries": 2, **says(pay_do=("reject", 9), fetch_undo=("fail", 9))}, key="k")
    stage.rest()


@path()
def ask_what_became_of_it_and_hear_that_it_is_done(stage: Stage) -> None:
    stage.start({"asked": True, **says(pay_do=("lose", 1))}, key="k")
    stage.rest()


@path()
def ask_what_became_of_it_and_try_again(stage: Stage) -> None:
    stage.start({"asked": True, **says(pay_do=("fail", 1))}, key="k")
    stage.rest()


@path()
def ask_what_became_of_an_undo(stage: Stage) -> None:
    stage.start({"asked": True, **says(pay_do=("reject", 9), fetch_undo=("lose", 1))}, key="k")
    stage.rest()


@path(threads=False)
def go_in_branches(stage: Stage) -> None:
    stage.start({"shape": "branches"}, key="k")
    stage.rest()


@path(threads=False)
def go_in_branches_and_back(stage: Stage) -> None:
    stage.start({"shape": "branches", **says(pay_do=("reject", 9))}, key="k")
    stage.rest()


@path()
def serve_asynchronously(stage: Stage) -> None:
    stage.start(key="k", kind="Asynchronous")
    stage.rest()
