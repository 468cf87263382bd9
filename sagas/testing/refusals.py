"""What cannot be drilled, and why."""

from collections.abc import Iterable

from sagas import registry
from sagas.core.definition import CANNOT_UNDO, SagaDefinition


class CannotDrill(ValueError):
    """A saga that cannot be drilled as it is. Its text says why, and what would help."""


def refuse_elsewhere(saga_type: str, names: Iterable[str]) -> None:
    """Raise CannotDrill for a participant elsewhere: it would be called for real, and cannot be put back."""
    own = registry.commands()
    elsewhere = sorted(name for name in names if name not in own and registry.handler(name))
    if elsewhere:
        raise CannotDrill(
            f"{saga_type} calls participants elsewhere ({', '.join(elsewhere)}): a drill would reach them "
            "for real, and could not undo it. Drill it where functions registered with @command stand in for them."
        )


def commands_of(definition: SagaDefinition) -> set[str]:
    """Return the names of all that is called."""
    named = {
        name
        for step in definition.steps
        for name in (step.action, step.compensation, step.probe, step.undo_probe)
    }
    return {name for name in named if name not in (None, CANNOT_UNDO)}
