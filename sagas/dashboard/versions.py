"""A type's definitions in flight, side by side, and what of them the present code does not have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagas import registry, stranded
from sagas.core.definition import step_from
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
class Row:
    """A step, as each of the definitions has it; None where one has no such step."""

    step: str
    cells: Sequence[Sequence[Command] | None]
    differs: bool


@dataclass(frozen=True)
class Versions:
    """The definitions with the most sagas under way, the newest first."""

    columns: Sequence[tuple[Definition, int]]
    rows: Sequence[Row]
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
    return Versions(shown, rows, len(flying) - len(shown), _findings(saga_type) if flying else ())


def _findings(saga_type: str) -> Sequence[stranded.Finding]:
    return stranded.findings(saga_type, pinned_only=True)


def _row(name: str, steps: Sequence[Mapping[str, Any] | None]) -> Row:
    cells = [_cell(step) if step is not None else None for step in steps]
    return Row(name, cells, any(step != steps[0] for step in steps))


def _cell(step: Mapping[str, Any]) -> list[Command]:
    pinned = step_from(step)
    if waits := waits_text(pinned.timer, pinned.approval):
        return [Command("action", waits, handled=True)]
    return [Command(role, name, registry.handler(name) is not None) for role, name in stranded.commands(step)]
