"""Bugs at the edges: the participant's inbox, the processes, the live pages."""

from tests.bugs.bug import POSTGRES, bug
from tests.bugs.planting import Unfit, replace, rewrite

SERVICES, PROCESSES = "tests/participants/test_shop_services.py", "tests/acceptance/test_processes.py"
FEED = "tests/sagas/test_live_feed.py"


@bug(SERVICES, chaos=True)
def no_tombstone() -> None:
    """An undo that finds no effect leaves no trace, so the action that it overtook has its effect after all."""
    rewrite(
        "sagas.inbox:_decide",
        "undone = _take(inbox, undoes, command.name, Inbox.CANCELLED) if undoes else None",
        "undone = inbox._default_manager.filter(key=undoes).first() or inbox() if undoes else None",
    )


@bug(SERVICES)
def reply_remembered_after_the_effect() -> None:
    """The inbox remembers the reply in a commit of its own: who dies between the two does it all again."""
    rewrite(
        "sagas.inbox:_decide",
        'entry.save(update_fields=["outcome", "reply"])',
        'transaction.on_commit(lambda: entry.save(update_fields=["outcome", "reply"]))',
    )


@bug(SERVICES)
def rejections_not_remembered() -> None:
    """The inbox forgets what it refused: the same command may be done when it is repeated."""
    rewrite("sagas.inbox:_decide", "entry.outcome, entry.reply = Inbox.REJECTED, str(no)", "raise")


@bug("tests/sagas/test_bell.py", PROCESSES, chaos=True)
def no_clock_nudge() -> None:
    """The clock rings for nothing: what became due while nobody listened waits until somebody happens to look."""
    rewrite("sagas.jobs:ring_for_due", "ring(queues)", "pass", "nudge(name", "list(name")


@bug(PROCESSES, database=POSTGRES, chaos=True)
def stale_connections_kept() -> None:
    """A worker keeps its database connection for ever: after a restart of the database it never works again."""
    for module in ("sagas.worker", "sagas.engine.slots", "sagas.engine.pump"):
        replace(f"{module}:close_old_connections", lambda: None)


@bug(PROCESSES)
def worker_exits_without_redis() -> None:
    """A worker whose Redis is away ends, and with it, sooner or later, all of them."""
    rewrite("sagas.worker:_work", "except (RedisError, OSError) as fault:", "except TimeoutError as fault:")


@bug(PROCESSES)
def any_function_in_a_job() -> None:
    """A worker runs whatever function a job in Redis names."""
    rewrite(
        "sagas.jobs:NudgeJob.func",
        "if self.func_name != WORK:",
        "if False:",
        "return work",
        "return Job.func.fget(self)",
    )


@bug("tests/sagas/test_groups.py")
def sqlite_transactions_deferred() -> None:
    """SQLite's transactions begin as readers: who wants to write then is told that the database is locked."""
    from django.db import connections

    options = connections.databases["default"].get("OPTIONS", {})
    if options.pop("transaction_mode", None) is None:
        raise Unfit("the database's options name no transaction_mode")


@bug(FEED)
def lost_hints_stay_lost() -> None:
    """Pages follow hints alone; nobody compares what they show with the database."""
    rewrite("sagas.live.feed:Feed._compare", "await self.fragments.versions(shown) if shown else {}", "{}")
