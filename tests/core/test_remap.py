"""Commands called by other names: nothing but names changes, and what had no handler goes on."""

from uuid import UUID

import pytest

from sagas.core import messages as m
from sagas.core.commands import due_command
from sagas.core.decide import decide, drafted
from sagas.core.definition import SagaDefinition
from sagas.core.draft import Refused
from sagas.core.preview import preview
from sagas.core.words import Attention, SagaState

from .story import NOON, Story, step

NAMES = {"a.do": "a.make"}


def test_only_names_change_and_equal_definitions_have_one_digest() -> None:
    definition = SagaDefinition("trip", (step("a"), step("b")))
    renamed = definition.renamed(NAMES)
    assert (renamed.step("a").action, renamed.step("b")) == ("a.make", definition.step("b"))
    assert renamed.renamed({"a.make": "a.do"}).digest == definition.digest != renamed.digest


def test_a_due_command_keeps_its_number_and_time_and_gets_the_name() -> None:
    story = Story(step("a"), step("b"))
    draft = drafted(story.definition, story.progress, m.Remap(NAMES), m.Now(NOON))
    assert [type(event).__name__ for event in draft.events] == ["DefinitionChanged"]
    was = due_command(story.definition, story.progress.steps["a"])
    now = due_command(draft.definition, draft.progress.steps["a"])
    assert was
    assert now
    assert (was.name, now.name) == ("a.do", "a.make")
    assert (was.number, was.attempt, was.due_at) == (now.number, now.attempt, now.due_at)


@pytest.mark.parametrize("code", [Attention.NO_HANDLER, Attention.MISCONFIGURED])
def test_only_what_had_no_handler_is_tried_again(code: Attention) -> None:
    story = Story(step("a"))
    story.unserved("a", code=code)
    events = decide(story.definition, story.progress, m.Remap(NAMES), m.Now(NOON))
    tried = ["StepRescheduled"] if code is Attention.NO_HANDLER else []
    assert [type(event).__name__ for event in events] == ["DefinitionChanged", *tried]


def test_what_a_worker_holds_is_not_renamed_but_another_command_may_be() -> None:
    story = Story(step("a"), step("b", needs=()))
    held = m.Now(NOON, 1.0, frozenset({story.number("a")}))
    with pytest.raises(Refused, match="being executed right now"):
        decide(story.definition, story.progress, m.Remap(NAMES), held)
    assert decide(story.definition, story.progress, m.Remap({"b.do": "b.make"}), held)


def test_a_name_that_is_not_there_and_a_saga_that_is_over_are_refused() -> None:
    story = Story(step("a"))
    with pytest.raises(Refused, match="names none of x"):
        decide(story.definition, story.progress, m.Remap({"x": "y"}), m.Now(NOON))
    story.done("a")
    assert story.progress.state is SagaState.COMPLETED
    with pytest.raises(Refused, match="final"):
        decide(story.definition, story.progress, m.Remap(NAMES), m.Now(NOON))


def test_the_preview_names_the_commands_as_they_would_be_called() -> None:
    story = Story(step("a"), step("b"))
    story.unserved("a")
    planned = preview(story.definition, story.progress, m.Remap(NAMES), m.Now(NOON), UUID(int=1))
    assert [call.command for call in planned.calls] == ["a.make"]
    assert planned.calls[0].key.endswith(":a:do:1")
    assert planned.ends is SagaState.COMPLETED
