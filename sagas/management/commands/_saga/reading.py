"""``saga show`` and ``saga list``."""

from typing import Any

from sagas import orchestrator
from sagas.management.commands._saga.filtering import add_filters, wanted
from sagas.management.commands._saga.paging import add_paging, give_page
from sagas.management.commands._saga.speaking import Desk
from sagas.models import Saga


def add_subcommands(subcommands: Any) -> None:
    """Add ``show`` and ``list``."""
    show_parser = subcommands.add_parser("show", help="show a saga")
    show_parser.add_argument("id", metavar="ID")
    show_parser.add_argument("--json", action="store_true", help="all that is known, for programs")
    show_parser.set_defaults(run=show)

    parser = subcommands.add_parser("list", help="list sagas, the newest first; prints an id a line")
    add_filters(parser)
    add_paging(parser, "saga", "ID", str)
    parser.set_defaults(run=list_sagas)


def find(saga_id: str) -> Saga:
    """Return a saga. Raises NotFound."""
    saga = Saga.objects.filter(pk=orchestrator.as_uuid(saga_id)).first()
    if saga is None:
        raise orchestrator.NotFound(f"There is no saga {saga_id}.")
    return saga


def show(desk: Desk, options: dict[str, Any]) -> None:
    """Print a saga: as JSON for programs, or in short for people."""
    saga = orchestrator.snapshot(find(options["id"]))
    if options["json"]:
        desk.give_json(saga)
        return
    marks = [mark for mark in (saga["attention"], "paused" if saga["paused"] else None) if mark]
    desk.give(f"{saga['type']} {saga['id']}")
    desk.give(f"{saga['state']}{''.join(f', {mark}' for mark in marks)}; version {saga['version']}")
    desk.give(f"correlation id {saga['correlation_id']}, last change {saga['updated_at']}")
    desk.give(saga["why"]["text"])
    width = max(len(step["name"]) for step in saga["steps"])
    for step in saga["steps"]:
        note = " · ".join(filter(None, (step["attention"], step["error"])))
        desk.give(f"  {step['name']:{width}}  {step['status']:12}  {note}".rstrip())


def list_sagas(desk: Desk, options: dict[str, Any]) -> None:
    """Print sagas: an id a line, for people with what it is; or a page of JSON."""
    after = orchestrator.as_uuid(options["after"]) if options["after"] else None
    give_page(desk, options | {"after": after}, wanted(options).sagas(), orchestrator.snapshots, _line)


def _line(saga: Saga) -> str:
    attention = saga.attention or ""
    return f"{saga.pk}  {saga.state:12}  {attention:19}  {saga.saga_type}  {saga.correlation_id}"
