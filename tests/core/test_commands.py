"""What is due, and under which key."""

from datetime import timedelta
from uuid import UUID

from sagas.core import messages as m
from sagas.core.commands import DueCommand, changed, due_command, idempotency_key, own_wake
from sagas.core.words import Direction
from tests.simulation.faults import Fault
from tests.simulation.world import World

from .story import NOON, Story, step
from .strategies import ANYTHING, given, worlds

SAGA = UUID(int=1)


def due(story: Story, name: str) -> DueCommand | None:
    return due_command(story.definition, story[name])


def test_the_key_is_saga_step_direction_generation() -> None:
    assert idempotency_key("s", "pay", Direction.DO, 1) == "s:pay:do:1"
    keys = {
        idempotency_key(saga, name, direction, generation)
        for saga in (SAGA, UUID(int=2))
        for name in ("a", "b")
        for direction in Direction
        for generation in (1, 2)
    }
    assert len(keys) == 16


def test_a_dispatched_action_is_due_at_once() -> None:
    story = Story(step("a"), step("b"))
    assert due(story, "a") == DueCommand("a", Direction.DO, "a.do", 2, 1, 1, NOON)
    assert due(story, "b") is None


def test_a_retry_has_the_same_number_and_generation() -> None:
    story = Story(step("a"))
    first = due(story, "a")
    story.lost("a")
    again = due(story, "a")
    assert first
    assert again
    assert (again.number, again.generation, again.attempt) == (first.number, first.generation, 2)
    assert again.due_at > first.due_at


def test_what_a_person_has_tried_again_behind_a_steps_deadline_has_its_whole_time() -> None:
    story = Story(step("a", deadline=10, timeout=5))
    story.unserved("a")
    assert story.tell(m.Retry("a"), at=NOON + timedelta(seconds=60)) == ["StepRescheduled a"]
    again = due(story, "a")
    assert again
    assert again.timeout == 5.0


def test_a_probe_behind_a_steps_deadline_has_its_whole_time() -> None:
    story = Story(step("a", deadline=10, timeout=8, probe="a.ask"))
    assert story.tell(m.Unknown(2, "lost"), at=NOON + timedelta(seconds=9)) == ["ProbeDispatched a"]
    asked = due(story, "a")
    assert asked
    assert (asked.name, asked.timeout) == ("a.ask", 8.0)


def test_an_undo_is_a_command_of_its_own() -> None:
    story = Story(step("a"), step("b"))
    story.done("a")
    story.rejected("b")
    undo = due(story, "a")
    assert undo
    assert (undo.name, undo.direction, undo.generation, undo.attempt) == ("a.undo", Direction.UNDO, 1, 1)
    assert undo.number == story["a"].undo_number != story["a"].action_number


def test_nothing_is_due_at_attention() -> None:
    story = Story(step("a"))
    story.unserved("a")
    assert story["a"].open
    assert due(story, "a") is None


def test_changes_name_the_command_that_went_and_the_one_that_came() -> None:
    story = Story(step("a"), step("b"))
    before = story.progress
    story.done("a")
    number = before.steps["a"].number
    assert list(changed(story.definition, before, story.progress)) == [
        (number, None),
        (None, due(story, "b")),
    ]


def test_a_change_beside_the_command_is_none_of_it() -> None:
    story = Story(step("a"))
    story.lost("a")
    before = story.progress
    story.tell(m.Edit({"order": 2}))
    assert story["a"] is not before.steps["a"]
    assert list(changed(story.definition, before, story.progress)) == []


@given(worlds(), ANYTHING)
def test_changes_add_up_to_what_is_due(world: World, schedule: list[tuple[Fault, int]]) -> None:
    world.suffer(schedule)
    commands = [due_command(world.definition, step) for step in world.progress.steps.values()]
    commands.append(own_wake(world.definition, world.progress))
    assert {n: row.command for n, row in world.due.items()} == {c.number: c for c in commands if c}
