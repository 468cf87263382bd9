"""How a choreography goes on: events are published, and due to their subscribers; nothing else drives it.

What a subscriber does is its own affair: no step is undone by us. But an event is never lost, a subscriber hears
of a saga's events one by one and in order, a poisonous one is parked, and what was promised is expected in time.
"""

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core import verbs
from sagas.core.choreography import delivering, ending, operators, publishing, turns
from sagas.core.draft import Draft
from sagas.core.flow import Flow


def take(draft: Draft, flow: Flow, message: m.Message) -> None:
    """Decide a message about a choreography; :class:`Refused` for a verb that does not apply."""
    match message:
        case m.Start(data=data):
            draft.add(e.SagaStarted, data=data)
            publishing.publish(draft, flow, flow.first, data)
            _go_on(draft, flow)
            if flow.endings:
                publishing.await_end(draft, flow)
        case m.Published(event=event, data=data, by=by):
            if not draft.over and not publishing.known(draft, flow, event):
                publishing.publish(draft, flow, event, data, by)
                _go_on(draft, flow)
        case m.Completed() | m.Rejected() | m.Unknown() | m.Unserved() | m.Later() | m.TimeUp():
            step = draft.progress.awaiting(message.number)
            if step is None:
                delivering.late(draft, flow, message)
            elif delivering.answers(step, message):
                delivering.answer(draft, flow, step, message)
                _go_on(draft, flow)
        case m.Resolve(step=name) if operators.came_late(draft, name):
            operators.resolve_late_effect(draft, flow, message)
            _go_on(draft, flow)
        case m.Retry() | m.Compensate() | m.Skip() | m.Resolve():
            verbs.not_over(draft)
            operators.VERBS[type(message)](draft, flow, message)
            _go_on(draft, flow)
        case m.Remap():
            verbs.remap(draft, message, lambda step: operators.try_again(draft, flow, step))
        case _:
            verbs.act(draft, message)


def _go_on(draft: Draft, flow: Flow) -> None:
    """Make due what a subscriber is free for; end what has ended."""
    for name in turns.in_order(draft):
        part = flow.part(name)
        if part is not None and not turns.busy(draft, flow, part):
            turns.dispatch(draft, name)
    if not draft.over and not any(turns.is_open(step) for step in draft.progress.steps.values()):
        ending.end(draft, flow)
