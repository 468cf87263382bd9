"""``saga retry``, ``compensate`` and the other verbs, all through the orchestrator's door."""

from dataclasses import asdict, replace
from typing import Any

from sagas import orchestrator
from sagas.core.words import Verdict
from sagas.management.commands._saga.arguments import json_object, json_value, version
from sagas.management.commands._saga.asking import add_asking, again, asked
from sagas.management.commands._saga.speaking import Desk, bad_usage


def add_subcommands(subcommands: Any) -> None:
    """Add a subcommand for each verb."""
    for verb, label in orchestrator.VERBS.items():
        parser = subcommands.add_parser(
            verb, help=f"{label.lower()}; prints the id of the saga, or of the one it starts"
        )
        parser.add_argument("id", metavar="ID")
        add_asking(parser, "saga", plan="print what would happen, as JSON")
        parser.add_argument(
            "--version", type=version, help="refuse if the saga has moved on from this version"
        )
        _add_own(parser, verb)
        parser.set_defaults(
            run=act, verb=verb, step=None, outcome=None, result=None, evidence=None, data=None
        )


def _add_own(parser: Any, verb: str) -> None:
    if verb in orchestrator.STEP_VERBS:
        parser.add_argument("--step", help="may be left out where only one step can be meant")
    if verb == "resolve":
        parser.add_argument("--outcome", required=True, choices=[v.value for v in Verdict])
        parser.add_argument("--result", metavar="JSON", type=json_value, help="of a step that is done")
        parser.add_argument("--evidence", help="how you know")
    if verb == "edit":
        parser.add_argument(
            "--data", metavar="JSON", type=json_object, required=True, help="all of it; - is stdin"
        )


def act(desk: Desk, options: dict[str, Any]) -> None:
    """Act on a saga, or print what that would do."""
    verb = options["verb"]
    same = ("version", "outcome", "result", "evidence", "data")
    request = asked(options, **{name: options[name] for name in same})
    try:
        request = orchestrator.about_its_step(options["id"], verb, replace(request, step=options["step"]))
    except orchestrator.Invalid as several:
        raise bad_usage(f"--step {several.reason}.") from several
    if options["dry_run"]:
        plan = orchestrator.preview(options["id"], verb, request)
        for sentence in plan.sentences:
            desk.say(sentence)
        desk.give_json(asdict(plan))
        return
    answer = orchestrator.act(options["id"], verb, request)
    _tell(desk, answer, as_json=options["json"])


def _tell(desk: Desk, answer: orchestrator.Answer, *, as_json: bool) -> None:
    saga = answer.saga
    attention = f", at attention {saga['attention']}" if saga["attention"] else ""
    desk.say(f"{again(answer)}{answer.verb} was done: {saga['state']}{attention}, version {saga['version']}.")
    if answer.created:
        desk.say(f"It started a new saga, {answer.created}.")
    if as_json:
        desk.give_json(saga)
    else:
        desk.give(answer.created or saga["id"])
