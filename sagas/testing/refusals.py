"""What cannot be drilled, and why."""

from collections.abc import Callable, Iterable

from sagas import registry
from sagas.core.definition import CANNOT_UNDO, SagaDefinition


class CannotDrill(ValueError):
    """A saga that cannot be drilled as it is. Its text says why, and what would help."""


def refuse_elsewhere(saga_type: str, names: Iterable[str], named: Callable[[str], bool]) -> None:
    """Raise CannotDrill for a participant elsewhere that is not ``named``: it would be called for real."""
    own = registry.commands()
    there = (name for name in names if name not in own and registry.handler(name) and not named(name))
    elsewhere = sorted(there)
    if elsewhere:
        service = elsewhere[0].partition(".")[0]
        raise CannotDrill(
            f"{saga_type} calls participants elsewhere ({', '.join(elsewhere)}): a drill would reach them for real, "
            "and cannot put back what they do. Name the address of one that is there to be drilled, "
            f'elsewhere={{"{service}": "http://127.0.0.1:…"}}, or have functions registered with @command stand in.'
        )


def commands_of(definition: SagaDefinition) -> set[str]:
    """Return the names of all that is called."""
    named = {
        name
        for step in definition.steps
        for name in (step.action, step.compensation, step.probe, step.undo_probe)
    }
    return {name for name in named if name not in (None, CANNOT_UNDO)}
