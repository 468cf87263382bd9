"""``saga drill``: prove that a type's compensations compensate, away from the real database."""

import inspect
from argparse import ArgumentTypeError
from collections import Counter
from typing import Any

from django.db import DatabaseError

from sagas import drills
from sagas.management.commands._saga.arguments import json_object
from sagas.management.commands._saga.speaking import Desk, bad_usage, refused


def add_subcommands(subcommands: Any) -> None:
    """Add ``drill``."""
    parser = subcommands.add_parser(
        "drill",
        help="run a saga type once per failure point, in a database of its own: is every one restored?",
        description="Exit code 0: every point holds; 1: one does not, or no database could be made; 2: bad usage.",
    )
    parser.add_argument("type", metavar="TYPE")
    parser.add_argument("--data", metavar="JSON", type=json_object, help="instead of the type's sample_data")
    parser.add_argument("--only", metavar="STEP", help="only the points of this step")
    parser.add_argument(
        "--elsewhere",
        metavar="SERVICE=URL",
        type=_service,
        action="append",
        default=[],
        help="a service elsewhere that is there to be drilled; nothing else elsewhere is called",
    )
    parser.add_argument("--json", action="store_true", help="the report, for programs")
    parser.set_defaults(run=drill)


def _service(text: str) -> tuple[str, str]:
    name, equals, url = text.partition("=")
    if not (name and equals and url):
        raise ArgumentTypeError(f"{text!r} is not SERVICE=URL, as CarrierService=http://127.0.0.1:8001")
    return name, url


def drill(desk: Desk, options: dict[str, Any]) -> None:
    """Drill a type, show its table, and keep it for the desk."""
    from sagas.testing.apart import NoDatabase, own_databases  # what tests need is only loaded for this
    from sagas.testing.drilling import Drill
    from sagas.testing.refusals import CannotDrill

    try:
        named = dict(options["elsewhere"])
        asked = Drill(options["type"], options["data"], only=options["only"], elsewhere=named)
        with own_databases():
            report = asked.run()
    except CannotDrill as no:
        raise bad_usage(str(no)) from no
    except NoDatabase as no:
        raise refused(str(no)) from no
    document = {**report.document(), "code": drills.code_version(inspect.getfile(type(asked.author)))}
    desk.give_json(document) if options["json"] else _show(desk, report)
    if options["data"] is None and options["only"] is None:
        _keep(desk, document)
    if not report.ok:
        raise refused(f"{report.summary}.")


def _show(desk: Desk, report: Any) -> None:
    from sagas.testing.report import LEGEND, text_table, traces

    desk.give(text_table([each.document() for each in report.drilled]))
    desk.give("")
    counted = Counter(each.verdict for each in report.drilled)
    for verdict, meaning in LEGEND.items():
        if counted[verdict]:
            desk.give(f"{counted[verdict]:4} {verdict:10} {meaning}")
    for note in report.notes:
        desk.give(f"\n{note}")
    for trace in traces(report.drilled):
        desk.give(f"\n{trace}")
    if report.ok:
        desk.give(f"\n{report.summary}.")


def _keep(desk: Desk, document: dict[str, Any]) -> None:
    """Keep the table, where there is a database to keep it in: that is no part of the verdict."""
    try:
        drills.keep(document, document["code"])
    except DatabaseError as fault:
        desk.say(f"The desk does not show this drill, as it could not be kept: {fault}")
