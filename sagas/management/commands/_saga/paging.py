"""Lists on the command line: a page at a time, the newest first."""

from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet

from sagas.management.commands._saga.arguments import count
from sagas.management.commands._saga.speaking import Desk


def add_paging(parser: Any, what: str, metavar: str, kind: Callable[[str], Any]) -> None:
    """Add where a page begins, how long it is, and that it is JSON."""
    parser.add_argument("--after", metavar=metavar, type=kind, help=f"go on after this {what}")
    parser.add_argument("--limit", type=count, default=50)
    parser.add_argument("--json", action="store_true", help="as the API gives it")


def give_page(
    desk: Desk,
    options: dict[str, Any],
    rows: QuerySet[Any],
    documents: Callable[[Sequence[Any]], list[dict[str, Any]]],
    line: Callable[[Any], str],
) -> None:
    """Print a page: a key a line, for people a line that says what it is; or JSON."""
    if options["after"] is not None:
        rows = rows.filter(pk__lt=options["after"])
    found = list(rows.order_by("-pk")[: options["limit"] + 1])
    page = found[: options["limit"]]
    following = page[-1].pk if len(found) > len(page) else None
    if options["json"]:
        desk.give_json({"items": documents(page), "next": following})
        return
    for each in page:
        desk.give(line(each) if desk.seen else each.pk)
    if following is not None:
        desk.say(f"There are more: --after {following}")
