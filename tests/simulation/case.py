"""A simulated saga as plain data: what it is made of, and what happens to it. It can be kept, and played again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sagas.core.definition import SagaDefinition

from .faults import Fault
from .participants import Answer, Participant
from .script import Script, script_document, script_from

Schedule = tuple[tuple[Fault, int], ...]


@dataclass(frozen=True)
class Mind:
    """What a step's participant is like; the last answer of a plan holds for ever."""

    inbox: bool = True
    do: tuple[Answer, ...] = (Answer.OK,)
    undo: tuple[Answer, ...] = (Answer.OK,)
    probe: tuple[Answer, ...] = (Answer.OK,)
    tells: tuple[str, ...] = ()
    """The events that it publishes with its effect, as a subscriber."""

    def participant(self) -> Participant:
        """Return a participant of that mind, which has seen nothing yet."""
        return Participant(self.inbox, self.do, self.undo, self.probe)


@dataclass(frozen=True)
class Case:
    """One saga to simulate."""

    definition: SagaDefinition
    minds: Mapping[str, Mind]
    schedule: Schedule = ()
    delayed: bool = False
    """It begins some time after its start."""
    sure: bool = False
    """Only deliveries are faulty, and patience is endless: it must end as it would without any fault."""
    script: Script | None = None
    """What its durable function does, if that says which steps there are."""

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "definition": self.definition.document(),
            "minds": {
                name: {plan: value if plan == "inbox" else list(value) for plan, value in vars(mind).items()}
                for name, mind in self.minds.items()
            },
            **({} if self.script is None else {"script": script_document(self.script)}),
            "delayed": self.delayed,
            "sure": self.sure,
            "schedule": [f"{fault.value} {which}" for fault, which in self.schedule],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Case":
        """Read back what :meth:`document` wrote."""
        minds = {
            name: Mind(
                mind["inbox"],
                *(tuple(map(Answer, mind.get(plan, [Answer.OK]))) for plan in ("do", "undo", "probe")),
                tells=tuple(mind.get("tells", ())),
            )
            for name, mind in document["minds"].items()
        }
        pairs = (entry.split() for entry in document["schedule"])
        schedule = tuple((Fault(fault), int(which)) for fault, which in pairs)
        definition = SagaDefinition.from_document(document["definition"])
        script = script_from(document["script"]) if "script" in document else None
        return cls(definition, minds, schedule, document.get("delayed", False), document["sure"], script)

    def text(self, **more: Any) -> str:
        """Return it as the text of a file, with what else is to be known of it."""
        return json.dumps({**more, **self.document()}, indent=1) + "\n"

    def with_schedule(self, schedule: Schedule) -> "Case":
        """Return the same saga with other things happening to it."""
        return replace(self, schedule=schedule)
