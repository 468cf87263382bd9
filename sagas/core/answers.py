"""What a participant's function may answer, beside its result: it returns or raises one of these."""

from dataclasses import dataclass
from datetime import timedelta

from sagas.core.waits import LONGEST


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
        within = self.within.total_seconds() if isinstance(self.within, timedelta) else self.within
        if isinstance(within, bool) or not isinstance(within, int | float) or not 0 < within <= LONGEST:
            raise ValueError(
                f"Later(within=…) takes a timedelta or seconds, more than 0, not {self.within!r}"
            )
        object.__setattr__(self, "within", float(within))


class Unavailable(Exception):
    """Whether a command was carried out is not known; its participant may say how long to wait before asking again."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        """Seconds."""


class Misconfigured(Exception):
    """A command was not carried out, and will not be until somebody mends how it is sent."""
