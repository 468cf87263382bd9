"""``saga start``."""

from typing import Any

from sagas import orchestrator
from sagas.management.commands._saga.arguments import json_object, moment, user_named
from sagas.management.commands._saga.speaking import Desk


def add_subcommands(subcommands: Any) -> None:
    """Add ``start``."""
    parser = subcommands.add_parser("start", help="start a saga; prints its id")
    parser.add_argument("type", metavar="TYPE")
    parser.add_argument("--data", metavar="JSON", type=json_object, default={}, help="- reads it from stdin")
    parser.add_argument("--key", help="idempotency key: the same key again gives the same saga")
    parser.add_argument("--correlation-id", metavar="ID")
    parser.add_argument(
        "--at", metavar="MOMENT", type=moment, help="when it begins, such as 2026-12-24T18:00:00+00:00"
    )
    parser.add_argument("--as", dest="operator", metavar="USER", help="who starts it, and may not approve it")
    parser.set_defaults(run=start)


def start(desk: Desk, options: dict[str, Any]) -> None:
    """Start a saga, and print its id."""
    operator = user_named(options["operator"])
    needed = orchestrator.permission("start")
    if operator is not None and not operator.has_perm(needed):
        raise orchestrator.Forbidden(f"{operator} may not start sagas; it needs the permission {needed}.")
    started = orchestrator.start(
        options["type"],
        options["data"],
        correlation_id=options["correlation_id"],
        idempotency_key=options["key"],
        at=options["at"],
        started_by=operator,
    )
    desk.say("Started." if started.created else "This key had started it already.")
    desk.give(started.saga.pk)
