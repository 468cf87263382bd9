"""``saga queue list``, ``pause`` and ``resume``: the participants' queues, through the orchestrator's door."""

from typing import Any

from sagas import orchestrator
from sagas.management.commands._saga.arguments import version
from sagas.management.commands._saga.asking import add_asking, again, asked
from sagas.management.commands._saga.speaking import Desk


def add_subcommands(subcommands: Any) -> None:
    """Add ``queue`` with its own subcommands."""
    queue = subcommands.add_parser("queue", help="look at the participants' queues; pause one, or resume it")
    verbs = queue.add_subparsers(title="subcommands", dest="verb", metavar="COMMAND", required=True)
    parser = verbs.add_parser("list", help="list the queues; prints a name a line")
    parser.add_argument("--json", action="store_true", help="all that is known, for programs")
    parser.set_defaults(run=list_queues)
    for verb, label in orchestrator.QUEUE_VERBS.items():
        parser = verbs.add_parser(verb, help=f"{label.lower()} a queue; prints its name")
        parser.add_argument("queue", metavar="QUEUE")
        add_asking(parser, "queue")
        parser.set_defaults(run=act, verb=verb, per_second=None, pause=None)
        if verb == "resume":
            parser.add_argument(
                "--pause", metavar="NUMBER", type=version, help="refuse if it is another by now"
            )
            parser.add_argument(
                "--per-second",
                metavar="N",
                type=float,
                help="begin so many a second of what is due; else all",
            )


def list_queues(desk: Desk, options: dict[str, Any]) -> None:
    """Print the queues: a name a line, for people with how each stands."""
    found = orchestrator.queues()
    if options["json"]:
        desk.give_json({"items": [queue.document() for queue in found]})
        return
    for queue in found:
        desk.give(_line(queue) if desk.seen else queue.name)


def act(desk: Desk, options: dict[str, Any]) -> None:
    """Pause or resume a queue, or print what that would do."""
    request = asked(options, version=options["pause"])
    what = (options["queue"], options["verb"], request, options["per_second"])
    if options["dry_run"]:
        plan = orchestrator.preview_queue(*what)
        for sentence in plan.sentences:
            desk.say(sentence)
        if options["json"]:
            desk.give_json({"queue": plan.queue.document(), "sentences": list(plan.sentences)})
        return
    answer = orchestrator.act_on_queue(*what)
    desk.say(f"{again(answer)}{options['queue']} was {options['verb']}d.")
    if options["json"]:
        desk.give_json(answer.queue)
    else:
        desk.give(options["queue"])


def _line(queue: orchestrator.Queue) -> str:
    pause = f"  paused by {queue.pause.operator_name}: {queue.pause.reason}" if queue.pause else ""
    return f"{queue.name:24}  {queue.due:6} due  {queue.leased:4} running  {queue.later:6} later{pause}"
