"""The rules of the core hold for what waits: timers, approvals and promises among the steps, under every fault."""

from hypothesis import settings

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import TERMINAL, SagaState, StepStatus
from tests.simulation.faults import Fault
from tests.simulation.participants import Participant
from tests.simulation.world import World

from .strategies import (
    ANYTHING,
    DELIVERIES,
    EITHER,
    SURE_DO,
    SURE_UNDO,
    UNDO,
    given,
    graphs,
    waiting,
    worlds,
)
from .test_properties import INBOX, _terminal_is_final, _uncompensated, _undo_follows_dependency

Schedule = list[tuple[Fault, int]]

#: Such worlds are costly to make; the simulation's oracle holds thousands of them to the same rules.
few = settings(max_examples=200)

WAITING = waiting(graphs())
#: Patient participants with one mind, and nobody who clicks.
SURE = waiting(graphs(compensations=(UNDO, UNDO, None), patient=True, holds=False))


@few
@given(worlds(WAITING), ANYTHING, ANYTHING)
def test_rule_1_terminal_is_final(world: World, before: Schedule, after: Schedule) -> None:
    world.watchers.append(_terminal_is_final)
    world.suffer(before).run_to_rest()
    world.suffer(after).tidy().suffer(after)
    assert world.progress.state in TERMINAL
    assert world.progress.waiting is None


@few
@given(worlds(WAITING, inboxes=INBOX), ANYTHING)
def test_rules_2_and_3_the_end_is_what_it_says(world: World, schedule: Schedule) -> None:
    world.suffer(schedule).tidy()
    if world.progress.state is SagaState.FAILED:
        assert not list(_uncompensated(world))
    else:
        for name, step in world.progress.steps.items():
            skipped = step.status is StepStatus.SKIPPED
            assert skipped or step.status is StepStatus.COMPLETED
            assert not skipped or "skip" in world.operator.settled(name)


@few
@given(worlds(WAITING), ANYTHING)
def test_rule_4_nothing_is_undone_while_something_stands_on_it(world: World, schedule: Schedule) -> None:
    world.watchers.append(_undo_follows_dependency)
    world.suffer(schedule).tidy()


@few
@given(worlds(SURE, inboxes=INBOX, do=SURE_DO, undo=SURE_UNDO), DELIVERIES)
def test_rule_5_faults_of_delivery_change_nothing(world: World, schedule: Schedule) -> None:
    twins = {name: Participant(p.inbox, p.do, p.undo, p.probe) for name, p in world.participants.items()}
    calm = World(world.definition, twins).start().run_to_rest().progress
    now = world.suffer(schedule).run_to_rest().progress
    assert (now.state, now.attention) == (calm.state, calm.attention)
    assert [step.waiting for step in now.steps.values()] == [step.waiting for step in calm.steps.values()]


def _awaits_child(world: World, step: StepProgress) -> bool:
    return step.waiting is not None and world.definition.step(step.name).child is not None


@few
@given(worlds(WAITING), ANYTHING)
def test_rule_6_what_asks_for_nobody_has_work_due(world: World, schedule: Schedule) -> None:
    def goes_on(world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]) -> None:
        now = world.progress
        asked = any(step.open and (step.asked or _awaits_child(world, step)) for step in now.steps.values())
        assert world.due or asked or now.state in TERMINAL or now.paused or now.attention
        for step in now.steps.values():
            assert not (step.waiting and step.attention)
            assert not step.waiting or step.scheduled or step.asked or _awaits_child(world, step)

    world.watchers.append(goes_on)
    world.suffer(schedule).tidy()


@few
@given(worlds(WAITING), ANYTHING)
def test_rule_8_folding_the_events_gives_the_rows(world: World, schedule: Schedule) -> None:
    world.suffer(schedule)
    world.remember()
    world.tidy()
    world.remember()


@few
@given(worlds(WAITING), ANYTHING, EITHER)
def test_nobody_approves_alone_what_two_have_to(world: World, schedule: Schedule, tidied: bool) -> None:
    def by_as_many(world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]) -> None:
        for event in events:
            pinned = (
                world.definition.step(event.step).approval if isinstance(event, e.StepCompleted) else None
            )
            if pinned and isinstance(message, m.Approve):
                assert len(set(event.result["by"])) == pinned.people

    world.watchers.append(by_as_many)
    world.suffer(schedule)
    if tidied:
        world.tidy()
