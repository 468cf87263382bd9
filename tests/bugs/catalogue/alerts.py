"""Bugs of who looks whether something asks for a person, and tells."""

from tests.bugs.bug import bug
from tests.bugs.planting import rewrite

TELLING, LOOKING = (f"tests/sagas/alerts/test_{name}.py" for name in ("telling", "looking"))


@bug(TELLING)
def told_when_it_is_taken_on() -> None:
    """A notice counts as sent once somebody is about to send it: who dies with it has told nobody."""
    rewrite("sagas.alerts.telling:_claim", "due_at=now + HELD", "due_at=now + HELD, sent_at=now")


@bug(TELLING)
def what_is_refused_is_not_noted() -> None:
    """What a channel does not take is nobody's business: it is not said, and not tried again for minutes."""
    rewrite("sagas.alerts.telling:_send", "except channels.Untold as fault:", "except KeyError as fault:")


@bug(LOOKING)
def over_before_it_is_gone() -> None:
    """An alert is over at the first look that does not see it: what flickers wakes people each time."""
    rewrite("sagas.alerts.looking:_gone", "elif now - alert.gone_at >= CALM:", "else:")
