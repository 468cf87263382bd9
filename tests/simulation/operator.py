"""The operators, and the desk that they click at: versions, action ids, stored answers.

Whoever settles something says the truth about it, but for :attr:`Fault.DENY`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.decide import Refused
from sagas.core.progress import StepProgress
from sagas.core.words import FORWARD, Attention, Direction, StepStatus, Verdict

from .books import demand
from .faults import Fault

if TYPE_CHECKING:
    from .world import World

#: What is at attention because something of ours was missing, or for want of patience: worth another try.
WORTH_A_RETRY = {
    Attention.NO_HANDLER,
    Attention.MISCONFIGURED,
    Attention.RETRIES_SPENT,
    Attention.COMPENSATION_FAILED,
}


@dataclass(frozen=True)
class Click:
    """One click, as the browser sends it, however often."""

    verb: m.Verb
    action_id: int
    version: int | None


@dataclass(eq=False)
class Operator:
    """All the saga's operators, and what the desk remembers of them."""

    world: "World"
    pressed: list[Click] = field(default_factory=list)
    verdicts: list[tuple[int, m.Verb]] = field(default_factory=list)
    """What was settled, and the sequence at which."""
    answers: dict[int, int] = field(default_factory=dict)
    """Action id -> the version that it led to; of the clicks that applied."""
    refused: int = 0
    _tried: set[str] = field(default_factory=set)

    def click(self, verb: m.Verb) -> bool:
        """Click on a page that shows the saga as it is; say whether the verb applied."""
        return self.press(self.aim(verb))

    def aim(self, verb: m.Verb, *, version: int | None = None) -> Click:
        """Prepare a click, on a page that shows that version."""
        click = Click(verb, len(self.pressed), self.world.progress.version if version is None else version)
        self.pressed.append(click)
        return click

    def press(self, click: Click) -> bool:
        """Let a click arrive; say whether its verb applied, now or when it arrived first."""
        if click.action_id in self.answers:
            return True
        before = self.world.progress
        if click.version not in (None, before.version):
            self.refused += 1
            return False
        applies = self.world.judge(self.world, click.verb) if self.world.judge else None
        try:
            events = self.world.tell(click.verb)
        except Refused:
            demand(self.world.progress is before, "C13: a refused verb changes nothing", click.verb)
            demand(not applies, "verbs: one that applies is not refused", click.verb)
            self.refused += 1
            return False
        demand(applies is not False, "verbs: one that does not apply is refused", click.verb)
        demand(events, "verbs: one that is not refused decides something", click.verb)
        self.answers[click.action_id] = self.world.progress.version
        if isinstance(click.verb, m.Resolve | m.Skip):
            self.verdicts.append((before.sequence, click.verb))
        return True

    def truth(self, step: StepProgress) -> Verdict | None:
        """Return what an honest operator says of a step; None while nobody can know."""
        key = self.world.key(step)
        stands = self.world.participants[step.name].stands(key)
        if step.attention is Attention.LATE_EFFECT:
            return Verdict.WAIVED
        undoing = step.status is StepStatus.COMPENSATING or step.attention is Attention.CANNOT_UNDO
        if stands:
            return Verdict.WAIVED if undoing else Verdict.DONE
        under_way = any(request.key == key for request in self.world.requests)
        if under_way or self.world.participants[step.name].is_at(key):
            return None
        return Verdict.DONE if undoing else Verdict.NONE

    def cure(self, step: StepProgress) -> m.Verb:
        """Return what helps a step that asks for a person: another try, once, and then for good."""
        if step.attention in WORTH_A_RETRY and step.name not in self._tried:
            self._tried.add(step.name)
            if step.status is StepStatus.COMPENSATING or self.world.progress.state in FORWARD:
                return m.Retry(step.name)
        if step.attention is Attention.EXPECTATION_MISSED:
            return self.approval(step)
        if step.attention is Attention.HELD and self.world.progress.state in FORWARD:
            return m.Skip(step.name)
        verdict = self.truth(step)
        assert verdict, f"nobody can know what became of {step.name}"
        return m.Resolve(step.name, verdict)

    def approval(self, step: StepProgress) -> m.Approve:
        """Return the yes of somebody who has not said so yet."""
        person = str(len(self.world.progress.steps[step.name].asked["given"]) + 10)  # type: ignore[index]
        return m.Approve(step.name, f"person {person}", "fine", person)

    def verb(self, fault: Fault, step: str) -> m.Verb | None:
        """Return what a click on that button asks for; None where an honest operator would not click."""
        if fault is Fault.RESOLVE:
            verdict = self.truth(self.world.progress.steps[step])
            return m.Resolve(step, verdict, result={"by": "operator"}) if verdict else None
        if fault is Fault.APPROVE:
            person = str(len(self.pressed) % 2)
            return m.Approve(step, f"person {person}", "", person)
        if fault is Fault.REMAP and self.world.definition.step(step).child is not None:
            return None
        if fault is Fault.REMAP:
            return m.Remap(_other_name(self.world, step))
        return _VERBS[fault](step)

    def settled(self, name: str) -> set[str]:
        """Return what was ever said of a step."""
        said = {v.outcome.value for _, v in self.verdicts if isinstance(v, m.Resolve) and v.step == name}
        return said | {"skip" for _, v in self.verdicts if isinstance(v, m.Skip) and v.step == name}


def press(fault: Fault, world: "World", step: str) -> None:
    """Click once, on the saga as it is."""
    verb = world.operator.verb(fault, step)
    if verb is not None:
        world.operator.click(verb)


def again(world: "World", which: int) -> None:
    """Let a click of before arrive again."""
    world.operator.press(world.operator.pressed[which])


def stale(world: "World", button: tuple[Fault, str]) -> None:
    """Click on a page that is one version behind."""
    verb = world.operator.verb(*button)
    if verb is not None:
        assert not world.operator.press(world.operator.aim(verb, version=world.progress.version - 1))


def belated(world: "World", which: int) -> None:
    """Let somebody's script do now what a person did then; no verdict, for that would no longer be true."""
    verb = world.operator.pressed[which].verb
    if not isinstance(verb, m.Resolve):
        world.operator.press(Click(verb, world.operator.aim(verb).action_id, None))


def lost(world: "World", button: tuple[Fault, str]) -> None:
    """Die between the decision and the commit; whoever clicked got no answer, and clicks again."""
    verb = world.operator.verb(*button)
    if verb is None:
        return
    click = world.operator.aim(verb)
    try:
        world.crash(verb)
    except Refused:
        return
    assert world.operator.press(click), f"{verb} would have applied, and was refused then"


def _other_name(world: "World", step: str) -> dict[str, str]:
    """Return another name for the command that the step has open, or for its action: there, or back."""
    pinned, undoing = world.definition.step(step), world.progress.steps[step].open is Direction.UNDO
    old = (pinned.compensation if undoing else None) or pinned.action
    return {old: old.removesuffix(" (new)") if old.endswith(" (new)") else f"{old} (new)"}


_VERBS: dict[Fault, Callable[[str], m.Verb]] = {
    Fault.RETRY: m.Retry,
    Fault.SKIP: m.Skip,
    Fault.COMPENSATE: lambda _: m.Compensate("enough"),
    Fault.EDIT: lambda _: m.Edit({"order": 2}),
    Fault.PAUSE: lambda _: m.Pause(),
    Fault.RESUME: lambda _: m.Resume(),
    Fault.REJECT: m.Reject,
    Fault.DENY: lambda step: m.Resolve(step, Verdict.NONE),
}
