"""What a participant's function may answer, beside its result: it returns or raises one of these."""

from dataclasses import dataclass
from datetime import timedelta

from sagas.core.waits import is_span, seconds


class Rejected(Exception):
    """A participant's explicit no: the command had no effect. Its text is the reason."""


class NoSuchCommand(Exception):
    """A probe's answer: nothing of the command has arrived so far. Its text may say more."""


@dataclass(frozen=True)
class Later:
    """A handler's promise: the command is taken on, and will be answered from outside.

    By ``handle_step_completed``, ``handle_step_failed`` or ``handle_compensation_completed``, or a signed
    callback. Whoever has not answered ``within`` that time, a timedelta or seconds, is treated as one whose
    outcome is unknown: the command is sent again, under the same key.
    """

    within: float

    def __post_init__(self) -> None:
        within = seconds(self.within)
        if not is_span(within):
            raise ValueError(
                f"Later(within=…) takes a timedelta or seconds, more than 0, not {self.within!r}"
            )
        object.__setattr__(self, "within", within)


class Unavailable(Exception):
    """Whether a command was carried out is not known; its participant may say how long to wait before asking again.

    ``retry_after`` is a timedelta or seconds; what is longer than an hour is asked again after an hour.
    """

    def __init__(self, text: str, retry_after: timedelta | float | None = None) -> None:
        super().__init__(text)
        wait = seconds(retry_after)
        if wait is not None and not (isinstance(wait, float) and wait >= 0):
            raise ValueError(
                f"Unavailable(retry_after=…) takes a timedelta or seconds, 0 or more, not {retry_after!r}"
            )
        self.retry_after: float | None = wait
        """Seconds."""


class Misconfigured(Exception):
    """A command was not carried out, and will not be until somebody mends how it is sent.

    ``arrived``: it may have been, all the same; its participant's answer says neither.
    """

    def __init__(self, text: str, *, arrived: bool = False) -> None:
        super().__init__(text)
        self.arrived = arrived
