"""``saga worker`` and ``saga clock``: the processes that a supervisor keeps alive."""

from typing import Any

from django.core import checks

from sagas import worker as processes
from sagas.management.commands._saga.speaking import Desk, bad_usage, refused
from sagas.management.commands._saga.upkeep import system_problems


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
    processes.run_worker(options["queues"], burst=options["burst"])


def clock(desk: Desk, options: dict[str, Any]) -> None:
    """Tick until told to stop."""
    _refuse_unsound()
    processes.run_clock()


def _refuse_unsound() -> None:
    """Definitions that cannot run are mended before anything runs."""
    problems = list(system_problems(checks.ERROR))
    if problems:
        raise refused("\n".join(problems))
