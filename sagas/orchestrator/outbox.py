"""Events for subscribers and hooks, recorded as due work in the transaction that they tell of."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sagas import registry
from sagas.conf import settings
from sagas.core import events as e
from sagas.models import CHILD, REPAIR, UNDO, Due
from sagas.orchestrator.loading import Held

COLUMNS = ("kind", "saga_id", "queue", "due_at", "paused", "name", "attempt", "event", "payload", "timeout")
#: Seconds that a subscriber or hook may take.
TIMEOUT = 60.0
#: So often a delivery's wait is doubled, if nothing caps it before.
_DOUBLED = 16
#: The subscriber that stands for a saga author's own hooks.
HOOK = "hook"
#: The subscriber that stands for the saga that waits for the end of this one.
PARENT = "parent"
#: What kinds of sagas are waited for; and whose end says nothing of their type, since they take something back.
_AWAITED, _TAKING_BACK = frozenset({CHILD, UNDO}), frozenset({REPAIR, UNDO})
#: Event -> the author's hook for it; the spelling with a leading underscore works too.
HOOKS = {e.SagaCompleted: "on_saga_completed", e.SagaFailed: "on_saga_failed"}


def deliveries(held: Held, now: datetime) -> Iterator[tuple[Any, ...]]:
    """Yield a due row for each subscriber of what was decided about a saga; none where nobody listens."""
    for event in held.events:
        if type(event) in _ENDS and held.origin_kind in _AWAITED:
            yield _row(held, now, registry.EVENTS_QUEUE, PARENT, _name_of_end(held, event), {})
        name = _name(held, event)
        subscribers = registry.subscribers(name) if name else ()
        hooked = name and type(event) in HOOKS and _may_have_hook(held, HOOKS[type(event)])
        if name is None or not (subscribers or hooked):
            continue
        payload = {**_payload(held, event), "saga_id": str(held.id)}
        if hooked:
            yield _row(held, now, registry.EVENTS_QUEUE, HOOK, name, payload)
        for subscriber in subscribers:
            yield _row(held, now, subscriber.queue, subscriber.name, name, payload)


def _may_have_hook(held: Held, name: str) -> bool:
    """Whether the author's class has that hook, or is in another project: who is elsewhere may commit the end, too."""
    if registry.saga_type(held.saga_type) is None:
        return held.definition.flow is None  # a choreography may well have no class anywhere
    return hook(held.saga_type, name) is not None


def hooks() -> Iterator[str]:
    """Yield what is called for the hooks of this project's saga types, by :attr:`sagas.engine.work.Work.called`."""
    for name in registry.saga_types():
        for end, told in _ENDS.items():
            if hook(name, HOOKS[end]):
                yield f"{HOOK} {name}{told}"


def type_of_end(event: str) -> str:
    """Return the saga type whose end an event tells of."""
    return next(event.removesuffix(end) for end in _ENDS.values() if event.endswith(end))


def hook_of(event: str) -> tuple[str, str]:
    """Return the saga type whose end an event tells of, and the name of the hook that hears it."""
    kind = next(kind for kind, end in _ENDS.items() if event.endswith(end))
    return type_of_end(event), HOOKS[kind]


def wait_after(attempt: int) -> float:
    """Return the seconds between a delivery's failed attempt and the next one."""
    return min(settings().DELIVERY_RETRY_CAP, 2.0 ** min(attempt - 1, _DOUBLED))


def waited(attempt: int) -> float:
    """Return the seconds that a delivery has waited, in all, before this attempt of it is due."""
    doubled = sum(wait_after(each) for each in range(1, min(attempt, _DOUBLED + 1)))
    return doubled + max(0, attempt - _DOUBLED - 1) * wait_after(_DOUBLED + 1)


def hook(saga_type: str, name: str) -> Any | None:
    """Return the author's hook of that name, bound, or None if the author wrote none."""
    author = registry.saga_type(saga_type)
    for spelling in (name, f"_{name}"):
        found = getattr(author, spelling, None)
        if found is not None:
            return found
    return None


def _row(held: Held, now: datetime, queue: str, subscriber: str, event: str, payload: Any) -> tuple[Any, ...]:
    return Due.DELIVERY, held.id, queue, now, False, subscriber, 1, event, payload, TIMEOUT


#: Event -> the name that its subscribers know; a terminal one is named after the saga's type.
_NAMES: dict[type, str] = {
    e.StepCompleted: "SagaStepCompleted",
    e.StepFailed: "SagaStepFailed",
    e.StepCompensated: "SagaCompensationCompleted",
}
_ENDS: dict[type, str] = {e.SagaCompleted: "Completed", e.SagaFailed: "Failed"}


def _name(held: Held, event: e.Event) -> str | None:
    if type(event) in _ENDS:
        return None if held.origin_kind in _TAKING_BACK else _name_of_end(held, event)
    return _NAMES.get(type(event))


def _name_of_end(held: Held, event: e.Event) -> str:
    return f"{held.saga_type}{_ENDS[type(event)]}"


def _payload(held: Held, event: e.Event) -> dict[str, Any]:
    match event:
        case e.StepCompleted(step=step, result=result):
            return {"step_name": step, "result": result}
        case e.StepFailed(step=step, error=error):
            return {"step_name": step, "error": error}
        case e.StepCompensated(step=step):
            return {"step_name": step}
        case e.SagaFailed(error=error):
            return {**(held.progress.data or {}), "error": error}
        case _:
            return dict(held.progress.data or {})
