"""Bugs of the engine: claims, leases, time-outs."""

from inspect import unwrap

from tests.bugs.bug import POSTGRES, bug
from tests.bugs.planting import replace, reword, rewrite

ENGINE, EVENTS, GROUPS, HANDLERS, LEASES, MODELS = (
    f"tests/sagas/test_{name}.py" for name in ("engine", "events", "groups", "handlers", "leases", "models")
)
PROCESSES = "tests/acceptance/test_processes.py"


@bug(ENGINE, chaos=True)
def key_contains_the_attempt() -> None:
    """Each attempt has a key of its own, so no inbox can know that it has had the effect before."""
    rewrite(
        "sagas.engine.work:_command",
        "key=idempotency_key(saga_id, sent.step, sent.direction, sent.generation)",
        "key=idempotency_key(saga_id, sent.step, sent.direction, sent.generation) + f':{sent.attempt}'",
    )


@bug(LEASES, chaos=True)
def no_reaper() -> None:
    """Nobody takes back what a dead worker held."""
    rewrite("sagas.engine.claims:reap", "lease_until__lt=database_now()", "lease_until=None")


@bug(LEASES)
def a_lost_attempt_never_was() -> None:
    """What a dead worker held is given to the next one as if it had never been tried."""
    rewrite(
        "sagas.engine.claims:reap",
        "_record([_lost(row) for row in commands])",
        "Due.objects.filter(pk__in=[row.pk for row in commands]).update(**_FREE)",
    )


@bug(GROUPS)
def a_lock_is_waited_for() -> None:
    """What a handler answered is written however long somebody keeps its saga locked, and all others wait, too."""
    rewrite("sagas.engine.pump:Pump._attempt", "raise Locked(str(fault)) from fault", "pass")


@bug(GROUPS)
def undecided_given_back() -> None:
    """An outcome that could not be recorded frees its command, as if nobody had tried it."""
    rewrite(
        "sagas.engine.claims:keep_apart",
        "held.update(lease_until=until, error=printable(error))",
        "held.update(**_FREE, due_at=until, error=printable(error))",
    )


@bug(LEASES, database=POSTGRES)
def claim_without_a_lock() -> None:
    """Two workers that look at the same moment take the same work: the second takes the first one's lease away."""
    reword("sagas.engine.claims:_TAKE", "FOR UPDATE SKIP LOCKED", "")


@bug(LEASES, database=POSTGRES)
def claim_waits_for_locks() -> None:
    """A claim waits for rows that others have locked, instead of taking the next: one slow commit stops a queue."""
    reword("sagas.engine.claims:_TAKE", "FOR UPDATE SKIP LOCKED", "FOR UPDATE")


@bug("tests/sagas/test_actions.py")
def pause_ignored_by_the_claim() -> None:
    """A paused saga's work is claimed like any other's."""
    reword("sagas.engine.claims:_TAKE", " AND NOT paused", "")
    reword("sagas.engine.claims:_FREE_NOW", ' AND NOT "paused"', "")


@bug("tests/sagas/test_pausing.py")
def paused_queue_ignored_by_the_claim() -> None:
    """What is due on a queue that is paused is claimed like anything else."""
    rewrite("sagas.engine.pump:Pump._claim", "self.queues - self.pauses.heed()", "self.queues")


@bug("tests/sagas/test_pausing.py")
def paused_queue_ignored_in_mid_saga() -> None:
    """A worker that has done one step takes the next with it, though an operator has paused the queue of that."""
    rewrite("sagas.engine.pump:Pump._take_on", " or queue in self.pauses.queues", "")


@bug("tests/sagas/test_time.py", LEASES, database=POSTGRES)
def lease_by_the_workers_clock() -> None:
    """Leases and due times are taken from the worker's own clock, which is a minute fast, or slow."""
    own = "datetime.now(UTC) + timedelta(seconds=60 if os.getpid() % 2 else -60)"
    rewrite(
        "sagas.clock:database_now",
        'if connection.vendor == "postgresql":',
        f'import os\n    return {own}\n    if connection.vendor == "postgresql":',
    )
    rewrite(
        "sagas.engine.claims:_take",
        "cursor.execute(_TAKE,",
        """cursor.execute(_TAKE.replace("statement_timestamp()", f"'{database_now()}'::timestamptz"),""",
    )


@bug(LEASES, PROCESSES)
def leases_not_renewed() -> None:
    """A handler that takes longer than a lease loses it, and its command is executed a second time beside it."""
    rewrite("sagas.engine.pump:Pump._renew", "if held:", "if False:")


@bug(MODELS)
def a_model_speaks_for_the_inbox() -> None:
    """What a model refuses counts as never done, though the inbox knows that an attempt before it was taken."""
    rewrite(
        "sagas.engine.call:_validate", 'if not getattr(handler.function, "saga_inbox", False):', "if True:"
    )
    rewrite("sagas.engine.call:reply_to", "words_of(fault), inbox=False)", "words_of(fault), inbox)")


@bug(GROUPS)
def one_sagas_data_stops_a_claim() -> None:
    """A command that cannot be made of its saga's data takes those with it that were claimed together."""
    rewrite(
        "sagas.engine.work:command_work", "except Exception as fault:", "except ZeroDivisionError as fault:"
    )


@bug(HANDLERS)
def hung_handlers_keep_their_slots() -> None:
    """Nobody gives up on a handler that hangs: its slot, and its saga, are gone for good."""
    rewrite("sagas.engine.pump:Pump._timed_out", "if each.until <= now]", "if False]")


@bug(EVENTS)
def delivered_before_it_ran() -> None:
    """An event is marked as delivered before its subscriber has run: one that fails never hears of it again."""
    rewrite(
        "sagas.engine.pump:Pump._begin",
        "if work.held is not None:",
        "if work.event is not None:\n        claims.delivered([work])\n    if work.held is not None:",
    )


@bug("tests/sagas/test_prefetch.py")
def taken_ahead_and_kept() -> None:
    """What was taken ahead waits behind handlers that take their time, though other workers have room."""
    rewrite("sagas.engine.pump:Pump._give_back", "slow = self._slots.waited >= AFTER_ALL", "slow = False")


@bug("tests/sagas/test_prefetch.py")
def taken_ahead_and_begun() -> None:
    """What is taken ahead is begun at once: more handlers run than may."""
    rewrite("sagas.engine.slots:Slots._call", " or self._busy >= self._limit()", "")
    rewrite("sagas.engine.slots:Slots._next", " and self._busy < self._limit()", "")


@bug("tests/sagas/batches/test_waves.py")
def waves_are_not_waited_for() -> None:
    """A batch begins its next wave before it is known what came of the one before."""
    rewrite(
        "sagas.engine.batches:_look",
        "if batch.state == Batch.RUNNING and not awaited:",
        "if batch.state == Batch.RUNNING:",
    )


@bug("tests/sagas/batches/test_asking.py")
def batches_outlive_who_began_them() -> None:
    """A batch goes on for a user who was deleted, as if whoever has the shell had begun it."""
    rewrite("sagas.engine.batches:_check_allowed", "if orchestrator.orphaned(batch):", "if False:")


@bug("tests/sagas/batches/test_outcomes.py")
def a_turn_is_lost_with_its_commit() -> None:
    """A saga's verb and its place in the batch are two transactions: who dies in between has done it unsaid."""
    from sagas.engine import batches

    replace("sagas.engine.batches:_next", unwrap(batches._next))
