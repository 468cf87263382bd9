"""``saga batch list``, ``show``, ``start`` and the verbs on one: many sagas, through the orchestrator's door."""

from argparse import ArgumentTypeError
from typing import Any

from sagas import orchestrator
from sagas.management.commands._saga.arguments import moment, version
from sagas.management.commands._saga.asking import add_asking, again, asked
from sagas.management.commands._saga.filtering import add_filters, wanted
from sagas.management.commands._saga.paging import add_paging, give_page
from sagas.management.commands._saga.speaking import Desk, bad_usage
from sagas.models import Batch, BatchItem


def add_subcommands(subcommands: Any) -> None:
    """Add ``batch`` with its own subcommands."""
    batch = subcommands.add_parser(
        "batch", help="one verb on many sagas, in waves: begin it, look at it, stop it"
    )
    doing = batch.add_subparsers(title="subcommands", dest="doing", metavar="COMMAND", required=True)
    _add_reading(doing)
    parser = doing.add_parser("start", help="begin a batch; prints its number")
    parser.add_argument("verb", metavar="VERB", choices=list(orchestrator.BATCHED), help="%(choices)s")
    add_filters(parser)
    _add_course(parser)
    parser.add_argument(
        "--seen-at",
        metavar="MOMENT",
        type=moment,
        help="leave out what has moved since, as seen_at of a dry run",
    )
    parser.add_argument(
        "--at-most", metavar="N", type=version, help="refuse if more match by now, as total of a dry run"
    )
    add_asking(parser, "batch", answer="batch")
    parser.set_defaults(run=start)
    for verb, label in orchestrator.BATCH_VERBS.items():
        parser = doing.add_parser(verb, help=f"{label.lower()}; prints the batch's number")
        parser.add_argument("number", metavar="N", type=version)
        add_asking(parser, "batch", answer="batch")
        parser.set_defaults(run=act, verb=verb)


def _add_reading(doing: Any) -> None:
    parser = doing.add_parser("list", help="list batches, the newest first; prints a number a line")
    parser.add_argument("--state", choices=[state for state, _ in Batch.STATES])
    add_paging(parser, "batch", "N", version)
    parser.set_defaults(run=list_batches)
    parser = doing.add_parser("show", help="show a batch")
    parser.add_argument("number", metavar="N", type=version)
    parser.add_argument("--sagas", action="store_true", help="and what came of each of its sagas")
    parser.add_argument("--json", action="store_true", help="all that is known, for programs")
    parser.set_defaults(run=show)


def _add_course(parser: Any) -> None:
    usual = orchestrator.Course
    parser.add_argument(
        "--waves",
        metavar="N,N,…",
        type=_waves,
        default=usual.waves,
        help=f"how many sagas the first waves have, {','.join(map(str, usual.waves))} if not said; "
        "then come all others. none: all at once",
    )
    parser.add_argument(
        "--per-second",
        metavar="N",
        type=float,
        default=usual.per_second,
        help="at most so many a second; %(default)g if not said",
    )
    parser.add_argument(
        "--stop-above",
        metavar="PERCENT",
        type=_percent,
        default=usual.stop_above,
        help="pause by itself when more of them go wrong again, or never; %(default)s if not said",
    )


def _waves(text: str) -> tuple[int, ...]:
    """Read the sizes of waves."""
    try:
        return () if text == "none" else tuple(int(size) for size in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} are no waves; write 1,5,25, or none") from None


def _percent(text: str) -> int | None:
    """Read a share, or that there is none."""
    try:
        return None if text == "never" else int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no percentage; write 20, or never") from None


def list_batches(desk: Desk, options: dict[str, Any]) -> None:
    """Print batches: a number a line, for people with how each stands; or a page of JSON."""
    batches = Batch.objects.all()
    if options["state"]:
        batches = batches.filter(state=options["state"])
    give_page(desk, options, batches, orchestrator.batch_documents, _line)


def show(desk: Desk, options: dict[str, Any]) -> None:
    """Print a batch: as JSON for programs, or in short for people."""
    batch = orchestrator.batch_numbered(options["number"])
    (document,) = orchestrator.batch_documents([batch])
    items = batch.items.order_by("position") if options["sagas"] else ()
    if options["json"]:
        sagas = {"sagas": [orchestrator.item_document(item) for item in items]} if options["sagas"] else {}
        desk.give_json(document | sagas)
        return
    desk.give(_line(batch))
    if batch.note:
        desk.give(batch.note)
    desk.give(f"wave {batch.wave + 1}, up to saga {orchestrator.boundary(batch)} of {batch.total}")
    desk.give(", ".join(f"{number} {state}" for state, number in document["counts"].items()))
    desk.give(f"begun {document['created_at']} by {batch.operator_name}: {batch.reason}")
    for item in items:
        desk.give(_item_line(item))


def start(desk: Desk, options: dict[str, Any]) -> None:
    """Begin a batch, or print what it would do."""
    sought = wanted(options)
    filters = sought.named()
    if not filters:
        raise bad_usage("A filter is required: that every saga is meant has to be said, as by --state.")
    request = asked(options)
    course = orchestrator.Course(options["waves"], options["per_second"], options["stop_above"])
    if options["dry_run"]:
        _tell(desk, orchestrator.preview_batch(options["verb"], sought.sagas(), request, course), options)
        return
    answer = orchestrator.start_batch(
        options["verb"],
        sought.sagas(),
        request,
        course,
        filters=filters,
        seen_at=options["seen_at"],
        at_most=options["at_most"],
    )
    _give(desk, answer, options)


def act(desk: Desk, options: dict[str, Any]) -> None:
    """Act on a batch, or print what that would do."""
    number, verb, request = options["number"], options["verb"], asked(options)
    if not options["dry_run"]:
        _give(desk, orchestrator.act_on_batch(number, verb, request), options)
        return
    says = orchestrator.preview_batch_verb(number, verb, request)
    desk.say(says)
    if options["json"]:
        (batch,) = orchestrator.batch_documents([orchestrator.batch_numbered(number)])
        desk.give_json({"batch": batch, "sentences": [says]})


def _tell(desk: Desk, plan: orchestrator.BatchPlan, options: dict[str, Any]) -> None:
    for sentence in plan.sentences:
        desk.say(sentence)
    for each in plan.alike:
        asks = f": {each.step}, {each.attention}" if each.step else ""
        desk.say(f"  {each.count:6}  {each.saga_type}, {each.state}{asks}")
    if options["json"]:
        desk.give_json(plan.document())


def _give(desk: Desk, answer: orchestrator.BatchAnswer, options: dict[str, Any]) -> None:
    batch = answer.batch
    did = f"{again(answer)}{answer.verb} was done"
    desk.say(f"{did}; batch {batch.pk}, {batch.verb} of {batch.total}, is {batch.state} now.")
    if options["json"]:
        desk.give_json(orchestrator.batch_documents([batch])[0])
    else:
        desk.give(batch.pk)


def _line(batch: Batch) -> str:
    asked = " ".join(f"{name}={value}" for name, value in batch.filters.items())
    return f"{batch.pk:6}  {batch.state:9}  {batch.verb:10}  {batch.total:6}  {asked}"


def _item_line(item: BatchItem) -> str:
    did = f"{item.created_id or ''}  {item.text}".strip()
    return f"{item.position:6}  {item.saga_id}  {item.state:7}  {did}".rstrip()
