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


def refuse_children(definition: SagaDefinition) -> None:
    """Raise CannotDrill for a saga with children: each is a saga of its own, with failure points of its own."""
    types = sorted({step.child.saga_type for step in definition.steps if step.child})
    if types:
        raise CannotDrill(
            f"{definition.saga_type} starts child sagas ({', '.join(types)}), and a drill plays one saga at a time. "
            "Drill each of those types by itself, and this one with data for which it starts none; how it goes on from "
            "what a child comes to, a story shows (sagas.testing.given)."
        )


def commands_of(definition: SagaDefinition) -> set[str]:
    """Return the names of all that is called."""
    named = {
        name
        for step in definition.steps
        for name in (step.action, step.compensation, step.probe, step.undo_probe)
    }
    return {name for name in named if name not in (None, CANNOT_UNDO)}
