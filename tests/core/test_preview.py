"""What a verb would do, before it does it."""

from uuid import UUID

import pytest

from sagas.core import messages as m
from sagas.core.decide import Refused, decide
from sagas.core.definition import CANNOT_UNDO, Retry
from sagas.core.machine import fold
from sagas.core.preview import PlannedCommand, Preview, preview
from sagas.core.words import TERMINAL, SagaState, Verdict
from tests.simulation.faults import Fault
from tests.simulation.world import EPOCH, World

from .story import NOON, Story, step
from .strategies import ANYTHING, given, worlds

SAGA = UUID(int=1)
ONCE = Retry(max_attempts=1)


def foresee(story: Story, verb: m.Message, *claimed: str) -> Preview:
    now = m.Now(NOON, claimed=frozenset(story.number(name) for name in claimed))
    return preview(story.definition, story.progress, verb, now, SAGA)


def called(planned: tuple[PlannedCommand, ...]) -> list[str]:
    return [command.command for command in planned]


def three() -> Story:
    """A saga of three steps, two of them done."""
    story = Story(step("a"), step("b"), step("c"))
    story.done("a")
    story.done("b")
    return story


def test_a_rollback_is_foreseen_to_its_end() -> None:
    story = three()
    before = story.progress
    seen = foresee(story, m.Compensate())
    assert seen.state is SagaState.COMPENSATING
    assert called(seen.calls) == ["b.undo"]
    assert called(seen.then) == ["a.undo"]
    assert seen.ends is SagaState.FAILED
    assert (seen.awaited, seen.untouched, seen.standing, seen.asks) == ((), (), (), ())
    assert story.progress is before


def test_it_says_which_key_is_sent_and_whether_it_was_sent_before() -> None:
    story = Story(step("a"), step("b", hold=True, retry=ONCE))
    story.done("a")
    story.lost("b")
    (same,) = foresee(story, m.Retry("b")).calls
    assert (same.key, same.repeated) == (f"{SAGA}:b:do:1", True)
    story.tell(m.Resolve("b", Verdict.NONE))
    (new,) = foresee(story, m.Retry("b")).calls
    assert (new.key, new.repeated) == (f"{SAGA}:b:do:2", False)
    (undo,) = foresee(story, m.Compensate()).calls
    assert (undo.step, undo.direction, undo.key, undo.repeated) == ("a", "undo", f"{SAGA}:a:undo:1", False)


def test_completed_steps_are_not_run_again() -> None:
    story = Story(step("a"), step("b", hold=True), step("c"))
    story.done("a")
    story.rejected("b")
    seen = foresee(story, m.Retry("b"))
    assert (called(seen.calls), called(seen.then)) == (["b.do"], ["c.do"])
    assert (seen.untouched, seen.ends) == (("a",), SagaState.COMPLETED)


def test_what_a_worker_holds_is_awaited_and_not_called_again() -> None:
    seen = foresee(three(), m.Compensate(), "c")
    assert seen.awaited == ("c",)
    assert called(seen.calls) == []
    assert called(seen.then) == ["c.undo", "b.undo", "a.undo"]


def test_what_stays_is_named() -> None:
    story = Story(step("a"), step("b", compensation=None), step("c"))
    story.done("a")
    story.done("b")
    seen = foresee(story, m.Compensate())
    assert (seen.standing, seen.untouched) == (("b",), ("b",))
    assert seen.ends is SagaState.FAILED


def test_who_will_be_asked_is_named() -> None:
    story = Story(step("a"), step("b", compensation=CANNOT_UNDO), step("c"))
    story.done("a")
    story.done("b")
    seen = foresee(story, m.Compensate())
    assert (seen.asks, seen.ends) == (("b",), None)
    assert "b" in seen.standing


def test_a_forward_verb_leaves_nothing_standing() -> None:
    story = Story(step("a", compensation=None), step("b"))
    story.done("a")
    assert foresee(story, m.Skip("b")).standing == ()


def test_a_refused_verb_is_refused_in_the_preview_with_the_same_words() -> None:
    story = three()
    with pytest.raises(Refused, match="only a step in back-off or at attention can be retried"):
        foresee(story, m.Retry("c"))


@given(worlds(), ANYTHING)
def test_a_preview_is_the_verb_itself_run_and_thrown_away(
    world: World, schedule: list[tuple[Fault, int]]
) -> None:
    world.suffer(schedule)
    before = world.progress
    now = m.Now(EPOCH, 1.0, frozenset(number for number, row in world.due.items() if row.token))
    for verb in (m.Compensate(), m.Pause(), m.Retry("a"), m.Skip("a"), m.Resolve("a", Verdict.DONE)):
        try:
            events = decide(world.definition, before, verb, now)
        except Refused as refusal:
            with pytest.raises(Refused, match=f"^{refusal}".replace("(", r"\(").replace(")", r"\)")):
                preview(world.definition, before, verb, now, SAGA)
        else:
            seen = preview(world.definition, before, verb, now, SAGA)
            assert seen.state is fold(before, events).state
            assert seen.ends in {None, *TERMINAL}
            assert seen.ends or seen.asks
    assert world.progress is before
