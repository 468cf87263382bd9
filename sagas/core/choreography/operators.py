"""What operators can do about a choreography."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core import verbs
from sagas.core.choreography import delivering, ending, publishing, turns
from sagas.core.draft import Draft, Refused
from sagas.core.flow import END, Flow
from sagas.core.progress import StepProgress
from sagas.core.words import FORWARD, Attention, Outcome, SagaState, StepStatus, Verdict


def came_late(draft: Draft, name: str) -> bool:
    """Whether a step's effect became known after its delivery was given up, and nobody has settled it."""
    step = draft.progress.steps.get(name)
    return step is not None and step.attention is Attention.LATE_EFFECT


def _refuse_late_effect(step: StepProgress) -> None:
    if step.attention is Attention.LATE_EFFECT:
        raise Refused(
            f"{step.name} had its effect after its delivery was given up: resolve it as waived, or as done once undone."
        )


def resolve_late_effect(draft: Draft, flow: Flow, verb: m.Resolve) -> None:
    """Settle an effect that came late, as an operator says. Raises :class:`Refused` for what it is not."""
    if verb.outcome is Verdict.NONE:
        _refuse_late_effect(draft.step(verb.step))
    step = draft.step(verb.step)
    earlier = step.late_generation not in {None, step.generation}
    refused = step.status is StepStatus.FAILED and step.action_outcome is Outcome.REJECTED
    draft.add(e.LateEffectSettled, step=verb.step)
    if earlier and refused and not draft.over and not delivering.is_undone(draft, flow, step.name):
        delivering.park(draft, step, Attention.HELD, step.error or "")  # nobody has decided about that one


def try_again(draft: Draft, flow: Flow, step: str) -> None:
    """Retry it where its turn has come; else it asks for that then."""
    with suppress(Refused):
        retry(draft, flow, m.Retry(step))


def retry(draft: Draft, flow: Flow, verb: m.Retry) -> None:
    """Deliver an event once more, or wait for it once more. Raises :class:`Refused` if that does not apply."""
    step = verbs.a_step(draft, verb.step)
    _refuse_late_effect(step)
    verbs.unclaimed(draft, step)
    waiting = step.scheduled and step.attempt > 1 and not step.expecting
    if not step.attention and not waiting:
        raise Refused(
            f"{step.name} is {step.status}; only a delivery in back-off or at attention can be retried."
        )
    part = flow.part(step.name)
    if part is None:
        publishing.await_end(draft, flow)
    elif turns.busy(draft, flow, part):
        raise Refused(f"{part.by} has another event of this saga to take; {step.name} comes after that.")
    elif step.status is StepStatus.FAILED:
        turns.dispatch(draft, step.name)
    else:
        draft.start_over(step, draft.definition.step(step.name).retry.max_attempts)


def _compensate(draft: Draft, flow: Flow, verb: m.Compensate) -> None:
    if flow.compensation is None:
        raise Refused("This choreography declares no event that begins its compensation.")
    if draft.progress.state is SagaState.COMPENSATING:
        raise Refused("The saga is already rolling back.")
    ended = draft.step(END).event if flow.endings else None
    if ended is not None:
        raise Refused(f"{ended['name']} is published: the saga ends as soon as everything is delivered.")
    for part in flow.parts:
        ends = {*part.publishes, *part.may_publish} & {*flow.completed}
        if ends and draft.claimed(draft.step(part.step)):
            raise Refused(
                f"{part.step} is being delivered right now, and may end the saga; wait for its reply."
            )
    for step in draft.progress.steps.values():
        if step.attention is Attention.HELD:  # nobody insists on what was refused: the way back is the answer
            draft.add(e.DeliveryDropped, step=step.name)
    reason = verb.reason or "rolled back by an operator"
    publishing.publish(draft, flow, flow.compensation, {"reason": reason})


def _skip(draft: Draft, flow: Flow, verb: m.Skip) -> None:
    step = verbs.a_step(draft, verb.step)
    _refuse_late_effect(step)
    verbs.unclaimed(draft, step)
    if step.name == END or not turns.is_open(step):
        raise Refused(f"{step.name} is {step.status}; only an event that is to be delivered can be skipped.")
    if step.unresolved or step.expecting:
        raise Refused(f"{step.name} may have had its effect; say what became of it with resolve.")
    draft.add(e.DeliveryDropped, step=step.name)


def _resolve(draft: Draft, flow: Flow, verb: m.Resolve) -> None:
    step = verbs.a_step(draft, verb.step)
    verbs.unclaimed(draft, step)
    if not step.attention and not step.unresolved:
        raise Refused(f"{step.name} is {step.status}; only a step at attention, or unknown, can be resolved.")
    match verb.outcome:
        case Verdict.DONE if step.name == END:
            _resolve_end(draft, flow, verb.result)
        case Verdict.DONE:
            draft.add(e.StepCompleted, step=step.name, result=verb.result, by_hand=True)
            _speak_for(draft, flow, verb.result, step.name)
        case Verdict.NONE if step.status is StepStatus.EXECUTING and step.name != END:
            delivering.refuse(draft, flow, step, verb.reason or "an operator found no effect")
        case _:
            raise Refused("Resolve it as done, and name in the result what was published; or skip it.")


def _speak_for(draft: Draft, flow: Flow, result: Any, step: str | None = None) -> None:
    """Publish what an operator says that the subscriber did: a result of ``{"event": …, "data": {…}}``."""
    event = _event_in(result)
    if event is not None and not publishing.known(draft, flow, event):
        publishing.publish(draft, flow, event, _data_in(result), step)


def _data_in(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an event's data. Refuses what is no object: it is laid over the saga's."""
    data = result.get("data") or {}
    if not isinstance(data, Mapping):
        raise Refused(f'The data of {result["event"]} must be an object, such as {{"id": 7}}, not {data!r}.')
    return data


def _event_in(result: Any) -> str | None:
    event = result.get("event") if isinstance(result, dict) else None
    return event if isinstance(event, str) else None


def _resolve_end(draft: Draft, flow: Flow, result: Any) -> None:
    """End it as an operator says, whatever was expected."""
    published = draft.step(END).event
    event = _event_in(result) or (published and published["name"])
    possible = flow.endings if draft.progress.state in FORWARD else flow.failed
    if event not in possible:
        names = publishing.either(possible)
        raise Refused(f'Name the event that ends it in the result: {{"event": "{names}"}}.')
    if published is None:
        _speak_for(draft, flow, result)
    under_way = [step.name for step in draft.progress.steps.values() if turns.is_open(step)]
    if not under_way:
        ending.conclude(draft, flow, event)
    elif published is not None:
        raise Refused(f"It ends once everything is delivered; {', '.join(under_way)} is not.")


VERBS: dict[type, Any] = {m.Retry: retry, m.Compensate: _compensate, m.Skip: _skip, m.Resolve: _resolve}
