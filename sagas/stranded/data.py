"""Data that the handler of a command would refuse."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError

from sagas import registry
from sagas.models import Definition
from sagas.stranded.finding import Finding
from sagas.stranded.flight import NEEDED, Flying, Need, called, needs, pinned_steps

#: Sagas, for each command with a model, whose data is held against it.
LOOKED_AT = 200
#: Results of steps are only there once those have run; that one is missing now tells nothing.
_NOT_YET = frozenset({"results", "original_result"})


def refused(flying: Sequence[Flying]) -> Iterator[Finding]:
    """Find sagas whose data the handler of a command that they still need would refuse."""
    directed = [each for each in flying if "flow" not in each.definition.document]
    for need, digests in needs(directed).items():  # what an event will bring along is not known yet
        handler = registry.handler(need.name)
        if handler is None or handler.model is None:
            continue
        inputs = {d.pk: _own_input(d, need.step) for d, _ in flying if d.pk in digests}
        steps = pinned_steps(flying, digests).filter(NEEDED[need.role], name=need.step)
        rows = list(steps.values_list("saga_id", "saga__definition_id", "saga__data", "input")[:LOOKED_AT])
        said = {
            saga: _refusal(handler.model, {**(sent or data or {}), **_extras(saga, need), **inputs[digest]})
            for saga, digest, data, sent in rows
        }
        wrong = {str(saga): why for saga, why in said.items() if why}
        if wrong:
            yield _finding(need, wrong, len(rows), digests)


def _finding(need: Need, wrong: Mapping[str, str], looked_at: int, digests: Sequence[str]) -> Finding:
    most = f" (of the {looked_at} that were looked at)" if looked_at == LOOKED_AT else ""
    whose = f"{need.name}, the {called(need.role)} of step {need.step}"
    why = f"{whose}, would reject their data{most}: {next(iter(wrong.values()))}"
    return Finding.of("data", *need, why, sagas=len(wrong), ids=tuple(wrong), definitions=digests)


def _own_input(definition: Definition, name: str) -> Mapping[str, Any]:
    return next((s.get("input") or {} for s in definition.document["steps"] if s["name"] == name), {})


def _extras(saga: UUID, need: Need) -> dict[str, Any]:
    """Return what a handler gets beside the data."""
    undo = {"original_result": None} if need.role in {"compensation", "undo_probe"} else {}
    return {"saga_id": str(saga), "step_name": need.step, "results": {}, **undo}


def _refusal(model: type[BaseModel], values: Mapping[str, Any]) -> str | None:
    """Return why a model refuses these values, if it does."""
    try:
        model.model_validate(dict(values))
    except ValidationError as wrong:
        errors = [e for e in wrong.errors(include_url=False) if e["loc"][:1] and e["loc"][0] not in _NOT_YET]
        return f"{'.'.join(str(part) for part in errors[0]['loc'])}: {errors[0]['msg']}" if errors else None
    return None
