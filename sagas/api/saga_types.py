"""The saga types that can be started, described for programs."""

import inspect
from typing import Any

from django.http import HttpRequest

from sagas import orchestrator, registry
from sagas.api.endpoint import needs


@needs("view_saga")
def type_list(request: HttpRequest) -> dict[str, Any]:
    """Return every saga type, with the data that it takes, and its steps as far as they are known."""
    return {"items": [_described(name, author) for name, author in sorted(registry.saga_types().items())]}


def _described(name: str, author: Any) -> dict[str, Any]:
    model = getattr(author, "data_model", None)
    return {
        "type": name,
        "description": inspect.getdoc(type(author)) or "",
        "data_schema": model.model_json_schema() if model is not None else None,
        "sample_data": getattr(author, "sample_data", None),
        "steps": _steps(author),
    }


def _steps(author: Any) -> list[dict[str, Any]] | None:
    """Return the steps for the type's sample data; None if they depend on data and it gives no sample."""
    try:
        pinned = orchestrator.sample_definition(author)
    except Exception:  # an author's code, called without the data it expects: no steps is all that this means
        return None
    return [
        {
            "name": step.name,
            "action": step.action,
            "compensation": step.compensation,
            "needs": list(pinned.needs(step.name)),
            "pivot": step.pivot,
            "retriable": step.retriable,
        }
        for step in pinned.steps
    ]
