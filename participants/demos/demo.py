"""What can be started as a demo: makes a saga's data, played by a scenario, and starts it once or many times."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import transaction

from participants.opening import seed, seeded
from participants.scenarios import DEFAULT, Scenario
from sagas.models import Saga
from sagas.orchestrator import start

#: Sagas that are recorded in one transaction: a big batch neither holds up the workers nor waits long itself.
GROUP = 25
_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that is read for another


@dataclass(frozen=True)
class Demo:
    """A saga type that people try out."""

    name: str
    """What one of them is called: ``order``."""
    pitch: str
    """What it does, in a sentence."""
    saga: Any
    """A class of sagas, or a durable function."""
    prefix: str
    """What the ids of its sagas begin with."""
    scenarios: Mapping[str, Scenario]
    choose: Callable[..., dict[str, Any]]
    """Takes a scenario and choices; returns the data but for its id, and what it asks of the demo itself."""

    id_field: str = ""
    """The data's field that has its id; else it is called after the demo."""

    @property
    def article(self) -> str:
        """What stands before its name."""
        return "an" if self.name[0] in "aeiou" else "a"

    @property
    def saga_type(self) -> str:
        """The name of its saga type."""
        name: str = self.saga.saga_type
        return name

    @property
    def identified_by(self) -> str:
        """The name of the data's field that has its id."""
        return self.id_field or f"{self.name}_id"

    @property
    def page(self) -> str:
        """The name of the page that starts it."""
        return f"demo-{self.name}"

    def new_batch(self) -> str:
        """Return what the ids of sagas that are started together begin with."""
        return f"{self.prefix}-" + "".join(secrets.choice(_LETTERS) for _ in range(6))

    def make(
        self, scenario: str = DEFAULT, *, pace: float = 0, id: str | None = None, **choices: Any
    ) -> dict[str, Any]:
        """Return a saga's data; what is not chosen, chance chooses.

        A scenario brings what it needs, whatever was chosen. Raises KeyError for an unknown scenario.
        """
        data = {
            self.identified_by: id or self.new_batch(),
            **self.choose(self.scenarios[scenario], **choices),
        }
        played = {k: v for k, v in {"scenario": scenario, "pace": pace}.items() if v not in (DEFAULT, 0)}
        demo = {**data.pop("demo", {}), **played}
        return {**data, "demo": demo} if demo else data

    def start(
        self,
        scenario: str = DEFAULT,
        n: int = 1,
        *,
        pace: float = 0,
        batch: str | None = None,
        by: Any = None,
        **choices: Any,
    ) -> Iterator[Saga]:
        """Start so many sagas and yield them, each group once it is durable.

        ``by`` is the user who starts them, and may not approve what they ask.
        The data's id is the saga's correlation id; the ids of a batch begin alike.
        Raises KeyError for an unknown scenario, sagas.orchestrator.Invalid for impossible choices.
        """
        if not seeded():
            seed()
        batch = batch or self.new_batch()
        names = (batch if n == 1 else f"{batch}-{i:0{len(str(n))}}" for i in range(1, n + 1))
        while ids := list(islice(names, GROUP)):
            group = [self.make(scenario, pace=pace, id=i, **choices) for i in ids]
            yield from self._start(group, by)

    def _start(self, group: Sequence[Mapping[str, Any]], by: Any) -> list[Saga]:
        with transaction.atomic():
            return [
                start(self.saga.saga_type, data, correlation_id=data[self.identified_by], started_by=by).saga
                for data in group
            ]
