"""``saga worker`` and ``saga clock``: the processes that a supervisor keeps alive."""

import logging
import time
from typing import Any

from django.core import checks
from django.db import DatabaseError, InterfaceError

from sagas import soundness
from sagas import worker as processes
from sagas.management.commands._saga.speaking import Desk, bad_usage, refused
from sagas.management.commands._saga.upkeep import behind, system_problems

log = logging.getLogger(__name__)

#: Seconds between two looks at whether the database is migrated.
PAUSE = 2.0


def add_subcommands(subcommands: Any) -> None:
    """Add ``worker`` and ``clock``."""
    parser = subcommands.add_parser("worker", help="execute what is due on these queues, or on all")
    parser.add_argument("queues", metavar="QUEUE", nargs="*")
    parser.add_argument("--burst", action="store_true", help="end when nothing is left to do")
    parser.set_defaults(run=worker)
    parser = subcommands.add_parser("clock", help="wake the workers when work becomes due")
    parser.set_defaults(run=clock)


def worker(desk: Desk, options: dict[str, Any]) -> None:
    """Serve queues until told to stop."""
    if not all(options["queues"]):
        raise bad_usage("QUEUE must not be empty; name none at all to serve every queue.")
    _refuse_unsound()
    _await_migrations(patient=not options["burst"])
    processes.run_worker(options["queues"], burst=options["burst"])


def clock(desk: Desk, options: dict[str, Any]) -> None:
    """Tick until told to stop."""
    _refuse_unsound()
    _await_migrations()
    processes.run_clock()


def _refuse_unsound() -> None:
    """Definitions that cannot run are mended before anything runs."""
    problems = list(system_problems(checks.ERROR))
    if problems:
        raise refused("\n".join(problems))


def _await_migrations(*, patient: bool = True) -> None:
    """Say that the database is of older code than this, and wait for it: nothing could be done but fail."""
    told = False
    try:
        while missing := _lacking():
            if not patient:
                raise refused(behind(missing))
            if not told:
                log.warning("%s It is waited for.", behind(missing))
                told = True
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        raise refused("Stopped before it began.") from None
    if told:
        log.warning("the database is migrated")


def _lacking() -> list[str]:
    try:
        return soundness.lacking()
    except (DatabaseError, InterfaceError):
        return []  # it does not answer: whoever works waits for it
