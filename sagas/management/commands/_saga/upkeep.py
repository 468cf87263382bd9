"""``saga token`` and ``saga check``."""

from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.db import router

from sagas import alerts, orchestrator, registry, soundness, stranded
from sagas.checks import ASKS_NOBODY
from sagas.health import NO_CLOCK, NO_WORKER
from sagas.management.commands._saga.arguments import user_named
from sagas.management.commands._saga.speaking import Desk, refused
from sagas.models import PausedQueue, Process, Saga, Schedule, Token
from sagas.undelivered import undelivered


def add_subcommands(subcommands: Any) -> None:
    """Add ``token`` and ``check``."""
    parser = subcommands.add_parser("token", help="make a bearer token for the API; prints it, this once")
    parser.add_argument("user", metavar="USER")
    parser.set_defaults(run=token)
    parser = subcommands.add_parser("check", help="find definitions, and running sagas, that cannot go on")
    parser.add_argument("--json", action="store_true", help="print all that was found")
    parser.add_argument(
        "--ids", action="store_true", help="print the id of every saga that would be stranded"
    )
    parser.add_argument(
        "--alone",
        action="store_true",
        help="count on no other process: all that handles commands is in this code",
    )
    parser.set_defaults(run=check)


def token(desk: Desk, options: dict[str, Any]) -> None:
    """Make a token for a user, and print it."""
    user = user_named(options["user"])
    desk.say(f"It speaks for {options['user']} until it is deleted in the admin. It is not shown again.")
    desk.give(Token.issue(user))


def check(desk: Desk, options: dict[str, Any]) -> None:
    """Say what is wrong with the definitions, the servers, and sagas under way; refused if anything is."""
    found = stranded.findings()
    uncertain = [finding for finding in found if finding.elsewhere and not options["alone"]]
    lost = [finding for finding in found if finding not in uncertain]
    unsound, advice = of_servers()
    behind, others_behind = _unapplied()
    problems = [*behind, *system_problems(checks.WARNING), *unsound, *map(str, lost), *_unstarted()]
    for said in (*problems, *advice, *dict.fromkeys(each.remedy for each in lost if each.remedy)):
        desk.say(said)
    for finding in uncertain:
        desk.say(f"To be sure of: {finding} If this code shall replace that process, say --alone.")
    to_look_at = [*others_behind, *_nobody(), *map(str, undelivered()), *_channels()]
    for seen in to_look_at:
        desk.say(f"To be looked at: {seen}")
    for pause in PausedQueue.objects.order_by("queue"):
        desk.say(
            f"Queue {pause} has been paused since {pause.since:%Y-%m-%d %H:%M} UTC: "
            f"{pause.operator_name}, {pause.reason}"
        )
    for each in orchestrator.affected(registry.former_names()) if registry.former_names() else ():
        which = (
            f"Running sagas of type {each.saga_type} name {each.old}, which is {each.new} now: {each.sagas}"
        )
        desk.say(f"{which}. They are served; `saga remap` has them use the name of today.")
    if options["ids"]:
        for saga_id in dict.fromkeys(str(pk) for finding in lost for pk in finding.ids):
            desk.give(saga_id)
    if options["json"]:
        documents = [finding.document() for finding in found]
        desk.give_json({"ok": not problems, "problems": problems, "stranded": documents})
    if problems:
        raise refused(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}.")
    desk.say("No problem." if to_look_at or advice else "All is well.")


def _unapplied() -> tuple[list[str], list[str]]:
    """Return that the tables of sagas are of older code than this, a problem; and that those of other apps are."""
    missing = soundness.unapplied()
    ours = [name for name in missing if name.startswith("sagas.")]
    others = [name for name in missing if name not in ours]
    return [behind(ours)] if ours else [], [behind(others)] if others else []


def behind(missing: list[str]) -> str:
    """Say which migrations the database lacks."""
    many = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"The database lacks the migration {missing[0]}{many}: `python manage.py migrate`."


def _nobody() -> Iterator[str]:
    """Yield who is not there to do the work. No problem: before a first deploy nobody is."""
    kinds = soundness.alive()
    if not kinds[Process.WORKER]:
        yield f"{NO_WORKER} `python manage.py saga worker` is one."
    if not kinds[Process.CLOCK]:
        yield f"{NO_CLOCK} `python manage.py saga clock` is one."


def _channels() -> Iterator[str]:
    """Yield which channels fail."""
    for channel in alerts.failing():
        yield f"the channel {channel} does not take what it is told; `saga alert try {channel}` says why."


def _unstarted() -> Iterator[str]:
    """Yield which periodic sagas cannot be started, by what their clock found."""
    for schedule in Schedule.objects.filter(error__isnull=False, saga_type__in=registry.saga_types()):
        yield f"{schedule.saga_type} cannot be started at its tick: {schedule.error}"


def system_problems(level: int) -> Iterator[str]:
    """Yield what the system checks for sagas find, from a level on."""
    for message in checks.run_checks(tags=["sagas"]):
        if message.level >= level and not message.is_silenced():
            yield str(message)


def of_servers() -> tuple[list[str], list[str]]:
    """Return what the database and Redis have to say of themselves: problems; and advice, which strands nothing.

    That is what the database lacks for approvals: what waits goes on once it is there; and a Redis that is away:
    work goes on without it.
    """
    asked = checks.run_checks(tags=[checks.Tags.database], databases=[router.db_for_write(Saga)])
    found = [
        message
        for message in [*asked, *soundness.check_redis()]
        if (message.level >= checks.WARNING or message.id == soundness.SILENT_REDIS)
        and not message.is_silenced()
    ]
    advice = {ASKS_NOBODY, soundness.SILENT_REDIS}
    problems = [str(message) for message in found if message.id not in advice]
    return problems, [str(message) for message in found if message.id in advice]
