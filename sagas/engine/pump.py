"""The pump: claims what is due, runs it, and commits the outcomes of whatever is ready, together.

What is finished is committed while other handlers still run, and a saga's next steps are taken on
in the commit that makes them due, as long as they are on a queue that is served here. So a saga that
stays with one pump is read once: its commits compare its version instead of locking it.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

from django.db import close_old_connections

from sagas import orchestrator
from sagas.conf import settings
from sagas.core.messages import Completed, Rejected
from sagas.engine import call, claims
from sagas.engine.aside import MOST, Aside
from sagas.engine.pauses import Pauses
from sagas.engine.room import AWAY, Locked, Room, Unwritable, is_locked, is_unwritable
from sagas.engine.slots import Slots, TimedOut
from sagas.engine.work import Work, work_of
from sagas.orchestrator import ledger, loading, outbox
from sagas.rows import Stale

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two looks for more work while handlers are running and nobody rings.
LOOK = 0.2
#: Seconds, at most, that an outcome waits for others to share its commit.
LINGER = 0.004
#: Seconds after the end of a budget in which what runs may end; quick handlers do.
GRACE = 0.2
#: Seconds' worth of quick handlers' work that is taken ahead at most, so that they share commits.
SOON = 0.1
#: Seconds after which what was taken ahead and has not begun is left to others.
AFTER_ALL = 1.0
#: A worker ends, to be started afresh, when this many times its slots are taken by handlers that hang.
TOO_MANY_HUNG = 2
#: Seconds for which it is looked before each commit what is locked, once a lock has been waited for.
WARY = 10.0
#: Seconds between two looks at whether to stop.
GLANCE = 0.5


class _Running(NamedTuple):
    work: Work
    until: float
    """On this process' monotonic clock."""
    done: Callable[[Any, BaseException | None], None]


class _Outcome(NamedTuple):
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
        self.room = Room(stopping)
        self.pauses = Pauses()
        self.running: dict[UUID, _Running] = {}
        self.hung: dict[UUID, _Running] = {}
        """Handlers past their time-out, left behind; what they still answer is a late reply."""
        self._sagas: dict[UUID, loading.Held] = {}
        """The sagas of what runs, as they were last seen."""
        self._slots = Slots(lambda: settings().CONCURRENCY + len(self.hung))
        self._unwritten: list[Work] = []
        """What has answered, and may have to wait until the database takes it."""
        self._done: SimpleQueue[_Outcome | None] = SimpleQueue()
        """Outcomes; None wakes the pump without one."""
        self._aside: Aside[_Outcome] = Aside()
        """What has answered, and waits under its lease until its saga is not locked by others."""
        self._wary_until = 0.0
        """Until when, on this process' monotonic clock, no commit waits for a lock if that can be helped."""
        self._leaving: float | None = None
        """Since when, on this process' monotonic clock, nothing is to be claimed any more."""
        self._renewed = time.monotonic()
        self._looked = 0.0
        self._more = True
        """Whether something may be due that is not claimed: somebody rang, or there was more than we took."""
        self._room = 0
        """How many commands may still be taken on as they are dispatched."""
        self._linger = 0.0
        """Half of what the latest commit took: waiting so long for company is cheaper than another commit."""
        self.staying = threading.Event()
        """Set while it serves, and waits for a ring when nothing is due."""

    def run(self, budget: float, *, stay: bool = False) -> None:
        """Serve until nothing is due and nothing runs; after ``budget`` seconds, claim nothing more.

        If it is to ``stay``, it waits for a ring when nothing is due, until its budget is used up. What still runs
        a moment later is slow, and must not keep out whatever else becomes due: another budget begins.
        """
        end = time.monotonic() + budget
        self._more = True
        if stay:
            self.staying.set()
        try:
            while True:
                now = time.monotonic()
                if stay and (self.running or self._aside) and now > end + GRACE and not self.worn_out:
                    end = now + budget
                claiming = now < end and not self.stopping()
                self._leaving = None if claiming else (self._leaving or now)
                found = self._fill() if claiming else 0
                if not self.running and not self._aside and not found and not (stay and claiming):
                    return
                self._harvest(claiming, end)
        finally:
            self.staying.clear()

    def ring(self) -> None:
        """Say, from any thread or signal handler, that there may be more to do, or that it is time to stop."""
        self._more = True
        self._done.put(None)

    @property
    def busy(self) -> int:
        """How many handlers run, those that hang and those that still speak included."""
        return max(len(self.running) - self._slots.waiting, self._slots.busy)

    @property
    def worn_out(self) -> bool:
        """Whether so many handlers hang that it is time for a fresh process."""
        return len(self.hung) > TOO_MANY_HUNG * settings().CONCURRENCY

    @property
    def free(self) -> int:
        """How much more may be taken: what can run at once, and what will have begun in a moment."""
        return settings().CONCURRENCY + self._ahead - len(self.running) if len(self._aside) < MOST else 0

    @property
    def _ahead(self) -> int:
        """How much to take beyond what can run at once. Where handlers take their time, nothing: it would only wait."""
        took, most = self._slots.took, settings().CONCURRENCY
        if took is None:
            return 0
        return max(0, min(settings().PREFETCH, int(most * SOON / max(took, 1e-6)) - most))

    def _fill(self) -> int:
        if self.free <= 0 or not self._curious or not self.room.there:
            return 0
        try:
            taken = self._claim()
        except AWAY as fault:
            if not self.room.noticed(fault) and not self.running:
                raise
            log.warning("nothing could be claimed; what runs goes on: %s", fault)
            close_old_connections()
            return 0
        for work in taken:
            self._begin(work)
        return len(taken)

    @property
    def _curious(self) -> bool:
        """Whether it is time to look for more."""
        if self.running:
            return self._more or time.monotonic() - self._looked >= LOOK
        return self._more or not self.staying.is_set()

    def _claim(self) -> list[Work]:
        self._looked = time.monotonic()
        self._more = False  # before we look: who rings from now on is heard
        wanted = self.free
        taken = claims.claim(self.queues - self.pauses.heed(), wanted, self.worker)
        if len(taken) == wanted:
            self._more = True
        return taken

    def _begin(self, work: Work) -> None:
        if work.held is not None:
            self._sagas[work.saga_id] = work.held

        def done(result: Any, fault: BaseException | None) -> None:
            call.log_mistake(work, fault)
            outcome = _Outcome(work, result, fault)
            unwritten = work.token in self._aside or any(each.token == work.token for each in self._unwritten)
            if self.hung.pop(work.token, None) is None or unwritten:
                self._done.put(outcome)
            else:  # in a thread of its own: an event loop must not wait for the database
                self._slots.run(lambda: _speak_late(outcome), _nobody_waits)

        self.running[work.token] = _Running(work, time.monotonic() + work.timeout, done)
        if work.wakes:
            done(None, None)
            return
        try:
            function, argument, is_async = call.call_of(work)
            if is_async:
                self._slots.run_async(lambda: function(argument), work.timeout, done, work.called)
            else:
                self._slots.run(lambda: function(argument), done)
        except Exception as fault:
            done(None, fault)

    def _harvest(self, claiming: bool, end: float) -> None:
        """Wait for an outcome, a ring, a time-out or the next look, and commit what is ready."""
        found: list[_Outcome] = []
        with suppress(Empty):
            wait, last = self._patience(claiming, end), None
            while len(found) < len(self.running) or not found:
                outcome = self._done.get(timeout=wait)
                now = time.monotonic()
                last = last or now + self._linger
                wait = max(0.0, last - now)
                if outcome is None and not found:
                    break
                found += [outcome] if outcome else []
        began = time.monotonic()
        self._commit(found)
        if found:
            self._linger = min(LINGER, (time.monotonic() - began) / 2)
        self._renew()
        self._slots.watch()

    def _patience(self, claiming: bool, end: float) -> float:
        now = time.monotonic()
        moments = [each.until for each in self.running.values()]
        if claiming:
            moments.append(end)
        glance = LOOK if self.running and claiming and self.free > 0 else GLANCE
        return max(0.0, min([glance, *(moment - now for moment in moments)]))

    def _commit(self, outcomes: list[_Outcome]) -> None:
        for outcome in outcomes:  # before the time-outs: what has answered is not left behind
            self.running.pop(outcome.work.token, None)
            self.hung.pop(outcome.work.token, None)  # it answered in the very moment in which it was given up
            self._aside.drop(outcome.work.token)
        now = time.monotonic()  # the same for both: what has not begun must not time out in between
        self._give_back(now)
        outcomes += self._timed_out(now) + self._unlocked(now)
        if not outcomes:
            return
        self._unwritten = [o.work for o in outcomes]
        try:
            ours = self._pass_on(outcomes)
            commands = self._sieved([o for o in ours if o.work.event is None])
            if commands:
                self._deliver(commands)
            self._settle_deliveries([o for o in ours if o.work.event is not None])
        finally:
            self._unwritten = []

    def _pass_on(self, outcomes: list[_Outcome]) -> list[_Outcome]:
        """Return them without those that nobody handles here, and other workers do."""
        strange = [o.work for o in outcomes if isinstance(o.fault, call.Unserved)]
        passed = self._insist(lambda: claims.pass_on(strange)) if strange else frozenset()
        self._forget({work.saga_id for work in strange if work.token in passed})
        return [o for o in outcomes if o.work.token not in passed]

    def _give_back(self, now: float) -> None:
        """Leave to others what was taken ahead, if it turns out that handlers are not quick any more.

        What has not begun by the end of its time, has not timed out either.
        """
        if not self._slots.waiting:
            return
        slow = self._slots.waited >= AFTER_ALL
        over = {each.done for each in self.running.values() if slow or each.until <= now}
        if not over:
            return
        withdrawn = set(self._slots.withdraw(over))
        if withdrawn:
            self._slots.took = SOON  # so that nothing is taken ahead before they are quick again
        unbegun = [each.work for each in self.running.values() if each.done in withdrawn]
        if unbegun:
            log.info("%d pieces of work are left to others: handlers take their time", len(unbegun))
            self._insist(lambda: claims.give_back(unbegun))
        for work in unbegun:
            del self.running[work.token]
        self._forget({work.saga_id for work in unbegun})

    def _timed_out(self, now: float) -> list[_Outcome]:
        over = [each for each in self.running.values() if each.until <= now]
        for each in over:
            self.hung[each.work.token] = self.running.pop(each.work.token)
        if over:
            self._slots.go_on()
        return [_Outcome(each.work, None, TimedOut(each.work.timeout)) for each in over]

    def _sieved(self, outcomes: list[_Outcome]) -> list[_Outcome]:
        """Put aside what is locked, where a lock was met lately: its neighbours would wait for each one anew."""
        if not outcomes or time.monotonic() > self._wary_until:
            return outcomes
        locked: frozenset[UUID] = frozenset()
        with suppress(*AWAY):  # whoever writes finds out
            locked = loading.locked({outcome.work.saga_id for outcome in outcomes})
        return self._without(locked, outcomes)

    def _deliver(self, outcomes: list[_Outcome]) -> None:
        answers = [_answer(outcome) for outcome in outcomes]
        ids = {answer.saga_id for answer in answers}
        known = {saga_id: self._sagas[saga_id] for saga_id in ids & self._sagas.keys()}
        try:
            delivered = self._insist(lambda: self._attempt(answers, known))
        except Locked as fault:
            self._deliver_unlocked(outcomes, fault)
            return
        except AWAY as fault:
            log.error("the database was away for longer than a lease; the clock says what is lost: %s", fault)
            self._forget(ids)
            return
        except Exception as fault:  # not the database's absence: one of them cannot be written
            self._deliver_apart(outcomes, fault)
            return
        self._sagas.update(delivered.sagas)
        for each in delivered.claimed:
            self._begin(work_of(each))
        self._forget(ids)
        if not self.queues.isdisjoint(delivered.queues):
            self._more = True
        for answer, why in delivered.undecided:
            if answer.lease_token is not None:
                self._keep_apart(answer.saga_id, answer.lease_token, "could not be decided", why)

    def _forget(self, ids: set[UUID]) -> None:
        """Forget sagas of which nothing runs here any more."""
        for saga_id in ids - self._here:
            self._sagas.pop(saga_id, None)

    @property
    def _here(self) -> set[UUID]:
        """The sagas of which something runs here, or has been put aside."""
        return {work.saga_id for work in (*(each.work for each in self.running.values()), *self._aside.works)}

    def _deliver_unlocked(self, outcomes: list[_Outcome], fault: Exception) -> None:
        """Put aside those whose sagas somebody keeps locked, and deliver the others."""
        locked = ids = frozenset(outcome.work.saga_id for outcome in outcomes)
        if len(outcomes) > 1:
            with suppress(*AWAY):  # if that cannot even be seen, they all wait
                locked = loading.locked(ids)
        if not locked:
            self._deliver_apart(outcomes, fault)
            return
        if others := self._without(locked, outcomes):
            self._deliver(others)

    def _without(self, locked: Collection[UUID], outcomes: list[_Outcome]) -> list[_Outcome]:
        """Put aside those whose sagas are locked, and return the others."""
        for outcome in outcomes:
            if outcome.work.saga_id in locked:
                self._put_aside(outcome)
        return [outcome for outcome in outcomes if outcome.work.saga_id not in locked]

    def _put_aside(self, outcome: _Outcome) -> None:
        work = outcome.work
        log.warning("saga %s is locked by somebody; what %s came to waits", work.saga_id, work.name)
        self._aside.put(work, outcome)
        self._wary_until = time.monotonic() + WARY

    def _unlocked(self, now: float) -> list[_Outcome]:
        """Return what was put aside and may be written now. Who is leaving waits no longer than a lease's length."""
        try:
            found = self._aside.take()
        except AWAY as fault:
            log.warning("it could not be seen what is locked; it is looked again: %s", fault)
            close_old_connections()
            found = []
        if self._aside and self._leaving is not None and now > self._leaving + settings().LEASE:
            lost = self._aside.give_up()
            for work in lost:
                log.error("saga %s stayed locked; what %s came to is lost", work.saga_id, work.name)
            self._forget({work.saga_id for work in lost})
        return found

    def _deliver_apart(self, outcomes: list[_Outcome], fault: Exception) -> None:
        """Find the one that spoils the group; what cannot be written even alone is kept apart."""
        if len(outcomes) > 1:
            stuck = 0
            for outcome in outcomes:
                self._renew()
                if stuck > 1:  # it is no row of one saga that somebody keeps: the others wait untried
                    self._put_aside(outcome)
                    continue
                self._deliver([outcome])
                stuck += outcome.work.token in self._aside
            return
        log.error("what became of %s cannot be written", outcomes[0].work.name, exc_info=fault)
        work = outcomes[0].work
        self._keep_apart(work.saga_id, work.token, "could not be written", fault)
        self._forget({work.saga_id})

    def _keep_apart(self, saga_id: UUID, token: UUID, what: str, why: Exception) -> None:
        error = f"{what}: {type(why).__name__}: {why}"
        self._insist(lambda: claims.keep_apart(saga_id, token, error))

    def _attempt(
        self, answers: list[orchestrator.Answered], known: dict[UUID, loading.Held]
    ) -> orchestrator.Delivered:
        room = self.free
        try:
            self.pauses.heed()
            self._room = room
            try:
                return orchestrator.deliver(answers, self._take_on, known, trust=True)
            except Stale:  # somebody else has moved one of them
                self._room = room
                return orchestrator.deliver(answers, self._take_on, known)
        except AWAY as fault:
            if is_unwritable(fault):
                raise Unwritable(str(fault)) from fault
            if is_locked(fault):
                raise Locked(str(fault)) from fault
            raise

    def _take_on(self, queue: str, now: datetime, timeout: float) -> ledger.Lease | None:
        """Lease a command as it is dispatched, if it is for us and there is room."""
        if self._room <= 0 or queue not in self.queues or queue in self.pauses.queues or self.stopping():
            return None
        self._room -= 1
        until = now + timedelta(seconds=timeout)
        return ledger.Lease(uuid4(), claims.lease_end(now), now, until, self.worker)

    def _settle_deliveries(self, outcomes: list[_Outcome]) -> None:
        if not outcomes:
            return
        taken = [o.work for o in outcomes if o.fault is None or isinstance(o.fault, call.NoHook)]
        self._insist(lambda: claims.delivered(taken))
        for o in outcomes:
            if o.fault is not None and o.work not in taken:
                wait, error = outbox.wait_after(o.work.attempt), call.told(o.fault)
                self._insist(lambda o=o, wait=wait, error=error: claims.put_off(o.work, wait, error))  # type: ignore[misc]

    def _insist(self, write: Callable[[], T]) -> T:
        """Have something written, however often the database has to be asked, and keep what is held meanwhile."""
        return self.room.insist(write, self._renew)

    def _leased(self) -> list[Work]:
        """Return what is ours until its lease ends."""
        return [*self._unwritten, *(each.work for each in self.running.values()), *self._aside.works]

    def _renew(self) -> None:
        if time.monotonic() - self._renewed <= settings().LEASE / 3:
            return
        held = self._leased()
        if held:
            self._renewed = time.monotonic()
            try:
                claims.renew(held)
            except AWAY as fault:
                self.room.noticed(fault)
                log.warning("no lease could be renewed; what runs goes on: %s", fault)
                close_old_connections()


def _answer(outcome: _Outcome) -> orchestrator.Answered:
    try:
        reply = call.reply_to(outcome.work, outcome.result, outcome.fault)
    except Exception as own:  # of what the handler returned: it must not take its neighbours' answers with it
        reply = call.unreadable(outcome.work, own)
    return orchestrator.Answered(outcome.work.saga_id, reply, outcome.work.token, outcome.work.claimed_at)


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
