"""Taking in a saga that ran elsewhere: as a record to look at, about which nothing is ever decided here.

Nothing of it is due, no reply is matched to it and every verb is refused; :mod:`sagas.orchestrator.loading`
marks it, and the two doors to a decision, for verbs and for replies, look at the mark.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from pydantic import ValidationError

from sagas import rows
from sagas.clock import database_now
from sagas.core import events as e
from sagas.core import redaction
from sagas.core.definition import InvalidDefinition, SagaDefinition
from sagas.core.machine import IllegalTransition, evolve
from sagas.core.plain import plain
from sagas.core.progress import Progress
from sagas.models import IMPORT, Event, LateReply, OperatorAction, Saga, Step
from sagas.orchestrator import pins, portable, trail
from sagas.orchestrator.asked import Asked, Invalid, OrchestratorError
from sagas.orchestrator.exporting import ELSEWHERE, documents
from sagas.orchestrator.loading import PROGRESS_COLUMNS, STEP_COLUMNS
from sagas.orchestrator.shapes import EVENT_COLUMNS
from sagas.orchestrator.start import fingerprint


class Known(OrchestratorError):
    """A saga of that id is here already, and it is not the same."""


@dataclass(frozen=True)
class Imported:
    """What became of a document."""

    saga_id: UUID
    created: bool
    """False: the same saga was here already, or this was a dry run."""
    here: bool
    """Whether it was here already."""
    unfinished: bool


def import_saga(given: Any, asked: Asked, *, dry_run: bool = False) -> Imported:
    """Record a saga that ran elsewhere. With ``dry_run`` only check whether it could be.

    Raises Invalid for what is not a saga's document, or whose rows are not what its events say,
    and Known where another saga has its id. The same saga again changes nothing.
    """
    document = portable.parse(given)
    pinned, log, progress = _replayed(document)
    imported = Imported(document.saga.id, not dry_run, here=False, unfinished=progress.finished_at is None)
    present = _present(document)
    if present or dry_run:
        return Imported(document.saga.id, created=False, here=present, unfinished=imported.unfinished)
    try:
        with transaction.atomic():
            pins.pin(pinned.pinned)
            _write(document, pinned, log, progress)
            _record(document, asked)
    except IntegrityError:
        if _present(document):  # by another door, at the same moment
            return Imported(document.saga.id, created=False, here=True, unfinished=imported.unfinished)
        raise Invalid("actions", "another saga here has an operator action of the same action id") from None
    return imported


def _present(document: portable.SagaDocument) -> bool:
    """Whether the same saga is here. Raises Known for another one of its id."""
    saga_id = document.saga.id
    for found in documents([saga_id]):
        here = portable.parse(plain(found if document.revealed else redaction.document(found)))
        if here == document:
            return True
        raise Known(f"Saga {saga_id} is here already, and it is not as the document says; nothing was done.")
    return False


def _replayed(document: portable.SagaDocument) -> tuple[SagaDefinition, list[e.Event], Progress]:
    """Return the definition, the events and what they fold into. Raises Invalid unless that is what the rows say."""
    pinned = _definition(document)
    log, progress = [], Progress.blank(pinned)
    for place, event in enumerate(document.events):
        try:
            log.append(_event(event, before=progress))
            progress = evolve(progress, log[-1])
        except (IllegalTransition, ValidationError, ValueError, KeyError, TypeError) as wrong:
            raise Invalid(f"events.{place}", f"{event.type}: {_reason(wrong)}") from wrong
    if not log or not isinstance(log[0], e.SagaStarted):
        raise Invalid("events", "the first one must be SagaStarted")
    pinned = _grown(pinned, progress)
    for where, said, should in _differences(document, progress):
        raise Invalid(where, f"it is {said!r}, but the events say {should!r}: the document was changed")
    return pinned, log, _as_remembered(document, progress)


def _as_remembered(document: portable.SagaDocument, progress: Progress) -> Progress:
    """Return it with what the rows remember of former actions: those of a version before remember none."""
    return progress._replace(
        steps={step.name: progress.steps[step.name]._replace(former=step.former) for step in document.steps}
    )


def _grown(pinned: SagaDefinition, progress: Progress) -> SagaDefinition:
    """Return the definition with the steps that its function added. Raises Invalid for any that could not be."""
    for name, step in progress.steps.items():
        if step.grown is not None:
            try:
                portable.PinnedStep.model_validate(step.grown["step"])
                pinned = pinned.grown([step.grown])
            except (InvalidDefinition, ValidationError, TypeError, ValueError, KeyError) as wrong:
                raise Invalid("events", f"step {name} could not have been added: {_reason(wrong)}") from wrong
    return pinned


def _definition(document: portable.SagaDocument) -> SagaDefinition:
    given = plain(document.definition.model_dump(mode="json", exclude_unset=True))
    try:
        pinned = SagaDefinition.from_document(given)
    except (InvalidDefinition, TypeError, ValueError, LookupError, AttributeError) as wrong:
        raise Invalid("definition", str(wrong)) from wrong
    if plain(pinned.document()) != given or pinned.saga_type != document.saga.type:
        raise Invalid("definition", "it is not as definitions are written")
    return pinned


def _event(given: portable.EventPart, before: Progress) -> e.Event:
    """Read an event that must follow. Raises ValueError, or what pydantic raises, for one that does not."""
    if given.type not in e.EVENT_TYPES:
        raise ValueError("there is no such event")
    if given.sequence != before.sequence + 1:
        raise ValueError(f"its sequence is {given.sequence} and must be {before.sequence + 1}")
    if given.version not in (before.version, before.version + 1) or not given.version:
        raise ValueError(f"its version is {given.version}, after {before.version}")
    if given.step is not None and given.step not in before.steps:
        raise ValueError(f"the definition has no step {given.step!r}")
    event = e.event_from(
        given.type, at=given.at, version=given.version, step=given.step or None, data=given.data
    )
    if plain(e.event_data(event)) != given.data or getattr(event, "step", None) != given.step:
        raise ValueError("it is not as events are written")
    return event


def _reason(wrong: Exception) -> str:
    if isinstance(wrong, ValidationError):
        first = wrong.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(wrong)


def _differences(document: portable.SagaDocument, progress: Progress) -> Iterator[tuple[str, Any, Any]]:
    """Yield where the rows are not what the events say: the place, what it says, what it should say."""
    for name in (*PROGRESS_COLUMNS, "attention", "waiting"):
        said, should = getattr(document.saga, name), getattr(progress, name)
        if said != should:
            yield f"saga.{name}", said, should
    names = [step.name for step in document.steps]
    if names != list(progress.steps):
        yield "steps", names, list(progress.steps)
        return
    for place, step in enumerate(document.steps):
        for name in STEP_COLUMNS:
            said, should = getattr(step, name), getattr(progress.steps[step.name], name)
            if said != should and not (name == "former" and said is None):
                yield f"steps.{place}.{name}", said, should


def _write(
    document: portable.SagaDocument, pinned: SagaDefinition, log: list[e.Event], progress: Progress
) -> None:
    """Write the rows, and no due work."""
    saga = document.saga
    assert isinstance(log[0], e.SagaStarted)
    own = {
        "id": saga.id,
        "saga_type": saga.type,
        "definition_id": pinned.pinned.digest,
        "correlation_id": saga.correlation_id,
        "fingerprint": fingerprint(log[0].data),
        "origin_kind": IMPORT,
        "attention": progress.attention,
        "waiting": progress.waiting,
        **{name: getattr(progress, name) for name in PROGRESS_COLUMNS},
    }
    steps = [
        (saga.id, place, step.name, step.action, step.compensation, *progress.steps[step.name][1:])
        for place, step in enumerate(pinned.steps)
    ]
    events = [
        (saga.id, g.sequence, g.version, g.type, g.step, e.event_data(event), g.at)
        for g, event in zip(document.events, log, strict=True)
    ]
    batch = rows.Batch(Saga)
    batch.insert(Saga, tuple(own), [tuple(own.values())])
    batch.insert(Step, ("saga_id", "position", "name", "action", "compensation", *STEP_COLUMNS), steps)
    batch.insert(Event, EVENT_COLUMNS, events)
    batch.write()


def _record(document: portable.SagaDocument, asked: Asked) -> None:
    """Write what was recorded beside the saga there, and that it was imported here, by whom."""
    saga = document.saga
    LateReply.objects.bulk_create(
        LateReply(saga_id=saga.id, **reply.model_dump()) for reply in document.late_replies
    )
    # What was pruned here is still in the audit trail.
    audited = set(OperatorAction.objects.filter(saga_id=saga.id).values_list("action_id", flat=True))
    there = [
        OperatorAction(
            saga_id=saga.id, operator_name=action.operator, **action.model_dump(exclude={"operator"})
        )
        for action in document.actions
        if action.action_id not in audited
    ]
    elsewhere = {name: plain(saga.model_dump(mode="json")[name]) for name in ELSEWHERE}
    deed = trail.entry(
        asked,
        IMPORT,
        {"revealed": document.revealed, **elsewhere},
        at=database_now(),
        action_id=f"{IMPORT}:{saga.id}",
        saga_id=saga.id,
        version_before=saga.version,
        version_after=saga.version,
    )
    OperatorAction.objects.bulk_create([*there, deed])
