"""What an author has given of another kind than is asked for: Python takes it, and it fails, or misleads, later."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from sagas import registry
from sagas.core.definition import SagaDefinition
from sagas.core.waits import Approval, shown
from sagas.orchestrator.outbox import HOOKS

#: What a step says by True or False.
_FLAGS = ("hold", "pivot", "retriable")


def of_class(author: Any) -> Iterator[str]:
    """Yield what is wrong with the attributes and hooks of a saga type, a sentence each."""
    model = getattr(author, "data_model", None)
    if model is not None and not (isinstance(model, type) and issubclass(model, BaseModel)):
        yield f"{author.saga_type}: data_model must be a pydantic model, or None, not {model!r:.80}."
    hold = getattr(author, "hold_on_failure", False)
    if not isinstance(hold, bool):
        yield f"{author.saga_type}: hold_on_failure must be True or False, not {hold!r:.80}."
    for name in HOOKS.values():
        for spelling in (name, f"_{name}"):
            hook = getattr(author, spelling, None)
            if hook is not None and (wrong := _misfit(author.saga_type, spelling, hook)):
                yield wrong


def of_steps(pinned: SagaDefinition) -> Iterator[str]:
    """Yield what is wrong with what steps say, a sentence each."""
    for step in pinned.steps:
        given = {name: getattr(step, name) for name in _FLAGS}
        if step.approval is not None:
            given["self_approval"] = step.approval.self_approval
        for name, value in given.items():
            if not isinstance(value, bool):
                text = f"{name} must be True or False, not {value!r:.80}"
                yield f"{pinned.saga_type}: step {step.name}: {text}."


def of_shown(pinned: SagaDefinition) -> Iterator[str]:
    """Yield which braces those who are asked would see as they stand there, and no value of the data."""
    for step in pinned.steps:
        if step.approval is not None:
            for text in _braced(step.approval):
                yield f"{pinned.saga_type}: step {step.name}: show has braces around what is no path, {text!r:.200}."


def _misfit(saga_type: str, name: str, hook: Any) -> str:
    if not callable(hook):
        return f"{saga_type}: {name} must be a function, not {hook!r:.80}."
    try:
        registry.check_argument(saga_type, hook, "saga")
    except TypeError as wrong:
        return f"{wrong}."
    return ""


def _braced(approval: Approval) -> Iterator[str]:
    if not isinstance(approval.show, str):
        yield from (path for path in approval.show if {*path} & {*"{}"})  # these are paths as they are
    elif {*str(shown(approval, {}))} & {*"{}"}:  # with something in each place that is one
        yield approval.show
