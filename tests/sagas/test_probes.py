"""Probes against real rows: an unknown outcome is asked about, and the saga goes on by the answer."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from sagas import (
    Later,
    NoSuchCommand,
    Retry,
    SagaOrchestrator,
    SagaStep,
    checks,
    command,
    orchestrator,
    registry,
)
from sagas.clock import database_now
from sagas.core.messages import Completed
from sagas.core.words import Attention
from sagas.dashboard.nodes import said
from sagas.dashboard.sentences import sentence
from sagas.dashboard.timeline import timeline
from sagas.engine import Pump, claims, reap
from sagas.models import Due, LateReply, Process, Step
from tests.sagas import shop
from tests.sagas.running import assert_rows_are_the_fold, rest

pytestmark = pytest.mark.django_db(transaction=True)

QUEUES = ("bank", "fetch", "default", "events")
ASK, TRANSFER, RETURN, ASK_RETURN = (
    "BankService.Ask",
    "BankService.Transfer",
    "BankService.Return",
    "BankService.AskReturn",
)


class Transfer(SagaOrchestrator):
    """Fetch, and have a bank without an inbox transfer money; it can be asked."""

    saga_type = "Transfer"
    sample_data = {}

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return two steps, and a third if the data wants one."""
        asks = Retry(3, first=60) if data.get("patient") else shop.QUICK
        common: dict[str, Any] = {"retry": shop.QUICK, "undo_retry": shop.QUICK, "probe_retry": asks}
        more = [SagaStep("fetch", "FetchService.Fetch", **common)] if data.get("fetch") else []
        bank = SagaStep("transfer", TRANSFER, RETURN, probe=ASK, undo_probe=ASK_RETURN, **common)
        return [bank, *more]


_bank: dict[str, Callable[[Any], Any]] = {}
_calls: list[Any] = []


def _answer(name: str) -> Callable[[Any], Any]:
    def answer(sent: Any) -> Any:
        _calls.append(sent)
        return _bank[name](sent)

    answer.__qualname__ = f"bank:{name}"
    return answer


for _name in (TRANSFER, RETURN, ASK, ASK_RETURN):
    command(_name)(_answer(_name))


@pytest.fixture
def bank() -> Iterator[dict[str, Callable[[Any], Any]]]:
    """A bank whose line is dead, and that knows nothing."""
    _calls.clear()
    _bank.update({TRANSFER: shop.fail(), RETURN: shop.fail(), ASK: _unseen, ASK_RETURN: _unseen})
    return _bank


def _unseen(_: Any) -> Any:
    raise NoSuchCommand


@pytest.fixture
def pump() -> Pump:
    return Pump(QUEUES, "test-worker")


def names() -> list[str]:
    return [sent.name.partition(".")[2] for sent in _calls]


def test_what_was_done_is_learnt_and_goes_on(bank: Any, pump: Pump) -> None:
    bank[ASK] = lambda _: {"reference": 7}
    saga = rest(pump, Transfer().start({}))
    assert saga.state == "completed"
    assert Step.objects.get(saga=saga).result == {"reference": 7}
    assert names() == ["Transfer", "Ask"]
    assert_rows_are_the_fold(saga)


def test_a_promise_of_which_a_probe_tells_is_waited_for(bank: Any, pump: Pump) -> None:
    bank[ASK] = lambda _: Later(within=3600)
    saga = Transfer().start({})
    pump.run(5)
    Due.objects.filter(saga=saga, name=ASK).update(due_at=Now())
    pump.run(5)
    saga.refresh_from_db()
    step = Step.objects.get(saga=saga)
    assert (saga.attention, step.waiting, names()) == (None, "reply", ["Transfer", "Ask"])
    assert Due.objects.get(saga=saga).queue == registry.WAITS_QUEUE
    assert "it has been waiting for that reply since" in orchestrator.snapshot(saga)["why"]["text"]
    assert_rows_are_the_fold(saga)
    assert orchestrator.step_completed(saga.pk, "transfer", {"reference": 7})
    saga.refresh_from_db()
    assert saga.state == "completed"


def test_a_probe_gets_what_its_command_got_and_knows_its_key(bank: Any, pump: Pump) -> None:
    bank[ASK] = lambda _: None
    saga = rest(pump, Transfer().start({"amount": 5}))
    transfer, ask = _calls
    assert dict(ask) == dict(transfer)
    assert (ask.meta.key, ask.meta.number, ask.meta.direction) == (
        f"{saga.pk}:transfer:do:1",
        transfer.meta.number,
        "do",
    )
    assert (ask.meta.probes, transfer.meta.probes) == (TRANSFER, None)


def test_no_effect_rolls_back_without_a_person_though_there_is_no_inbox(bank: Any, pump: Pump) -> None:
    bank[ASK] = shop.reject("refused at noon")
    saga = rest(pump, Transfer().start({}))
    assert (saga.state, saga.error, saga.attention) == ("failed", "refused at noon", None)
    assert names() == ["Transfer", "Ask"]


def test_what_has_not_arrived_is_sent_again_under_the_same_key(bank: Any, pump: Pump) -> None:
    bank[TRANSFER] = shop.fail(times=1)
    saga = rest(pump, Transfer().start({}))
    assert saga.state == "completed"
    assert names() == ["Transfer", "Ask", "Transfer"]
    assert len({sent.meta.key for sent in _calls}) == 1
    assert_rows_are_the_fold(saga)


def test_who_never_tells_is_left_to_a_person_and_asked_again_at_his_word(
    bank: Any, pump: Pump, asked: Any
) -> None:
    bank[ASK] = shop.fail()
    saga = rest(pump, Transfer().start({}))
    assert (saga.state, saga.attention) == ("pending", Attention.OUTCOME_UNKNOWN)
    assert names() == ["Transfer", "Ask", "Ask", "Ask"]
    bank[ASK] = lambda _: {"reference": 7}
    plan = orchestrator.preview(saga.pk, "retry", asked(step="transfer"))
    assert plan.calls[0]["command"] == ASK
    assert (
        f"{ASK} is called for transfer, to ask what became of {TRANSFER}; that has no effect."
        in plan.sentences
    )
    orchestrator.act(saga.pk, "retry", asked(step="transfer"))
    assert rest(pump, saga).state == "completed"
    assert_rows_are_the_fold(saga)


def test_a_lost_worker_is_asked_about(bank: Any, pump: Pump) -> None:
    bank[ASK] = lambda _: {"reference": 7}
    saga = Transfer().start({})
    claims.claim(QUEUES, 1, "doomed")
    Due.objects.update(lease_until=Now())
    assert reap() == 1
    assert rest(pump, saga).state == "completed"
    assert names() == ["Ask"]


def test_a_worker_that_dies_while_it_asks_is_asked_for_again(bank: Any, pump: Pump) -> None:
    saga = Transfer().start({"patient": True})
    pump.run(budget=30)
    Due.objects.update(due_at=Now())
    (probe,) = claims.claim(QUEUES, 1, "doomed")
    assert probe.probes == TRANSFER
    Due.objects.update(lease_until=Now())
    reap()
    assert Step.objects.get(saga=saga).probe == 2
    bank[ASK] = lambda _: {"reference": 7}
    assert rest(pump, saga).state == "completed"


def test_an_attempt_that_answers_while_somebody_asks_is_heard(bank: Any, pump: Pump) -> None:
    saga = Transfer().start({})
    (attempt,) = claims.claim(QUEUES, 1, "slow")
    Due.objects.update(lease_until=Now())
    reap()
    Due.objects.update(due_at=Now())
    (probe,) = claims.claim(QUEUES, 1, "other")
    orchestrator.deliver(
        [orchestrator.Answered(saga.pk, Completed(attempt.number, {"late": 1}), attempt.token)]
    )
    saga.refresh_from_db()
    assert saga.state == "completed"
    orchestrator.deliver([orchestrator.Answered(saga.pk, Completed(probe.number), probe.token)])
    assert LateReply.objects.count() == 1


def test_an_undo_is_asked_about_too(bank: Any, pump: Pump, world: shop.World) -> None:
    world.behaviour["FetchService.Fetch"] = shop.reject()
    bank[TRANSFER] = lambda _: {"reference": 7}
    bank[ASK_RETURN] = lambda _: None
    saga = rest(pump, Transfer().start({"fetch": True}))
    assert saga.state == "failed"
    assert names() == ["Transfer", "Return", "AskReturn"]
    ask = _calls[-1]
    assert (ask.meta.undoes, ask.meta.direction, ask.meta.probes) == (
        f"{saga.pk}:transfer:do:1",
        "undo",
        RETURN,
    )
    assert_rows_are_the_fold(saga)


def test_the_desk_says_what_is_asked_and_why(bank: Any, pump: Pump) -> None:
    saga = Transfer().start({"patient": True})
    pump.run(budget=30)
    saga.refresh_from_db()
    told = orchestrator.snapshot(saga)
    assert told["why"]["kind"] == "backoff"
    assert "What became of BankService.Transfer of transfer is not known" in told["why"]["text"]
    assert "BankService.Ask is asked at" in told["why"]["text"]
    assert "asking what became of it, 1 of 3" in said(told["steps"][0]).note
    log = orchestrator.events(saga.pk)
    assert "Its participant is asked, time 1." in sentence(log[-1])[1]
    drawn = timeline(["transfer"], log, saga.created_at, saga.updated_at + timedelta(seconds=9))
    assert "what became of the action, time 1" in drawn.lines[0].bars[-1].title
    Due.objects.update(due_at=Now())
    claims.claim(QUEUES, 1, "w")
    assert "is being asked, time 1 of 3" in orchestrator.snapshot(saga)["why"]["text"]
    long_ago = database_now() - timedelta(minutes=1)
    Process.objects.create(
        name="w", kind=Process.WORKER, host="h", pid=1, started_at=long_ago, seen_at=long_ago
    )
    told = orchestrator.snapshot(saga)
    assert "BankService.Ask was given to w, which has been silent since" in told["why"]["text"]
    assert "this time counts as unanswered at" in told["why"]["text"]
    assert said(told["steps"][0]).note == "its worker is silent"


def test_a_probe_that_nobody_handles_is_found_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Transfer, "define_steps", lambda self, data: [SagaStep("a", TRANSFER, probe="BankService.Aks")]
    )
    found = [each for each in checks.check_saga_types() if "BankService.Aks" in each.msg]
    assert "the probe of step a" in found[0].msg
    assert ASK in found[0].hint
