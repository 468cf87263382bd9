"""What can happen to a demo saga, and the end that each promises.

Most come about by themselves: a sold-out product, a card that the bank declines. What cannot, such as
a carrier that is down twice, :mod:`participants.faults` plays at the service.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import BaseModel, Field, field_validator

from participants.faults import MAX_PACE

DEFAULT = "happy"


@dataclass(frozen=True)
class Scenario:
    """Something that can happen to a saga, named for what the operator will see."""

    name: str
    title: str
    description: str
    state: str
    """The state in which the saga comes to rest."""
    attention: str | None = None
    waiting: str | None = None
    """What it waits for there that lies outside: an approval."""
    brings: Mapping[str, Any] = field(default_factory=dict)
    """What the saga's data says so that it happens, whatever was chosen."""

    @property
    def expects(self) -> dict[str, str | None]:
        """The end that it promises, unless an operator steps in."""
        waiting = {"waiting": self.waiting} if self.waiting else {}
        return {"state": self.state, "attention": self.attention, **waiting}

    def document(self) -> dict[str, Any]:
        """Return it as other programs read it."""
        return {"name": self.name, "title": self.title, "expects": self.expects}


def by_name(*scenarios: Scenario) -> Mapping[str, Scenario]:
    """Return a demo's scenarios as it looks them up."""
    return {scenario.name: scenario for scenario in scenarios}


class Played(BaseModel, extra="forbid"):
    """What a saga's data asks of its demo: which scenario is played, and how many seconds each step takes."""

    scenarios: ClassVar[Mapping[str, Scenario]]
    scenario: str | None = None
    pace: float = Field(default=0, ge=0, le=MAX_PACE, allow_inf_nan=False)

    @field_validator("scenario")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in cls.scenarios:
            raise ValueError(f"there is no scenario {name!r}; there are {', '.join(cls.scenarios)}")
        return name
