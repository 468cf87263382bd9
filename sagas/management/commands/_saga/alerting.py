"""``saga alert list``, ``show``, ``take``, ``give-back`` and ``try``: what asks for a person, and whom that is told."""

from typing import Any

from sagas import alerts, orchestrator
from sagas.conf import settings
from sagas.management.commands._saga.arguments import version
from sagas.management.commands._saga.asking import add_asking, again, asked
from sagas.management.commands._saga.paging import add_paging, give_page
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
        add_asking(parser, "alert", answer="alert")
        parser.add_argument(
            "--version",
            metavar="N",
            type=version,
            help="refuse if somebody has taken it, or given it back, since",
        )
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
    add_paging(parser, "alert", "N", version)
    parser.set_defaults(run=list_alerts)
    parser = doing.add_parser("show", help="show an alert, and whom it was told")
    parser.add_argument("number", metavar="N", type=version)
    parser.add_argument("--json", action="store_true", help="all that is known, for programs")
    parser.set_defaults(run=show)


def list_alerts(desk: Desk, options: dict[str, Any]) -> None:
    """Print alerts: a number a line, for people with what it is; or a page of JSON."""
    found = Alert.objects.all() if options["all"] else Alert.objects.filter(resolved_at=None)
    give_page(desk, options, found, alerts.alert_documents, _line)


def show(desk: Desk, options: dict[str, Any]) -> None:
    """Print an alert: as JSON for programs, or in short for people."""
    alert = orchestrator.alert_numbered(options["number"])
    document = alerts.alert_detail(alert)
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
    request = asked(options, version=options["version"])
    number, verb = options["number"], options["verb"]
    if options["dry_run"]:
        _tell(desk, number, orchestrator.preview_alert(number, verb, request, options["hours"]), options)
        return
    answer = orchestrator.act_on_alert(number, verb, request, options["hours"])
    desk.say(f"{again(answer)}alert {answer.alert.pk} was {_DONE[verb]}: {answer.alert.title}")
    if options["json"]:
        desk.give_json(alerts.alert_documents([answer.alert])[0])
    else:
        desk.give(answer.alert.pk)


def _tell(desk: Desk, number: int, sentences: tuple[str, ...], options: dict[str, Any]) -> None:
    for sentence in sentences:
        desk.say(sentence)
    if options["json"]:
        (alert,) = alerts.alert_documents([orchestrator.alert_numbered(number)])
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
