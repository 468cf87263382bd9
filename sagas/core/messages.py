"""What can happen to a saga: a start, a reply to one of its commands, an operator's verb."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sagas.core.words import Attention, Verdict


class Now(NamedTuple):
    """What the shell knows at this moment, and the core must not ask for."""

    at: datetime
    jitter: float = 1.0
    """Drawn from [0, 1]; spreads retries."""
    claimed: frozenset[int] = frozenset()
    """Numbers of the saga's commands that a worker holds."""


@dataclass(frozen=True)
class Start:
    """Begin."""

    data: Mapping[str, Any]
    at: datetime | None = None
    """When to begin; None, or a moment that has gone: now."""


@dataclass(frozen=True)
class Completed:
    """The participant did it."""

    number: int
    result: Any = None
    inbox: bool = True
    """Whether the participant remembers keys, so that repeated and late calls have no second effect."""


@dataclass(frozen=True)
class Rejected:
    """The participant said no, explicitly: no effect."""

    number: int
    reason: str
    inbox: bool = True


@dataclass(frozen=True)
class Unknown:
    """A time-out, a crash, a broken connection: it may or may not have had its effect."""

    number: int
    error: str
    inbox: bool = True
    retry_after: float | None = None
    """Seconds that the participant asked us to wait."""


@dataclass(frozen=True)
class NoSuchCommand:
    """A probe found that the participant has seen nothing of the command so far; it may still be on its way."""

    number: int
    error: str = "its participant knows nothing of it so far"


@dataclass(frozen=True)
class Unserved:
    """The command never reached a participant, for a reason that only we can mend."""

    number: int
    error: str
    code: Attention = Attention.NO_HANDLER
    arrived: bool = False
    """It did reach one, and may have had its effect: it is the answer that nobody understands."""
    inbox: bool = False
    """Of a command that arrived, whether its participant has one."""


@dataclass(frozen=True)
class Later:
    """The participant has taken the command on, and answers from outside."""

    number: int
    within: float | None
    """Seconds; after that its outcome is unknown. None: whoever has it on will answer, however long it takes."""
    inbox: bool = True


@dataclass(frozen=True)
class TimeUp:
    """The moment has come for which a command waited, or the saga itself."""

    number: int


@dataclass(frozen=True)
class Grown:
    """The saga's function was run as far as results are known: it asks for these steps, or waits for others."""

    number: int
    steps: tuple[Mapping[str, Any], ...] = ()
    """New ones, as :class:`sagas.core.events.SagaGrown` has them."""
    heard: frozenset[str] = frozenset()
    """The steps of whose verdicts that run knew."""


@dataclass(frozen=True)
class Returned:
    """The saga's function has returned: nothing more is to be done."""

    number: int
    result: Any = None


@dataclass(frozen=True)
class Raised:
    """The saga's function has raised a rejection: all is to be undone."""

    number: int
    reason: str


@dataclass(frozen=True)
class Published:
    """Somebody published a domain event of a choreography."""

    event: str
    data: Mapping[str, Any] = field(default_factory=dict)
    by: str | None = None
    """The step whose delivery published it; None: somebody outside."""


Ran = Grown | Returned | Raised
"""What a run of a saga's function says; only a run can."""
Reply = Completed | Rejected | Unknown | NoSuchCommand | Unserved | Later | TimeUp | Ran


@dataclass(frozen=True)
class Retry:
    """Send the step's action, or its undo, again: now, and with a fresh budget."""

    step: str


@dataclass(frozen=True)
class Compensate:
    """Roll back now."""

    reason: str = ""


@dataclass(frozen=True)
class Skip:
    """Go on without the step."""

    step: str


@dataclass(frozen=True)
class Resolve:
    """Settle by hand what became of the step's open command."""

    step: str
    outcome: Verdict
    result: Any = None
    reason: str = ""


@dataclass(frozen=True)
class Edit:
    """Replace the saga's data. Commands that were already sent keep their input."""

    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Remap:
    """Call commands of the pinned definition by their new names: nothing but names changes."""

    names: Mapping[str, str]
    """Old name -> new name."""


@dataclass(frozen=True)
class Pause:
    """Claim nothing more for this saga."""


@dataclass(frozen=True)
class Resume:
    """Claim again."""


@dataclass(frozen=True)
class Approve:
    """Answer yes to a step that waits for a person."""

    step: str
    by: str = ""
    """The person's name."""
    comment: str = ""
    person: str = ""
    """What tells one person from another, whatever they are called."""


@dataclass(frozen=True)
class Reject:
    """Answer no to a step that waits for a person."""

    step: str
    reason: str = ""
    by: str = ""


Verb = Retry | Compensate | Skip | Resolve | Edit | Remap | Pause | Resume | Approve | Reject
Message = Start | Reply | Published | Verb
