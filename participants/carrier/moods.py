"""Moods of the carrier: what it can be told to be, so that the demo has something to cope with."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Mood:
    """How it behaves at the first attempt of a pickup. Seconds throughout."""

    delay: float = 0.0
    """It takes its time, with cancellations, too."""
    fails: bool = False
    """It is closed, before anything is done."""
    loses: bool = False
    """It does what is asked, and its answer is lost."""
    calls_back: int = 0
    """It says 202, and answers by so many callbacks."""
    later: float = 1.0
    """After which it calls back."""
    forges: bool = False
    """Its callbacks are signed with another key."""


MOODS: Mapping[str, Mood] = {
    "prompt": Mood(),
    "slow": Mood(delay=2.0),
    "fails": Mood(fails=True),
    "loses": Mood(loses=True),
    "late": Mood(calls_back=1),
    "twice": Mood(calls_back=2),
    "forged": Mood(calls_back=1, forges=True),
}
