"""What comes back from the store: plain JSON, read again."""

import json
from collections.abc import Iterable

from sagas.core import events as e
from sagas.core.definition import SagaDefinition
from sagas.core.events import event_data, event_from


def events_as_stored(events: Iterable[e.Event]) -> list[e.Event]:
    """Return events as their rows give them back."""
    told = list(events)
    rows = json.loads(json.dumps([event_data(event) for event in told]))
    return [
        event_from(
            type(event).__name__,
            at=event.at,
            version=event.version,
            step=getattr(event, "step", None),
            data=data,
        )
        for event, data in zip(told, rows, strict=True)
    ]


def definition_as_stored(definition: SagaDefinition) -> SagaDefinition:
    """Return the definition as its pin gives it back."""
    return SagaDefinition.from_document(json.loads(json.dumps(definition.document())))
