"""A preview in sentences: what a verb will do, for people, before it does it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sagas import registry
from sagas.core import messages as m
from sagas.core.definition import CANNOT_UNDO, FUNCTION, SagaDefinition, SagaStep
from sagas.core.differences import differences
from sagas.core.flow import END
from sagas.core.preview import PlannedCommand, Preview
from sagas.core.waits import APPROVAL, CHILD, OF_CHILDREN
from sagas.core.words import FORWARD, Attention, SagaState, StepStatus, Verdict
from sagas.orchestrator import rehearsal
from sagas.orchestrator.asked import Plan
from sagas.orchestrator.loading import Held
from sagas.orchestrator.queues import paused as paused_queues
from sagas.orchestrator.start import Opening


def plan_of(verb: str, step: str | None, held: Held, message: m.Message, planned: Preview) -> Plan:
    """Put a preview into words."""
    pauses = paused_queues(registry.queue_for(call.command) for call in (*planned.calls, *planned.then))
    return Plan(
        verb=verb,
        step=step,
        version=held.progress.version,
        state=planned.state.value,
        sentences=tuple(_sentences(verb, step, held, message, planned, pauses)),
        calls=tuple(_document(call, pauses) for call in planned.calls),
        then=tuple(_document(call, pauses) for call in planned.then),
        awaited=planned.awaited,
        untouched=planned.untouched,
        standing=planned.standing,
        asks=planned.asks,
        ends=planned.ends.value if planned.ends else None,
        changes=tuple(_changes(held, message)),
    )


def _document(call: PlannedCommand, pauses: Collection[str]) -> dict[str, Any]:
    return {**asdict(call), "queue_paused": registry.queue_for(call.command) in pauses}


def _changes(held: Held, message: m.Message) -> Iterator[dict[str, Any]]:
    if isinstance(message, m.Edit):
        yield from (each._asdict() for each in differences(held.progress.data, message.data))


def plan_of_new(verb: str, held: Held, opening: Opening) -> Plan:
    """Put into words what a verb would do that starts another saga."""
    first, known = _course(opening.pin)
    pauses = paused_queues(registry.queue_for(step.action) for step in known)
    names = ", ".join(step.action for step in first)
    what = "the late effect's undo" if verb == "compensate" else "the same type, data and correlation id"
    return Plan(
        verb=verb,
        step=None,
        version=held.progress.version,
        state=held.progress.state.value,
        sentences=(
            f"A new saga is started with {what}; it begins with {names}, under keys of its own.",
            f"This saga stays {held.progress.state.value}; the two are linked.",
        ),
        then=tuple(
            {
                "step": s.name,
                "direction": "do",
                "command": s.action,
                "key": "",
                "repeated": False,
                "queue_paused": registry.queue_for(s.action) in pauses,
            }
            for s in known
        ),
    )


def _course(pin: SagaDefinition) -> tuple[Sequence[SagaStep], Sequence[SagaStep]]:
    """Return the steps that a new saga begins with, and all that are known to come if all goes well."""
    if pin.flow is None:
        return [step for step in pin.steps if not pin.needs(step.name)], pin.steps
    first = [pin.step(name) for name in pin.flow.reacting(pin.flow.first)]
    return first, first  # what follows from an event is for its subscribers to say


def _sentences(
    verb: str,
    step: str | None,
    held: Held,
    message: m.Message,
    planned: Preview,
    pauses: Mapping[str, Any],
) -> Iterator[str]:
    stays = held.progress.paused and verb != "resume"
    yield from _special(verb, step, held)
    if isinstance(message, m.Edit):
        yield from _edit(held, message.data)
    if isinstance(message, m.Resolve) and message.outcome is Verdict.DONE:
        yield from _result(held, message)
    for call in planned.calls:
        yield _call(held, call, "the saga" if stays else _paused_queue(call, pauses))
    for name in planned.awaited:
        yield f"{name} is being executed right now; its reply or time-out is awaited."
    if planned.then:
        calls = ", then ".join(call.command for call in planned.then)
        yield f"If every call succeeds, {calls} would follow."
    if held.definition.flow is not None and planned.calls:
        yield "What follows depends on what its subscribers publish."
    if held.definition.growing and planned.state in FORWARD:
        yield "What comes next is for its function to say."
    if planned.untouched and planned.state is not SagaState.COMPENSATING:
        yield f"Not run again: {', '.join(planned.untouched)}."
    if held.definition.flow is None:
        yield from _standing(held, message, planned.standing)
    if planned.asks:
        yield f"A person will still have to decide about {', '.join(planned.asks)}."
    if planned.ends:
        end = "failed (rolled back)" if planned.ends is SagaState.FAILED else planned.ends.value
        yield f"The saga would end {end}."


def _paused_queue(call: PlannedCommand, pauses: Collection[str]) -> str:
    """Name the queue that keeps a call waiting; empty if none does."""
    queue = registry.queue_for(call.command)
    return f"its queue, {queue}, which an operator has paused," if queue in pauses else ""


def _call(held: Held, call: PlannedCommand, paused: str) -> str:
    """Say what a call is, and when; ``paused`` is what has to be resumed before, if anything."""
    if held.definition.growing and call.step == FUNCTION:
        when = f"once {paused.rstrip(',')} is resumed" if paused else "from its top"
        return f"The function is run again, {when}, against what is recorded; that has no effect by itself."
    when = f"becomes due, and is called when {paused} is resumed," if paused else "is called"
    if call.asks:
        return (
            f"{call.command} {when} for {call.step}, to ask what became of {call.asks}; that has no effect."
        )
    if call.command in OF_CHILDREN:
        return _of_child(call)
    if call.command == APPROVAL:
        return f"{call.step} asks, and waits for an answer."
    again = "the same key as before, so a participant with an inbox answers what it remembers"
    key = again if call.repeated else "a new key"
    return f"{call.command} {when} for {call.step}, under {key}."


def _of_child(call: PlannedCommand) -> str:
    if call.command == CHILD:
        again = "unless it was started before" if call.repeated else "as a new one"
        return f"The child saga of {call.step} is started, {again}."
    return (
        f"The child saga of {call.step} is undone: it never begins if it has not, is rolled back if it is under way, "
        "and another saga undoes its effects if it is completed."
    )


def _result(held: Held, message: m.Resolve) -> Iterator[str]:
    """Say who will go by the result of an action that is said to be done."""
    step, pinned = held.progress.steps[message.step], held.definition.step(message.step)
    acted = (
        step.status in {StepStatus.EXECUTING, StepStatus.FAILED}
        and step.attention is not Attention.LATE_EFFECT
    )
    if not acted or held.definition.flow is not None:
        return
    readers = [f"its undo {pinned.undo}"] if pinned.undo else []
    readers += [name for name in held.definition.dependents(step.name) if name != FUNCTION]
    if held.definition.growing:
        readers.append("the function")
    if readers:
        will = "find no result of it" if message.result is None else "go by this result"
        yield f"Once they are called, {' and '.join(readers)} will {will}."


def _special(verb: str, step: str | None, held: Held) -> Iterator[str]:
    match verb:
        case "retry" if held.definition.flow is not None and step == END:
            yield "Nothing is called: it is only looked once more whether the saga can end."
            yield "If it cannot, it waits for what is under way, and where nothing is, asks again at once."
        case "skip":
            yield f"{step} is left out: its action is not called, its result is null, there is nothing to undo."
        case "resolve":
            yield f"Your word settles {step}; no participant is asked."
            at = held.progress.steps[step or ""]
            if held.definition.step(at.name).child and at.waiting:
                yield "Its child saga goes on by itself: its end is not heard any more; it is undone with this saga."
        case "pause":
            yield "Nothing more is claimed for this saga, in either direction; what is running is awaited."
        case "resume":
            yield "What is due is claimed again."
        case "approve":
            yield from _approve(step or "", held)
        case "reject":
            yield f"{step} is rejected: one no is enough."


def _approve(step: str, held: Held) -> Iterator[str]:
    asked = held.progress.steps[step].asked or {}
    people, given = asked.get("people", 1), asked.get("given", {})
    if people > 1:
        names = ", ".join(each["by"] for each in given.values()) or "nobody"
        yield f"{step} takes {people} people; so far {names} approved."
    if len(given) + 1 >= people:
        yield f"{step} is approved, and the saga goes on."


def _standing(held: Held, message: m.Message, names: Sequence[str]) -> Iterator[str]:
    """Say which effects stay, and why: nobody is told that what he decides is in the nature of things."""
    waived = isinstance(message, m.Resolve) and message.outcome is Verdict.WAIVED
    now = [name for name in names if waived and name == getattr(message, "step", None)]
    mute = [n for n in names if n not in now and held.definition.step(n).compensation in (None, CANNOT_UNDO)]
    said = [name for name in names if name not in now and name not in mute]
    if now:
        yield f"Left standing, on your word: {', '.join(now)}."
    if said:
        yield f"Left standing, on an operator's word: {', '.join(said)}."
    if mute:
        yield f"Left standing, because it has nothing to undo or cannot be undone: {', '.join(mute)}."


def _edit(held: Held, data: Mapping[str, Any]) -> Iterator[str]:
    if held.definition.growing and held.progress.state in FORWARD:
        yield from _rehearsed(held, data)
    yield "Commands from now on get the new data."
    sent = [s.name for s in held.progress.steps.values() if s.open and s.unresolved]
    if sent:
        yield f"Already sent, and repeated with the data they were sent with: {', '.join(sent)}."


def _rehearsed(held: Held, data: Mapping[str, Any]) -> Iterator[str]:
    """Say what a function would do with other data: its steps were chosen by what it was told until now."""
    try:
        said = rehearsal.rehearse(held, data)
    except LookupError as nobody:
        yield f"Whether its function does again what is recorded cannot be tried: {nobody}."
        return
    match said:
        case m.Unserved(error=wrong):
            yield (
                f"With this data its function does not do again what is recorded: {wrong}. "
                "At its next run it would stop at attention misconfigured."
            )
        case m.Raised(reason=reason):
            yield f"With this data its function rejects, at its next run: {reason}."
        case _ if held.progress.steps[FUNCTION].attention is Attention.MISCONFIGURED:
            yield "With this data its function does again what is recorded; retry it then."
