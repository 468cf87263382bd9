"""``saga remap``: sagas under way call a command by its new name."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sagas import orchestrator, registry
from sagas.management.commands._saga.asking import add_reason, asked
from sagas.management.commands._saga.speaking import Desk, bad_usage, refused


def add_subcommands(subcommands: Any) -> None:
    """Add ``remap``."""
    parser = subcommands.add_parser(
        "remap",
        help="have sagas under way call a command by its new name; prints the id of each. "
        "Without names: every command that has a former name",
    )
    parser.add_argument("old", metavar="OLD", nargs="?", help="the name that sagas under way were promised")
    parser.add_argument("new", metavar="NEW", nargs="?", help="the name of today")
    parser.add_argument("--type", dest="saga_type", metavar="TYPE", help="only sagas of this type")
    add_reason(parser, "print what would change, as JSON")
    parser.set_defaults(run=remap)


def remap(desk: Desk, options: dict[str, Any]) -> None:
    """Rename, or say what that would change; refused if some were left as they are."""
    names = _names(options)
    if options["dry_run"]:
        _tell(desk, orchestrator.affected(names, options["saga_type"]))
        return
    request = asked(options)
    done, left, stopped = 0, dict[UUID, str](), list[Any]()
    for batch in orchestrator.remap(names, request, options["saga_type"]):
        for saga_id in batch.done:
            desk.give(saga_id)
        done, left = done + len(batch.done), left | dict(batch.left)
        stopped += orchestrator.at_misconfigured(batch.done)
    desk.say(f"{done} saga{'' if done == 1 else 's'} changed.")
    for saga_id, step in stopped:
        retry = f"`saga retry {saga_id} --step {step} --reason …`"
        desk.say(f"{saga_id} has stopped at misconfigured before: {retry} if that was it.")
    for saga_id, why in left.items():
        desk.say(f"{saga_id} was left as it is: {why}")
    if left:
        raise refused(f"{len(left)} left as they are. Ask again in a moment.")


def _names(options: dict[str, Any]) -> Mapping[str, str]:
    if options["old"] is None:
        return dict(registry.former_names())
    if options["new"] is None:
        now = registry.former_names().get(options["old"])
        if now is None:
            raise bad_usage(f"NEW is required: no handler says that it was {options['old']} formerly.")
        return {options["old"]: now}
    return {options["old"]: options["new"]}


def _tell(desk: Desk, found: list[orchestrator.Affected]) -> None:
    for each in found:
        said = f"{each.sagas} of type {each.saga_type}: the {each.role} of step {each.step}, {each.old}, is {each.new}."
        asking = f" {each.go_on} that wait for a handler would go on." if each.go_on else ""
        held = f" {each.claimed} being executed right now, to be left." if each.claimed else ""
        desk.say(f"{said}{asking}{held}")
    if not found:
        desk.say("No saga under way would change.")
    desk.give_json([asdict(each) for each in found])
