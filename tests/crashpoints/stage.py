"""One run: a client that calls again until it is answered, and the processes that serve it, one after the other.

In the tests a process is what this thread does between its birth and its death: it has one database connection,
runs its handlers itself, and sends its hints at once, so that it passes the same points each time.
``bench/crashpoints`` plays on the same stage with real processes.
"""

import asyncio
import json
import random
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID

import django_rq
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.db.models.functions import Now
from django.test import override_settings

from sagas import bell, clock, jobs, orchestrator, worker
from sagas.alerts import channels, looking, telling, watching
from sagas.engine import Pump, Resident, claims, pauses, pump
from sagas.fuse import Fuse
from sagas.live import channel
from sagas.models import (
    Alert,
    Batch,
    BatchItem,
    Callback,
    Child,
    Definition,
    Due,
    Event,
    LateReply,
    Notice,
    OperatorAction,
    PausedQueue,
    Process,
    Saga,
    Schedule,
    Step,
    Watch,
)
from sagas.orchestrator import Asked, batch_plan
from sagas.orchestrator.company import Company
from sagas.soon import Soon
from tests.crashpoints import seams, shop
from tests.forgetting import forget_definitions

QUEUES = ("parcel", "events", "waits")
#: Modules whose names in their packages are their functions'.
STARTING, PUBLISHING = import_module("sagas.orchestrator.start"), import_module("sagas.live.publish")
#: What ``sagas`` leaves in Redis; each has a time to live, or a ring that is lost would be lost for ever.
OURS = "sagadesk:*"


class OneThread:
    """Stands in for the pump's slots: a handler runs where it is begun; one that hangs is put aside, its time over."""

    busy = waiting = 0
    took = None

    def __init__(self, pump: Pump) -> None:
        self.pump = pump
        self.hung: list[tuple[Callable[[], Any], Any]] = []

    def run(self, function: Callable[[], Any], done: Any) -> None:
        """Run it, and tell what it returned or raised."""
        result, fault = None, None
        try:
            result = function()
        except shop.Hangs:
            self.hung.append((function, done))
            for token, running in self.pump.running.items():
                self.pump.running[token] = running._replace(until=0.0)
            return
        except seams.Death:
            raise
        except BaseException as raised:
            fault = raised
        done(result, fault)

    def run_async(self, make: Callable[[], Any], timeout: float, done: Any, name: str) -> None:
        """Run a coroutine to its end."""
        self.run(lambda: asyncio.run(make()), done)

    def watch(self) -> None:
        """There is no loop that could block."""

    def go_on(self) -> None:
        """Nothing waits."""


class AtOnce:
    """Stands in for a thread: what it is to do is done where it is started."""

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...], **_: Any) -> None:
        self._target, self._args = target, args

    def start(self) -> None:
        """Do it."""
        self._target(*self._args)

    def join(self, timeout: float) -> None:
        """It is done."""

    def is_alive(self) -> bool:
        """It is done."""
        return False


class Brief(Pump):
    """A pump that does not stay: there is nobody else to give it more to do."""

    def run(self, budget: float, *, stay: bool = False) -> None:
        """Serve until nothing is due."""
        super().run(budget)


class Stage:
    """What a path is played on. What the client was told survives all deaths; a process' memory does not."""

    def __init__(self, *, threads: bool = False) -> None:
        """Set it; with ``threads``, handlers run in the pump's own slots."""
        self.threads = threads
        self.saga: UUID | None = None
        self.told: dict[Any, Any] = {}
        self.pump: Pump
        self.be_born()

    def be_born(self) -> None:
        """Begin as a process does: nothing is known, nothing is connected."""
        _forget()
        jobs._pump = None
        self.clock = worker.Clock()
        self.pump = self.new_pump()

    def new_pump(self, *queues: str) -> Pump:
        """Return a pump that serves these queues, or every one."""
        pump = Brief(queues or QUEUES, "stage")
        if not self.threads:
            pump._slots = OneThread(pump)  # type: ignore[assignment]
        return pump

    # The client

    def start(
        self, data: Mapping[str, Any] | None = None, key: str | None = None, kind: str = "Parcel"
    ) -> UUID:
        """Start a saga. With a key it may be done again; without, only if no answer came."""
        if key is None and ("start", key) in self.told:
            return self.told["start", key]  # type: ignore[no-any-return]
        saga = orchestrator.start(kind, data or {}, idempotency_key=key).saga
        self.saga = self.hears(("start", key), saga.pk)
        return saga.pk

    def run_here(self, data: Mapping[str, Any] | None = None, *, key: str) -> None:
        """Start a saga, and carry it on in the process that started it, as far as that goes."""
        host = Resident(QUEUES)
        host.worker = "stage"
        host._thread = threading.current_thread()  # instead of one of its own
        if not self.threads:
            host._slots = OneThread(host)  # type: ignore[assignment]
        started = orchestrator.start("Parcel", data or {}, idempotency_key=key, claim=host.lease)
        self.saga = self.hears(("start", key), started.saga.pk)
        if started.claimed:
            host.receive(started.claimed)
            host.run(30)

    def answer(self, result: Any = None) -> None:
        """Be the one who promised an answer, and give it, however often."""
        assert self.saga is not None
        orchestrator.step_completed(self.saga, "wait", result)

    def act(self, verb: str, **more: Any) -> None:
        """Carry out a verb, with an action id: whoever asks again hears the same."""
        operator = get_user_model().objects.get(username="crash")
        asked = Asked(operator=operator, via="desk", reason="because", action_id=f"id-{verb}", **more)
        assert self.saga is not None
        answer = orchestrator.act(self.saga, verb, asked)
        self.hears(("act", verb), json.loads(json.dumps([answer.saga, str(answer.created)])))

    def act_on_queue(self, verb: str, queue: str, **more: Any) -> None:
        """Pause a queue, or resume it, with an action id: whoever asks again hears the same."""
        operator = get_user_model().objects.get(username="crash")
        asked = Asked(operator=operator, via="desk", reason="because", action_id=f"id-{verb}-{queue}")
        answer = orchestrator.act_on_queue(queue, verb, asked, **more)
        self.hears(("queue", verb, queue), json.loads(json.dumps(answer.queue)))

    def start_batch(self, verb: str) -> None:
        """Begin a batch on every saga there is, with an action id: whoever asks again hears the same."""
        operator = get_user_model().objects.get(username="crash")
        asked = Asked(operator=operator, via="desk", reason="because", action_id=f"id-batch-{verb}")
        course = orchestrator.Course(waves=(1,), per_second=20)
        with patch.object(batch_plan, "SETTLED", timedelta(0)):
            answer = orchestrator.start_batch(verb, Saga.objects.all(), asked, course, filters={})
        self.hears(("batch", verb), answer.batch.pk)

    def act_on_batches(self, verb: str) -> None:
        """Do something to every batch, with an action id: whoever asks again hears the same."""
        operator = get_user_model().objects.get(username="crash")
        asked = Asked(operator=operator, via="desk", reason="because", action_id=f"id-batch-{verb}")
        for number in Batch.objects.values_list("pk", flat=True):
            self.hears(("batch", verb, number), orchestrator.act_on_batch(number, verb, asked).batch.pk)

    def act_on_alerts(self, verb: str, **more: Any) -> None:
        """Take the alert of a saga, or give it back, with an action id: whoever asks again hears the same."""
        operator = get_user_model().objects.get(username="crash")
        asked = Asked(operator=operator, via="desk", reason="because", action_id=f"id-alert-{verb}")
        for number in Alert.objects.filter(kind="attention").values_list("pk", flat=True):
            self.hears(
                ("alert", verb, number), orchestrator.act_on_alert(number, verb, asked, **more).alert.pk
            )

    def remap(self, names: Mapping[str, str]) -> None:
        """Have commands called by their new names; who is asked again has nothing left to do."""
        operator = get_user_model().objects.get(username="crash")
        asked = Asked(operator=operator, via="command", reason="because")
        assert not any(batch.left for batch in orchestrator.remap(names, asked))

    def hears(self, question: Any, answer: Any) -> Any:
        """Hear an answer: the same as before, if there was one before."""
        before = self.told.setdefault(question, answer)
        assert before == answer, f"{question} was answered with {before}, and then with {answer}"
        return answer

    # The worker and the clock

    def rest(self) -> None:
        """Be a worker that comes when it is called, and a clock, until nothing is due."""
        for _ in range(60):
            if self.serve():
                continue
            if not self.waiting():
                return
            self.time_passes()
            self.clock.tick()
        raise AssertionError(f"it does not come to rest: {list(Due.objects.values())}")

    def carry_on_batches(self) -> None:
        """Be a clock and a worker until it is known what came of all that runs."""
        for _ in range(60):
            if self.serve():
                continue
            with seams.aside():
                running = Batch.objects.filter(ended_at=None).exclude(state=Batch.PAUSED)
                if not running.exists():
                    return
                running.update(next_at=Now())
            self.time_passes()
            self.clock.tick()
        raise AssertionError(f"they do not end: {list(BatchItem.objects.values())}")

    def look(self) -> None:
        """Be one who looks whether something asks for a person, and tells, after a while in which nobody did."""
        with seams.aside():
            past = Now() - timedelta(hours=1)
            Watch.objects.update(looked_at=past)
            Notice.objects.filter(sent_at=None).update(due_at=past)
            Alert.objects.filter(tell_at__isnull=False).update(tell_at=past)
        told = {"ALERTS": {"pager": {"call": "pager.page", "kinds": ["attention"]}}, "ALERT_AFTER": 0}
        with (
            override_settings(SAGAS=told),
            patch.object(looking, "CALM", timedelta(0)),
            patch.object(channels, "send", shop.page),
            patch.object(telling, "threading", SimpleNamespace(Thread=AtOnce)),
            patch.object(telling, "_send_alone", telling._send),
        ):
            if watching.our_turn():
                looking.look()
                telling.tell()

    def others_rest(self) -> None:
        """Have other processes do the rest, which do not die: this one was a web process."""
        with seams.unseen():
            self.rest()

    def serve(self) -> bool:
        """Be a worker, if one is called for."""
        called = self.called()
        if called:
            self.pump.run(30)
        return called

    def take_and_give_back(self) -> None:
        """Be a worker that takes something ahead, and leaves it to others after all."""
        if self.called():
            claims.give_back(claims.claim(QUEUES, 100, "stage"))

    def come_back(self) -> None:
        """Have the handlers of this process that hung come back."""
        slots: Any = self.pump._slots
        hung, slots.hung = slots.hung, []
        with patch.object(shop, "released", True):
            for function, done in hung:
                slots.run(function, done)

    def called(self) -> bool:
        """Take away what Redis has for a worker; say whether there was anything."""
        with seams.aside():
            names = [f"{kind}:{queue}" for queue in QUEUES for kind in ("rq:queue", "sagadesk:ring")]
            return bool(bell.connection().delete(*names))

    def waiting(self) -> int:
        """Count what is due, sooner or later."""
        with seams.aside():
            return Due.objects.filter(paused=False).exclude(queue__in=PausedQueue.names()).count()

    def time_passes(self) -> None:
        """Let all leases end, all back-offs be over and all keys in Redis expire, in the database's time."""
        with seams.aside():
            past = Now() - timedelta(hours=1)
            Due.objects.filter(lease_token__isnull=False).update(lease_until=past)
            Due.objects.update(due_at=past)
            redis = bell.connection()
            for key in redis.keys(OURS):
                assert redis.pttl(key) > 0, f"{key} would stand for ever"
                redis.delete(key)


def _forget() -> None:
    """Forget what a process keeps in memory; what would depend on how busy this machine is, shall not."""
    random.seed(1)
    bell.RING_AGAIN = 60_000
    pump.LOOK = 60.0
    pauses.BELIEVED = 0.0
    PUBLISHING.PATIENCE = 10.0
    bell.brief = Fuse(lambda: django_rq.get_connection("default"), 10.0)
    bell.connection().close()
    bell.connection.cache_clear()
    bell._script.cache_clear()
    forget_definitions()
    clock._heard = None
    STARTING._company = Company(STARTING.record, most=64)
    STARTING._keyed = Company(STARTING._record_in_order, most=64)
    PUBLISHING._publisher = PUBLISHING.Publisher()
    # A pace of 0: a hint goes out in the thread that gives it.
    PUBLISHING._soon = Soon(0, lambda versions: PUBLISHING._publisher.publish(channel.pack(versions)))
    jobs._soon = Soon(0, jobs._wake)


def die() -> None:
    """Drop what the process held: its connections, and what they had not committed."""
    for each in connections.all(initialized_only=True):
        if each.connection is not None:
            each.connection.rollback()  # what the server does when it misses the client; here it is done when we go on
            each.has_written = False
            each.close()


#: All that is emptied before a run, and looked at after it.
TABLES = (
    Schedule,
    Due,
    Callback,
    Child,
    Event,
    Step,
    OperatorAction,
    BatchItem,
    Batch,
    Notice,
    Alert,
    Watch,
    PausedQueue,
    LateReply,
    Saga,
    Definition,
    Process,
    shop.Effect,
    shop.Memory,
)


def clear() -> None:
    """Empty the tables and Redis."""
    deletions = [f"DELETE FROM {model._meta.db_table}" for model in TABLES]  # noqa: S608 - our own
    with connection.cursor() as cursor:
        for sql in ["; ".join(deletions)] if connection.vendor == "postgresql" else deletions:
            cursor.execute(sql)
    redis = bell.connection()
    redis.flushall()
    redis.script_load(bell._RING)
