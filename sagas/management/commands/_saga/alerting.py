"""``saga alert list``, ``show``, ``take``, ``give-back`` and ``try``: what asks for a person, and whom that is told."""

from typing import Any

from sagas import alerts, orchestrator
from sagas.conf import settings
from sagas.management.commands._saga.arguments import count, user_named, version
from sagas.management.commands._saga.speaking import Desk, bad_usage, refused
from sagas.models import Alert

#: What was done to an alert.
_DONE = {"take": "taken", "give_back": "given back"}
#: How a channel comes to be there.
_NO_CHANNEL = (
    'No channel is configured. Name one in SAGAS["ALERTS"], as {"team": {"email": ["team@shop.example"]}},'
    " or in SAGADESK_ALERTS, as JSON."
)


def add_subcommands(subcommands: Any) -> None:
    """Add ``alert`` with its own subcommands."""
    alert = subcommands.add_parser("alert", help="what asks for a person: look at it, take it; try a channel")
    doing = alert.add_subparsers(title="subcommands", dest="doing", metavar="COMMAND", required=True)
    _add_reading(doing)
    for verb, label in orchestrator.ALERT_VERBS.items():
        parser = doing.add_parser(verb.replace("_", "-"), help=f"{label.lower()} an alert; prints its number")
        parser.add_argument("number", metavar="N", type=version)
        _add_asking(parser)
        parser.set_defaults(run=act, verb=verb, hours=None)
        if verb == "take":
            parser.add_argument(
                "--hours", metavar="H", type=float, help="for so long; if not said, until it is over"
            )
    parser = doing.add_parser("try", help="send a trial message by channels of SAGAS['ALERTS']")
    parser.add_argument("channels", metavar="CHANNEL", nargs="*", help="all that there are, if none is named")
    parser.set_defaults(run=try_channels)


def _add_reading(doing: Any) -> None:
    parser = doing.add_parser("list", help="list the open alerts, the newest first; prints a number a line")
    parser.add_argument("--all", action="store_true", help="and those that are over")
    parser.add_argument("--after", metavar="N", type=version, help="go on after this alert")
    parser.add_argument("--limit", type=count, default=50)
    parser.add_argument("--json", action="store_true", help="as the API gives it")
    parser.set_defaults(run=list_alerts)
    parser = doing.add_parser("show", help="show an alert, and whom it was told")
    parser.add_argument("number", metavar="N", type=version)
    parser.add_argument("--json", action="store_true", help="all that is known, for programs")
    parser.set_defaults(run=show)


def _add_asking(parser: Any) -> None:
    parser.add_argument("--reason", help="why; required, except with --dry-run")
    parser.add_argument(
        "--version",
        metavar="N",
        type=version,
        help="refuse if somebody has taken it, or given it back, since",
    )
    parser.add_argument("--action-id", help="the same one again does nothing, and gives the same alert")
    parser.add_argument("--dry-run", action="store_true", help="print what would happen")
    parser.add_argument("--json", action="store_true", help="print the alert right after it")
    parser.add_argument(
        "--as", dest="operator", metavar="USER", help="act as this user, with its permissions"
    )


def list_alerts(desk: Desk, options: dict[str, Any]) -> None:
    """Print alerts: a number a line, for people with what it is; or a page of JSON."""
    found, limit = Alert.objects.order_by("-pk"), options["limit"]
    if not options["all"]:
        found = found.filter(resolved_at=None)
    if options["after"] is not None:
        found = found.filter(pk__lt=options["after"])
    read = list(found[: limit + 1])
    page, more = read[:limit], len(read) > limit
    if options["json"]:
        items = orchestrator.alert_documents(page)
        desk.give_json({"items": items, "next": page[-1].pk if more else None})
        return
    for alert in page:
        desk.give(_line(alert) if desk.seen else alert.pk)
    if more:
        desk.say(f"There are more: --after {page[-1].pk}")


def show(desk: Desk, options: dict[str, Any]) -> None:
    """Print an alert: as JSON for programs, or in short for people."""
    alert = orchestrator.alert_numbered(options["number"])
    document = orchestrator.alert_detail(alert)
    if options["json"]:
        desk.give_json(document)
        return
    desk.give(_line(alert))
    desk.give(alert.hint)
    over = f", over {document['resolved_at']}" if alert.resolved_at else ""
    desk.give(f"there since {document['opened_at']}{over}; {alert.earlier} times in the day before")
    if alert.taken_name:
        desk.give(f"taken by {alert.taken_name} {document['taken_at']}: {alert.taken_note}")
    for notice in document["notices"]:
        desk.give(_notice_line(notice))


def act(desk: Desk, options: dict[str, Any]) -> None:
    """Take an alert or give it back, or print what that would do."""
    if not options["dry_run"] and not (options["reason"] or "").strip():
        raise bad_usage("--reason is required: say why, for whoever reads the audit trail.")
    asked = orchestrator.Asked(
        operator=user_named(options["operator"]),
        via="command",
        reason=options["reason"] or "",
        version=options["version"],
        action_id=options["action_id"],
    )
    number, verb = options["number"], options["verb"]
    if options["dry_run"]:
        _tell(desk, number, orchestrator.preview_alert(number, verb, asked, options["hours"]), options)
        return
    answer = orchestrator.act_on_alert(number, verb, asked, options["hours"])
    again = "This action id was known; then, " if answer.repeated else ""
    desk.say(f"{again}alert {answer.alert.pk} was {_DONE[verb]}: {answer.alert.title}")
    if options["json"]:
        desk.give_json(orchestrator.alert_documents([answer.alert])[0])
    else:
        desk.give(answer.alert.pk)


def _tell(desk: Desk, number: int, sentences: tuple[str, ...], options: dict[str, Any]) -> None:
    for sentence in sentences:
        desk.say(sentence)
    if options["json"]:
        (alert,) = orchestrator.alert_documents([orchestrator.alert_numbered(number)])
        desk.give_json({"alert": alert, "sentences": list(sentences)})


def try_channels(desk: Desk, options: dict[str, Any]) -> None:
    """Send a trial message by each channel, and say what came of it; refused unless all took it."""
    channels, named = settings().ALERTS, dict.fromkeys(options["channels"])
    if wrong := [name for name in named if name not in channels]:
        known = f"There are {', '.join(channels)}." if channels else _NO_CHANNEL
        raise bad_usage(f"There is no channel {wrong[0]!r}. {known}")
    if not channels:
        raise refused(_NO_CHANNEL)
    failed = [name for name in named or channels if not _took(desk, name)]
    if failed:
        raise refused(f"Not told: {', '.join(failed)}.")


def _took(desk: Desk, name: str) -> bool:
    try:
        alerts.try_out(name)
    except alerts.Untold as why:
        desk.say(f"{name} did not take it: {why}")
        return False
    desk.say(f"{name} took it.")
    return True


def _line(alert: Alert) -> str:
    stands = "over" if alert.resolved_at else f"{alert.taken_name or 'nobody'} is on it"
    return f"{alert.pk:6}  {alert.kind:11}  {alert.count:6}  {alert.title}  ({stands})"


def _notice_line(notice: dict[str, Any]) -> str:
    waits = "given up" if notice["given_up"] else "not sent yet"
    came = f"sent {notice['sent_at']}" if notice["sent_at"] else waits
    error = f", attempt {notice['attempt']}: {notice['error']}" if notice["error"] else ""
    return f"  {notice['channel']}: {notice['what']} {notice['number']}, {came}{error}"
