"""A verb on one saga of several: which of its steps it is about, and then each of them, one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sagas.models import OperatorAction, Saga
from sagas.orchestrator.actions import act
from sagas.orchestrator.asked import (
    STEP_VERBS,
    VERBS,
    Answer,
    Asked,
    Invalid,
    NotFound,
    OrchestratorError,
    Refused,
)
from sagas.orchestrator.replies import as_uuid
from sagas.orchestrator.snapshot import snapshot


@dataclass(frozen=True)
class Outcome:
    """What came of a verb on one saga."""

    saga_id: UUID
    verb: str
    answer: Answer | None
    """The last that was given; None if nothing was done."""
    done: Sequence[str]
    """The steps that it was done to."""
    refusal: str = ""
    """Why it was not done, or not to all steps; empty if it was."""

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        did = VERBS[self.verb].lower()
        if self.refusal:
            before = f"{did} of {', '.join(self.done)} was done. Then: " if self.done else ""
            return f"{before}{self.refusal}"
        assert self.answer is not None  # or there would be a refusal
        saga = self.answer.saga
        if self.answer.repeated:
            return f"{did} was done already; it was {saga['state']} then."
        paused = ", and paused: nothing is called until it is resumed" if saga["paused"] else ""
        return f"{did} was done; it is {saga['state']} now{paused}."


def steps_for(saga: Mapping[str, Any], verb: str) -> list[str]:
    """Return the steps of a snapshot that a verb is about: those at attention, or else all that it applies to."""
    return asking_steps(saga, verb) or _fitting(saga, verb)


def about_its_step(saga_id: UUID | str, verb: str, asked: Asked) -> Asked:
    """Name the step that a verb is about, where somebody has not and only one can be meant.

    Where none can, or the saga has moved on, it names one of which the verb's own refusal says so.
    Raises NotFound; Invalid, with their names, if there are several.
    """
    if asked.step is not None or verb not in STEP_VERBS:
        return asked
    pk = as_uuid(saga_id)
    known = OperatorAction.objects.filter(action_id=asked.action_id, saga=pk, verb=verb).first()
    if known is not None:  # what it was about then, and may be no more
        return replace(asked, step=known.step)
    found = Saga.objects.filter(pk=pk).first()
    if found is None:
        raise NotFound(f"There is no saga {saga_id}.")
    saga = snapshot(found)
    steps = steps_for(saga, verb)
    if len(steps) > 1 and asked.version in {None, found.version}:
        raise Invalid("step", f"is required; it could be {', '.join(steps)}")
    return replace(asked, step=steps[0] if steps else saga["current"] or saga["steps"][-1]["name"])


def asking_steps(saga: Mapping[str, Any], verb: str) -> list[str]:
    """Return the steps of a snapshot that ask for a person, and to which a verb applies."""
    asking = {step["name"] for step in saga["steps"] if step["attention"]}
    return [name for name in _fitting(saga, verb) if name in asking]


def _fitting(saga: Mapping[str, Any], verb: str) -> list[str]:
    if verb not in STEP_VERBS:
        return []
    return [v["step"] for v in saga["verbs"] if v["verb"] == verb and v["applies"]]


def act_on_each(saga_id: UUID, verb: str, steps: Sequence[str], asked: Asked) -> Outcome:
    """Act on each of a saga's steps, or on the saga if none are named; say what came of it.

    ``asked`` has the version that was seen, and an action id from which each step's own is made. A refusal ends it.
    """
    version, answer = asked.version, None
    done: list[str] = []
    for index, step in enumerate(steps or [None]):
        own = replace(asked, step=step, version=version, action_id=f"{asked.action_id}-{index}")
        try:
            answer = act(saga_id, verb, own)
        except (OrchestratorError, Refused) as no:
            return Outcome(saga_id, verb, answer, done, str(no))
        version = answer.saga["version"]  # what the next step's verb has to meet is what this one left
        done += [step] if step else []
    return Outcome(saga_id, verb, answer, done)
