"""What happens next: one message in, the events that it decides out. Nothing is changed here.

Delivery is at least once and in any order, so a reply that no open command awaits decides
nothing (or, where no inbox prevented it, that an effect became known too late).
A verb that does not apply raises :class:`Refused`: that is the caller's to hear.
"""

from sagas.core import choreography, growth, replies, verbs, waiting
from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.definition import SagaDefinition
from sagas.core.draft import Draft
from sagas.core.draft import Refused as Refused
from sagas.core.progress import Progress


def decide(
    definition: SagaDefinition, progress: Progress, message: m.Message, now: m.Now
) -> tuple[e.Event, ...]:
    """Return the events that a message decides; none for a reply that is late.

    Raises :class:`Refused` for a verb that does not apply.
    """
    return tuple(drafted(definition, progress, message, now).events)


def drafted(definition: SagaDefinition, progress: Progress, message: m.Message, now: m.Now) -> Draft:
    """Return the decision with the progress after it, which :func:`decide` had to find anyway."""
    draft = Draft(definition, progress, now)
    if definition.flow is not None:
        choreography.take(draft, definition.flow, message)
        return draft
    match message:
        case m.Start(data=data, at=at) if at is not None and at > now.at:
            draft.add(e.SagaStarted, data=data, begins_at=at)
        case m.Start(data=data):
            draft.add(e.SagaStarted, data=data, deadline_at=draft.saga_deadline)
            draft.advance()
        case m.TimeUp(number=number):
            waiting.time_is_up(draft, number)
        case m.Unknown() | m.Unserved() | m.Grown() | m.Returned() | m.Raised() if growth.about(
            draft, message
        ):
            growth.take(draft, message)
        case m.Completed() | m.Rejected() | m.Unknown() | m.NoSuchCommand() | m.Unserved() | m.Later():
            replies.take(draft, message)
        case m.Grown() | m.Returned() | m.Raised():
            pass  # of a run that is over: another has said what comes next
        case m.Published():
            pass  # an orchestration goes on by commands and their replies alone
        case _:
            verbs.act(draft, message)
    return draft
