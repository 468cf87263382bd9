"""The pump: claims what is due, runs it, and commits the outcomes of whatever is ready, together.

What is finished is committed while other handlers still run, and a saga's next steps are taken on
in the commit that makes them due, as long as they are on a queue that is served here.
"""

import inspect
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID, uuid4

from django.db import InterfaceError, OperationalError, close_old_connections

from sagas import orchestrator
from sagas.conf import settings
from sagas.core.messages import Completed, Rejected
from sagas.engine import call, claims
from sagas.engine.slots import Slots
from sagas.engine.work import Sent, Work, command_work
from sagas.orchestrator import ledger

log = logging.getLogger(__name__)

#: Seconds between two looks for more work while handlers are running.
LOOK = 0.2


@dataclass
class _Running:
    work: Work
    until: float
    """On this process' monotonic clock."""


@dataclass(frozen=True)
class _Outcome:
    work: Work
    result: Any
    fault: BaseException | None


class Pump:
    """Serves queues in this process. Not thread-safe: one thread pumps."""

    def __init__(
        self, queues: Collection[str], worker: str, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self.queues = frozenset(queues)
        self.worker = worker
        self.stopping = stopping
        self.running: dict[UUID, _Running] = {}
        self.hung: dict[UUID, _Running] = {}
        """Handlers past their time-out, left behind; what they still answer is a late reply."""
        self._slots = Slots()
        self._done: SimpleQueue[_Outcome] = SimpleQueue()
        self._renewed = time.monotonic()
        self._looked = 0.0
        self._reserved = 0

    def run(self, budget: float) -> None:
        """Serve until nothing is due and nothing runs; after ``budget`` seconds, claim nothing more."""
        end = time.monotonic() + budget
        while True:
            claiming = time.monotonic() < end and not self.stopping()
            found = self._fill() if claiming else 0
            if not self.running and not found:
                return
            self._harvest(claiming)

    @property
    def busy(self) -> int:
        """How many handlers run, those that hang and those that still speak included."""
        return max(len(self.running), self._slots.busy)

    @property
    def free(self) -> int:
        """How many more handlers may run."""
        return settings().CONCURRENCY - len(self.running) - self._reserved

    def _fill(self) -> int:
        if self.free <= 0 or (self.running and time.monotonic() - self._looked < LOOK):
            return 0
        self._looked = time.monotonic()
        try:
            taken = claims.claim(self.queues, self.free, self.worker)
        except (OperationalError, InterfaceError):
            if not self.running:
                raise
            log.warning("nothing could be claimed; what runs goes on", exc_info=True)
            close_old_connections()
            return 0
        for work in taken:
            self._begin(work)
        return len(taken)

    def _begin(self, work: Work) -> None:
        self.running[work.token] = _Running(work, time.monotonic() + work.timeout)

        def done(result: Any, fault: BaseException | None) -> None:
            outcome = _Outcome(work, result, fault)
            if self.hung.pop(work.token, None) is None:
                self._done.put(outcome)
            else:  # in a thread of its own: an event loop must not wait for the database
                self._slots.run(lambda: _speak_late(outcome), _nobody_waits)

        try:
            function, argument = call.function_of(work)
        except Exception as fault:
            done(None, fault)
            return
        if inspect.iscoroutinefunction(inspect.unwrap(function)):
            self._slots.run_async(lambda: function(argument), work.timeout, done)
        else:
            self._slots.run(lambda: function(argument), done)

    def _harvest(self, claiming: bool) -> None:
        """Wait for an outcome, a time-out or the next look, and commit what is ready."""
        try:
            first = self._done.get(timeout=self._patience(claiming))
        except Empty:
            outcomes = []
        else:
            outcomes = [first, *self._ready()]
        self._commit(outcomes)
        self._renew()
        self._slots.watch()

    def _ready(self) -> list[_Outcome]:
        ready = []
        while True:
            try:
                ready.append(self._done.get_nowait())
            except Empty:
                return ready

    def _patience(self, claiming: bool) -> float:
        now = time.monotonic()
        deadlines = [each.until - now for each in self.running.values()]
        look = LOOK if claiming and self.free > 0 else 1.0
        return max(0.0, min([look, *deadlines]))

    def _commit(self, outcomes: list[_Outcome]) -> None:
        outcomes += self._timed_out()
        if not outcomes:
            return
        for outcome in outcomes:
            self.running.pop(outcome.work.token, None)
        commands = [o for o in outcomes if o.work.command is not None]
        if commands:
            self._deliver(commands)
        self._settle_deliveries([o for o in outcomes if o.work.event is not None])

    def _timed_out(self) -> list[_Outcome]:
        now = time.monotonic()
        over = [each for each in self.running.values() if each.until <= now]
        for each in over:
            self.hung[each.work.token] = each
        return [
            _Outcome(each.work, None, TimeoutError(f"no reply within {each.work.timeout:g} s"))
            for each in over
        ]

    def _deliver(self, outcomes: list[_Outcome]) -> None:
        answers = [_answer(outcome) for outcome in outcomes]
        try:
            delivered = _insist(lambda: self._attempt(answers))
        except Exception as fault:  # not the database's absence: one of them cannot be written
            self._reserved = 0
            self._deliver_apart(outcomes, fault)
            return
        for held, due, lease in delivered.claimed:
            sent = Sent(due.step, due.direction, due.name, due.number, due.generation, due.attempt)
            self._begin(command_work(claims.facts_of(held), sent, lease.token, lease.timeout_at))
        self._reserved = 0
        for answer, why in delivered.undecided:
            if answer.lease_token is not None:
                claims.keep_apart(answer.lease_token, f"could not be decided: {type(why).__name__}: {why}")

    def _deliver_apart(self, outcomes: list[_Outcome], fault: Exception) -> None:
        """Find the one that spoils the group; what cannot be written even alone is kept apart."""
        if len(outcomes) > 1:
            for outcome in outcomes:
                self._deliver([outcome])
            return
        log.error("what became of %s cannot be written", outcomes[0].work.name, exc_info=fault)
        error = f"could not be written: {type(fault).__name__}: {fault}"
        _insist(lambda: claims.keep_apart(outcomes[0].work.token, error))

    def _attempt(self, answers: list[orchestrator.Answered]) -> orchestrator.Delivered:
        self._reserved = 0
        return orchestrator.deliver(answers, self._take_on)

    def _take_on(self, queue: str, now: datetime, timeout: float) -> ledger.Lease | None:
        """Lease a command as it is dispatched, if it is for us and there is room."""
        if queue not in self.queues or self.free <= 0 or self.stopping():
            return None
        self._reserved += 1
        until = now + timedelta(seconds=timeout)
        return ledger.Lease(uuid4(), claims.lease_end(now), now, until, self.worker)

    def _settle_deliveries(self, outcomes: list[_Outcome]) -> None:
        if not outcomes:
            return
        taken = [o.work.token for o in outcomes if o.fault is None]
        _insist(lambda: claims.delivered(taken))
        for o in outcomes:
            if o.fault is not None:
                wait = min(settings().DELIVERY_RETRY_CAP, 2.0 ** min(o.work.attempt - 1, 16))
                error = f"{type(o.fault).__name__}: {o.fault}"
                _insist(lambda o=o, wait=wait, error=error: claims.put_off(o.work, wait, error))  # type: ignore[misc]

    def _renew(self) -> None:
        if self.running and time.monotonic() - self._renewed > settings().LEASE / 3:
            self._renewed = time.monotonic()
            claims.renew(self.running.keys())


def _answer(outcome: _Outcome) -> orchestrator.Answered:
    reply = call.reply_to(outcome.work, outcome.result, outcome.fault)
    return orchestrator.Answered(outcome.work.saga_id, reply, outcome.work.token)


def _speak_late(outcome: _Outcome) -> None:
    """Hand over what a handler answered after its time was over."""
    if outcome.work.command is None:
        return  # the event is delivered again; that it was taken after all is not known in time
    answer = _answer(outcome)
    if not isinstance(answer.reply, Completed | Rejected):
        return  # that its outcome is unknown was recorded when its time was over
    try:
        orchestrator.deliver([answer])
    except Exception:  # nobody waits for it: the attempt is recorded as unknown
        log.exception("a late reply to %s could not be recorded", outcome.work.name)


def _nobody_waits(result: Any, fault: BaseException | None) -> None:
    pass


def _insist(write: Callable[[], Any]) -> Any:
    """Write what handlers have answered, however often the database has to be asked, up to a lease's length.

    After that the leases have ended, and the clock has recorded the attempts as unknown.
    """
    end = time.monotonic() + settings().LEASE
    wait = 0.05
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError, ledger.MovedOn) as fault:
            if time.monotonic() > end:
                raise
            log.warning("the database did not take it, trying again in %.2f s: %s", wait, fault)
            close_old_connections()
            time.sleep(wait)
            wait = min(wait * 2, 2.0)
