"""A type's definitions in flight, side by side, and what of them the present code does not have."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagas import registry, stranded
from sagas.core.definition import step_from
from sagas.core.differences import Difference, differences
from sagas.dashboard.outline import waits_text
from sagas.models import Definition

#: Definitions that stand side by side; a type whose steps depend on its data may have very many.
MOST = 4


@dataclass(frozen=True)
class Command:
    """What a step calls, and whether anybody here handles it; or what it waits for, which nobody has to."""

    role: str
    name: str
    handled: bool


@dataclass(frozen=True)
class Cell:
    """A step, as one of the definitions has it, and how that differs from the newest of them."""

    commands: Sequence[Command] | None
    """None where it has no such step."""
    since: str = ""
    """What became of the whole step: added or removed."""
    changes: Sequence[Difference] = ()
    """What became of its settings."""


@dataclass(frozen=True)
class Row:
    """A step, as each of the definitions has it."""

    step: str
    cells: Sequence[Cell]
    differs: bool


@dataclass(frozen=True)
class Versions:
    """The definitions with the most sagas under way, the newest first."""

    columns: Sequence[tuple[Definition, int]]
    rows: Sequence[Row]
    whole: Sequence[Sequence[Difference]]
    """For each, what became of what is no step's: deadline, flow, the order of the steps; empty if nothing did."""
    more: int
    """Definitions in flight that are not shown."""
    findings: Sequence[stranded.Finding]
    """Which sagas the present code would strand, as far as definitions tell; ``saga check`` looks at every one."""


def versions_of(saga_type: str) -> Versions:
    """Return what is under way of a type."""
    flying = stranded.in_flight(saga_type)
    most = sorted(flying, key=lambda each: -each.sagas)[:MOST]
    shown = [each for each in flying if each in most]
    steps = [{s["name"]: s for s in each.definition.document["steps"]} for each in shown]
    names = list(dict.fromkeys(name for those in steps for name in those))
    rows = [_row(name, [those.get(name) for those in steps]) for name in names]
    whole = [_whole(each.definition.document, shown[0].definition.document) for each in shown]
    findings = _findings(saga_type) if flying else ()
    return Versions(shown, rows, whole if any(whole) else (), len(flying) - len(shown), findings)


def _findings(saga_type: str) -> Sequence[stranded.Finding]:
    return stranded.findings(saga_type, pinned_only=True)


def _row(name: str, steps: Sequence[Mapping[str, Any] | None]) -> Row:
    return Row(name, [_cell(step, steps[0]) for step in steps], any(step != steps[0] for step in steps))


def _cell(step: Mapping[str, Any] | None, newest: Mapping[str, Any] | None) -> Cell:
    if step is None:
        return Cell(None, "added" if newest is not None else "")
    if newest is None:
        return Cell(_commands(step), "removed")
    return Cell(_commands(step), changes=list(differences(step, newest)))


def _whole(document: Mapping[str, Any], newest: Mapping[str, Any]) -> list[Difference]:
    """Return what became of what is no step's."""
    both = {s["name"] for s in document["steps"]} & {s["name"] for s in newest["steps"]}
    return list(differences(_beside_steps(document, both), _beside_steps(newest, both)))


def _beside_steps(document: Mapping[str, Any], both: Collection[str]) -> dict[str, Any]:
    order = ", ".join(step["name"] for step in document["steps"] if step["name"] in both)
    return {**{k: v for k, v in document.items() if k != "steps"}, "order of the steps": order}


def _commands(step: Mapping[str, Any]) -> list[Command]:
    pinned = step_from(step)
    if waits := waits_text(pinned.timer, pinned.approval):
        return [Command("action", waits, handled=True)]
    return [Command(role, name, registry.handler(name) is not None) for role, name in stranded.commands(step)]
