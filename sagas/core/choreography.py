"""How a choreography goes on: events are published, and due to their subscribers; nothing else drives it.

What a subscriber does is its own affair: no step is undone by us. But an event is never lost, a subscriber hears
of a saga's events one by one and in order, a poisonous one is parked, and what was promised is expected in time.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core import verbs
from sagas.core.draft import Draft, Refused
from sagas.core.flow import END, Flow, Part
from sagas.core.progress import StepProgress
from sagas.core.words import FORWARD, Attention, Outcome, SagaState, StepStatus, Verdict


def take(draft: Draft, flow: Flow, message: m.Message) -> None:
    """Decide a message about a choreography; :class:`Refused` for a verb that does not apply."""
    match message:
        case m.Start(data=data):
            draft.add(e.SagaStarted, data=data)
            _publish(draft, flow, flow.first, data)
            _go_on(draft, flow)
            if flow.endings:
                _await_end(draft, flow)
        case m.Published(event=event, data=data, by=by):
            if not draft.over and not _known(draft, flow, event):
                _publish(draft, flow, event, data, by)
                _go_on(draft, flow)
        case m.Completed() | m.Rejected() | m.Unknown() | m.Unserved() | m.Later() | m.TimeUp():
            step = draft.progress.awaiting(message.number)
            if step is None:
                _late(draft, flow, message)
            elif _answers(step, message):
                _answer(draft, flow, step, message)
                _go_on(draft, flow)
        case m.Resolve(step=name) if _came_late(draft, name):
            _resolve_late_effect(draft, message)
            _go_on(draft, flow)
        case m.Retry() | m.Compensate() | m.Skip() | m.Resolve():
            verbs.not_over(draft)
            _VERBS[type(message)](draft, flow, message)
            _go_on(draft, flow)
        case m.Remap():
            verbs.remap(draft, message, lambda step: _retry(draft, flow, m.Retry(step)))
        case _:
            verbs.act(draft, message)


def _answers(step: StepProgress, reply: m.Reply) -> bool:
    """Whether a reply to the open delivery says anything that is not known: of what was promised, how it went."""
    if not step.expecting:
        return not isinstance(reply, m.TimeUp)
    return isinstance(reply, m.TimeUp) or (step.promised and isinstance(reply, m.Completed | m.Rejected))


def _late(draft: Draft, flow: Flow, reply: m.Reply) -> None:
    """Record an effect that came after its delivery was given up, if there is an undo for it and none to come."""
    step = next((s for s in draft.progress.steps.values() if s.action_number == reply.number), None)
    if not isinstance(reply, m.Completed) or step is None or step.action_outcome is Outcome.COMPLETED:
        return
    undos = [draft.step(name) for name in flow.compensating(step.name)]
    to_come = any(undo.status is StepStatus.PENDING and undo.event is not None for undo in undos)
    # With an inbox the undo has met this effect, unless it was denied and nothing was undone.
    met = reply.inbox and step.action_outcome is not Outcome.REJECTED
    if undos and not to_come and not met:
        draft.add(e.LateEffectFound, step=step.name, result=reply.result)


def _known(draft: Draft, flow: Flow, event: str) -> bool:
    """Whether the event was published before. One that is repeated has told all that it has to tell."""
    return any(event in (each["name"], *each.get("also", ())) for each in _heard(draft, flow, event))


def _heard(draft: Draft, flow: Flow, event: str) -> list[Mapping[str, Any]]:
    """Return what those who listen to the event have heard first, be it this one or another."""
    listening = (*flow.reacting(event), *([END] if event in flow.endings else []))
    return [heard for name in listening if (heard := draft.step(name).event) is not None]


def _publish(draft: Draft, flow: Flow, event: str, data: Any, by: str | None = None) -> None:
    free = [n for n in flow.reacting(event) if draft.step(n).status is StepStatus.PENDING]
    ends = [END] if event in flow.endings else []
    draft.add(e.EventPublished, event=event, data=data, to=(*free, *ends), by=by)
    heard = bool(free or ends)
    for step in draft.progress.steps.values():
        part = flow.part(step.name)
        if part is not None and step.expecting and event in part.publishes:
            draft.add(e.StepCompleted, step=step.name, result=step.result)
            heard = True
    if event in flow.turns and draft.progress.state in FORWARD:
        draft.add(e.SagaCompensating, error=_reason(event, data))
    if heard and flow.endings and draft.step(END).attention:
        _await_end(draft, flow)  # something goes on after all


def _reason(event: str, data: Any) -> str:
    reason = data.get("reason") if isinstance(data, dict) else None
    return f"{event}: {reason}" if reason else event


def _await_end(draft: Draft, flow: Flow) -> None:
    draft.add(e.EventAwaited, step=END, due_at=draft.now.at + timedelta(seconds=flow.within))


def _go_on(draft: Draft, flow: Flow) -> None:
    """Make due what a subscriber is free for; end what has ended."""
    for name in _in_order(draft):
        part = flow.part(name)
        if part is not None and not _busy(draft, flow, part):
            _dispatch(draft, name)
    if not draft.over and not any(_open(step) for step in draft.progress.steps.values()):
        _end(draft, flow)


def _in_order(draft: Draft) -> list[str]:
    """Return the steps whose event waits for its subscriber, in the order of the events."""
    steps = draft.progress.steps.values()
    waiting = [s for s in steps if s.status is StepStatus.PENDING and s.event is not None]
    return [step.name for step in sorted(waiting, key=_number)]


def _busy(draft: Draft, flow: Flow, part: Part) -> bool:
    """Whether its subscriber has yet to take another event of this saga, that is on its way or came before."""
    mine = _number(draft.step(part.step))
    others = (draft.step(p.step) for p in flow.parts if p.by == part.by and p.step != part.step)
    return any(_untaken(s) and (s.scheduled or _number(s) < mine) for s in others)


def _number(step: StepProgress) -> int:
    """Return the number of the event that is delivered."""
    return int((step.event or {}).get("number", 0))


def _untaken(step: StepProgress) -> bool:
    """Whether an event is on its way to the subscriber, or parked."""
    parked = step.status in {StepStatus.FAILED, StepStatus.SKIPPED} and step.attention is not None
    return parked or (step.status is StepStatus.EXECUTING and not step.expecting)


def _open(step: StepProgress) -> bool:
    """Whether something will, or has to, become of the step."""
    if step.name == END:
        return False
    waiting = step.status is StepStatus.PENDING and step.event is not None
    return waiting or step.status is StepStatus.EXECUTING or _untaken(step)


def _dispatch(draft: Draft, name: str) -> None:
    budget = draft.definition.step(name).retry.max_attempts
    draft.add(e.DeliveryDispatched, step=name, generation=draft.step(name).generation + 1, budget=budget)


# What becomes of a delivery


def _answer(draft: Draft, flow: Flow, step: StepProgress, reply: Any) -> None:
    part = flow.part(step.name)
    if isinstance(reply, m.Rejected) and step.unresolved and not reply.inbox:
        # This attempt did nothing, but an earlier one may have: its no does not speak for that one.
        reply = m.Unknown(reply.number, reply.reason, inbox=False)
    match reply:
        case m.Completed(result=result):
            if _keeps_its_limit(part, step, result):
                draft.add(e.EventAwaited, step=step.name, due_at=step.due_at, result=result)
            else:
                _delivered(draft, flow, part, step, reply)
            if part is not None and part.compensates is not None and reply.inbox:
                _settle_undone(draft, draft.step(part.compensates), reply.number)
        case m.Later():  # it has taken the event on; what it leads to is expected, if anything is
            _delivered(draft, flow, part, step, reply)
        case m.Rejected(reason=reason):
            draft.add(e.StepFailed, step=step.name, error=reason)
            if not _is_undone(draft, flow, step.name):  # else another try would come behind its undo
                _park(draft, step, Attention.HELD, reason)
        case m.Unknown(error=error) if step.attempt < step.budget:
            retry = draft.definition.step(step.name).retry
            due_at = draft.next_try(retry, step.attempt, reply.retry_after)
            draft.reschedule(step, due_at=due_at, error=error, inbox=reply.inbox)
        case m.Unknown(error=error, inbox=inbox):
            draft.add(e.StepOutcomeUnknown, step=step.name, error=error, inbox=inbox)
            _park(draft, step, Attention.RETRIES_SPENT, error)
        case m.Unserved(error=error, code=code):
            draft.add(e.StepHeld, step=step.name, code=code, error=error)
        case m.TimeUp():
            _miss(draft, step, _overdue(flow, part, step))


def _overdue(flow: Flow, part: Part | None, step: StepProgress) -> str:
    if part is None and step.event is not None:
        return f"{step.event['name']} was published, and not everything was delivered in time"
    return f"no {_either(part.publishes if part else flow.endings)} was published in time"


def _delivered(
    draft: Draft, flow: Flow, part: Part | None, step: StepProgress, reply: m.Completed | m.Later
) -> None:
    result = reply.result if isinstance(reply, m.Completed) else None
    if part is None or not part.publishes or any(_known(draft, flow, event) for event in part.publishes):
        draft.add(e.StepCompleted, step=step.name, result=result)
    elif _found_nothing(part, result):
        draft.add(e.StepCompleted, step=step.name, result=result)
        # Nobody was called who could have said so: it leads on with what it was told.
        _publish(draft, flow, part.publishes[0], (step.event or {}).get("data"), step.name)
    else:
        within = reply.within if isinstance(reply, m.Later) else part.within
        assert within is not None  # no child saga answers a subscriber's delivery
        draft.add(
            e.EventAwaited,
            step=step.name,
            due_at=draft.now.at + timedelta(seconds=within),
            result=result,
            promised=isinstance(reply, m.Later),
            inbox=reply.inbox,
        )


def _keeps_its_limit(part: Part | None, step: StepProgress, result: Any) -> bool:
    """Whether a subscriber has kept its promise, and what that leads to is still expected until then."""
    return step.promised and step.due_at is not None and not _found_nothing(part, result)


def _found_nothing(part: Part | None, result: Any) -> bool:
    """Whether an undo says that there was no effect to undo, as an inbox does in its place."""
    undoes = part is not None and part.compensates is not None
    return undoes and isinstance(result, dict) and result.get("undone") is False


def _is_undone(draft: Draft, flow: Flow, name: str) -> bool:
    """Whether a step's undo was delivered, and taken."""
    undos = [draft.step(each) for each in flow.compensating(name)]
    return any(undo.status is StepStatus.COMPLETED or undo.expecting for undo in undos)


def _settle_undone(draft: Draft, step: StepProgress, undo: int) -> None:
    """Ask and await no more of a step whose undo has met whatever it did, or keeps it from happening.

    That is certain if both keep an inbox, and the undo was dispatched after it. An attempt that a worker may be at
    is awaited all the same, and what an operator called without effect, though it has come, is his to settle.
    """
    moot = step.status is StepStatus.EXECUTING and step.inbox and (step.expecting or step.attention)
    refused = step.status is StepStatus.FAILED and step.attention and not step.late_effect
    before = (step.action_number or 0) < undo
    if draft.progress.state is SagaState.COMPENSATING and before and (moot or refused):
        draft.add(e.StepCompensated, step=step.name)


def _park(draft: Draft, step: StepProgress, code: Attention, error: str) -> None:
    back = draft.progress.state is SagaState.COMPENSATING
    draft.add(e.StepHeld, step=step.name, code=Attention.COMPENSATION_FAILED if back else code, error=error)


def _miss(draft: Draft, step: StepProgress, error: str) -> None:
    missed = Attention.EXPECTATION_MISSED
    if step.attention is not missed or step.error != error:
        draft.add(e.StepHeld, step=step.name, code=missed, error=error)


def _either(events: tuple[str, ...]) -> str:
    return " or ".join(events)


# How it ends


def _end(draft: Draft, flow: Flow) -> None:
    """Nothing is under way: the saga has ended, or it never will by itself."""
    if not flow.endings:
        draft.add(e.SagaCompleted)
        return
    end = draft.step(END)
    if end.event is None:
        _miss(draft, end, f"everything is delivered, and no {_either(flow.endings)} was published")
        return
    missed = _unkept(draft, flow, end.event["name"])
    _miss(draft, end, missed) if missed else _conclude(draft, flow, end.event["name"])


def _unkept(draft: Draft, flow: Flow, event: str) -> str | None:
    """Return what an ending event promises and is not so (DESIGN 4, rules 2 and 3); None if all is as it says."""
    if event in flow.completed:
        if draft.progress.state is SagaState.COMPENSATING:
            return f"{event} was published, though it was on the way back ({draft.progress.error})"
        steps = draft.progress.steps.values()
        failed = ", ".join(step.name for step in steps if step.status is StepStatus.FAILED)
        return f"{event} was published, though {failed} failed" if failed else None
    left = [name for name in draft.definition.names if _still_stands(draft, flow, name)]
    return f"{event} was published, but nothing has undone {', '.join(left)}" if left else None


def _still_stands(draft: Draft, flow: Flow, name: str) -> bool:
    undos = [draft.step(n) for n in flow.compensating(name)]
    settled = any(undo.status in {StepStatus.COMPLETED, StepStatus.SKIPPED} for undo in undos)
    step = draft.step(name)
    return (
        bool(undos) and step.status is StepStatus.COMPLETED and _had_effect(draft, flow, name) and not settled
    )


def _had_effect(draft: Draft, flow: Flow, name: str) -> bool:
    """Whether the step did something: what turns the saga back, or ends it as failed, says that it did not.

    One of those that was published before the step heard of anything is not its word, whoever published it.
    """
    part, since = flow.part(name), _number(draft.step(name))
    told = {event for event in (part.publishes if part else ()) if _known(draft, flow, event)}
    denials = told & (flow.turns | {*flow.failed})
    return told > denials or all(_before(draft, flow, event, since) for event in denials)


def _before(draft: Draft, flow: Flow, event: str, number: int) -> bool:
    """Whether an event is known to have been published before that number."""
    return any(each["name"] == event and each["number"] < number for each in _heard(draft, flow, event))


def _conclude(draft: Draft, flow: Flow, event: str) -> None:
    data = (draft.step(END).event or {}).get("data")
    draft.add(e.StepCompleted, step=END, result={"event": event})
    if event in flow.completed:
        draft.add(e.SagaCompleted)
        return
    error = draft.progress.error or _reason(event, data)
    if draft.progress.state in FORWARD:
        draft.add(e.SagaCompensating, error=error)
    draft.add(e.SagaFailed, error=error)


# What operators can do


def _came_late(draft: Draft, name: str) -> bool:
    """Whether a step's effect became known after its delivery was given up, and nobody has settled it."""
    step = draft.progress.steps.get(name)
    return step is not None and step.attention is Attention.LATE_EFFECT


def _refuse_late_effect(step: StepProgress) -> None:
    if step.attention is Attention.LATE_EFFECT:
        raise Refused(
            f"{step.name} had its effect after its delivery was given up: resolve it as waived, or as done once undone."
        )


def _resolve_late_effect(draft: Draft, verb: m.Resolve) -> None:
    if verb.outcome is Verdict.NONE:
        _refuse_late_effect(draft.step(verb.step))
    draft.add(e.LateEffectSettled, step=verb.step)


def _retry(draft: Draft, flow: Flow, verb: m.Retry) -> None:
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
        _await_end(draft, flow)
    elif _busy(draft, flow, part):
        raise Refused(f"{part.by} has another event of this saga to take; {step.name} comes after that.")
    elif step.status is StepStatus.FAILED:
        _dispatch(draft, step.name)
    else:
        draft.start_over(step, draft.definition.step(step.name).retry.max_attempts)


def _compensate(draft: Draft, flow: Flow, verb: m.Compensate) -> None:
    if flow.compensation is None:
        raise Refused("This choreography declares no event that begins its compensation.")
    if draft.progress.state is SagaState.COMPENSATING:
        raise Refused("The saga is already rolling back.")
    ending = draft.step(END).event if flow.endings else None
    if ending is not None:
        raise Refused(f"{ending['name']} is published: the saga ends as soon as everything is delivered.")
    for part in flow.parts:
        ends = {*part.publishes, *part.may_publish} & {*flow.completed}
        if ends and draft.claimed(draft.step(part.step)):
            raise Refused(
                f"{part.step} is being delivered right now, and may end the saga; wait for its reply."
            )
    for step in draft.progress.steps.values():
        if step.attention is Attention.HELD:  # nobody insists on what was refused: the way back is the answer
            draft.add(e.DeliveryDropped, step=step.name)
    _publish(draft, flow, flow.compensation, {"reason": verb.reason or "rolled back by an operator"})


def _skip(draft: Draft, flow: Flow, verb: m.Skip) -> None:
    step = verbs.a_step(draft, verb.step)
    _refuse_late_effect(step)
    verbs.unclaimed(draft, step)
    if step.name == END or not _open(step):
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
            draft.add(e.StepCompleted, step=step.name, result=verb.result)
            _speak_for(draft, flow, verb.result, step.name)
        case Verdict.NONE if step.status is StepStatus.EXECUTING and step.name != END:
            draft.add(e.StepFailed, step=step.name, error=verb.reason or "an operator found no effect")
        case _:
            raise Refused("Resolve it as done, and name in the result what was published; or skip it.")


def _speak_for(draft: Draft, flow: Flow, result: Any, step: str | None = None) -> None:
    """Publish what an operator says that the subscriber did: a result of ``{"event": …, "data": {…}}``."""
    event = _event_in(result)
    if event is not None and not _known(draft, flow, event):
        _publish(draft, flow, event, result.get("data") or {}, step)


def _event_in(result: Any) -> str | None:
    event = result.get("event") if isinstance(result, dict) else None
    return event if isinstance(event, str) else None


def _resolve_end(draft: Draft, flow: Flow, result: Any) -> None:
    """End it as an operator says, whatever was expected."""
    published = draft.step(END).event
    event = _event_in(result) or (published and published["name"])
    possible = flow.endings if draft.progress.state in FORWARD else flow.failed
    if event not in possible:
        raise Refused(f'Name the event that ends it in the result: {{"event": "{_either(possible)}"}}.')
    if published is None:
        _speak_for(draft, flow, result)
    under_way = [step.name for step in draft.progress.steps.values() if _open(step)]
    if not under_way:
        _conclude(draft, flow, event)
    elif published is not None:
        raise Refused(f"It ends once everything is delivered; {', '.join(under_way)} is not.")


_VERBS: dict[type, Any] = {m.Retry: _retry, m.Compensate: _compensate, m.Skip: _skip, m.Resolve: _resolve}
