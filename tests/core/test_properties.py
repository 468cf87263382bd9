"""The eight rules of the core, each under every fault that a network, a worker or a person can think of."""

from collections.abc import Iterator, Sequence

import hypothesis
from hypothesis import strategies as st

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.definition import CANNOT_UNDO, Retry, SagaDefinition, SagaStep
from sagas.core.machine import fold
from sagas.core.progress import Progress
from sagas.core.words import TERMINAL, Attention, Direction, Outcome, SagaState, StepStatus, Verdict
from tests.simulation.faults import Fault
from tests.simulation.participants import Answer, Participant
from tests.simulation.stored import events_as_stored
from tests.simulation.world import World

from .strategies import (
    ANYTHING,
    DELIVERIES,
    EITHER,
    HASTE,
    SURE_DO,
    SURE_UNDO,
    UNDO,
    all_held,
    given,
    graphs,
    worlds,
)

Schedule = list[tuple[Fault, int]]

INBOX = (True,)


# 1. A terminal saga has nothing in flight, and terminal is final


@given(worlds(), ANYTHING, ANYTHING)
def test_a_terminal_saga_has_nothing_in_flight_and_stays_as_it_is(
    world: World, before: Schedule, after: Schedule
) -> None:
    world.watchers.append(_terminal_is_final)
    world.suffer(before).run_to_rest()
    world.suffer(after).tidy().suffer(after)
    assert world.progress.state in TERMINAL


def _terminal_is_final(
    world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]
) -> None:
    now = world.progress
    if before.state in TERMINAL:
        assert now.state is before.state
        assert now.finished_at == before.finished_at
        assert all(isinstance(event, e.LateEffectFound | e.LateEffectSettled) for event in events)
    if now.state in TERMINAL:
        assert not world.due
        assert not any(step.open or step.scheduled or step.due_at for step in now.steps.values())
        assert now.attention in {None, Attention.LATE_EFFECT}


@given(worlds(), HASTE)
def test_an_effect_that_became_known_too_late_asks_until_an_operator_settles_it(
    world: World, schedule: Schedule
) -> None:
    owed: set[str] = set()

    def remember(world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]) -> None:
        found = {event.step for event in events if isinstance(event, e.LateEffectFound)}
        if isinstance(message, m.Completed) and not before.awaiting(message.number):
            assert found == _too_late(world, before, message)
        owed.update(found)
        owed.difference_update(event.step for event in events if isinstance(event, e.LateEffectSettled))
        owed.difference_update(event.step for event in events if isinstance(event, e.StepLeftStanding))
        steps = world.progress.steps
        busy = {name for name, step in steps.items() if step.open or step.status is StepStatus.COMPENSATING}
        assert all(steps[name].attention for name in owed - busy)

    world.watchers.append(remember)
    world.suffer(schedule).tidy()
    assert not owed
    assert world.progress.attention is None


def _too_late(world: World, before: Progress, reply: m.Completed) -> set[str]:
    """Return the step whose effect a late reply tells of, unless that was known, or nothing is there to undo."""
    step = next((step for step in before.steps.values() if step.action_number == reply.number), None)
    if step is None:
        return _twice(world.log[: before.sequence], reply.number)
    if step.action_outcome is Outcome.COMPLETED or step.standing:
        return set()
    denied = step.action_outcome is Outcome.REJECTED  # by an operator, or the participant contradicts itself
    by_hand = step.status is StepStatus.COMPENSATED and step.outcome is not Outcome.COMPLETED
    undoable = world.definition.step(step.name).compensation is not None
    ahead = before.state not in {SagaState.COMPENSATING, SagaState.FAILED}
    return {step.name} if (undoable or ahead) and (denied or by_hand or not reply.inbox) else set()


def _twice(log: Sequence[e.Event], number: int) -> set[str]:
    """Return the step whose action was called without effect, and sent anew, unless it is known to have had it."""
    sent = log[number - 1]
    if not isinstance(sent, e.StepDispatched):
        return set()
    found = {(event.step, event.generation) for event in log if isinstance(event, e.LateEffectFound)}
    return {sent.step} - {step for step, generation in found if generation == sent.generation}


@given(worlds(inboxes=INBOX), ANYTHING)
def test_a_participant_with_an_inbox_has_no_effect_too_late_unless_its_undo_was_settled_by_hand(
    world: World, schedule: Schedule
) -> None:
    world.suffer(schedule).run_to_rest()
    by_hand: set[str] = set()
    for event in world.log:
        if isinstance(event, e.StepCompensated) and event.by_hand:
            by_hand.add(event.step)  # no undo has met what the participant may still do, or have done
        assert not isinstance(event, e.LateEffectFound) or event.step in by_hand


@given(worlds(), ANYTHING)
def test_a_terminal_saga_is_not_paused(world: World, schedule: Schedule) -> None:
    world.suffer(schedule).run_to_rest()
    assert not (world.progress.paused and world.progress.state in TERMINAL)


# 2. failed => all is undone, or declared, or settled


@given(worlds(), ANYTHING, EITHER)
def test_a_failed_saga_has_nothing_left_to_undo(world: World, schedule: Schedule, tidied: bool) -> None:
    world.suffer(schedule)
    _end(world, tidied)
    if world.progress.state is SagaState.FAILED:
        for name, step in world.progress.steps.items():
            _has_nothing_left(world, name, step.status)


@given(worlds(graphs(pivots=False, holds=False), inboxes=INBOX), DELIVERIES)
def test_a_failed_saga_of_participants_with_an_inbox_leaves_no_effect(
    world: World, schedule: Schedule
) -> None:
    world.suffer(schedule).run_to_rest()
    if world.progress.state is SagaState.FAILED:
        assert not list(_uncompensated(world))


def _end(world: World, tidied: bool) -> None:
    if tidied:
        world.tidy()
    else:
        world.run_to_rest()


def _has_nothing_left(world: World, name: str, status: StepStatus) -> None:
    step, said = world.progress.steps[name], world.operator.settled(name)
    compensation = world.definition.step(name).compensation
    called = world.participants[name].calls.get(world.key(step), 0)
    match status:
        case StepStatus.PENDING:
            assert not called
        case StepStatus.FAILED:
            assert step.action_outcome is Outcome.REJECTED
        case StepStatus.SKIPPED:
            assert "skip" in said
        case StepStatus.COMPENSATED:
            assert compensation not in (None, CANNOT_UNDO) or "done" in said
        case StepStatus.COMPLETED:
            assert compensation is None or "waived" in said
        case _:
            raise AssertionError(f"{name} is {status} in a saga that failed")


def _uncompensated(world: World) -> Iterator[str]:
    """Yield the steps whose effect stands, though it should not after a rollback."""
    for name, participant in world.participants.items():
        declared = world.definition.step(name).compensation is None
        if participant.stands() and not declared and "waived" not in world.operator.settled(name):
            yield name


@given(worlds(inboxes=INBOX), ANYTHING)
def test_whatever_an_honest_operator_clicks_no_effect_outlives_a_failed_saga(
    world: World, schedule: Schedule
) -> None:
    world.suffer(schedule).tidy()
    if world.progress.state is SagaState.FAILED:
        assert not list(_uncompensated(world))


# 3. completed => each step completed, or skipped by a named operator


@given(worlds(), ANYTHING, EITHER)
def test_a_completed_saga_did_every_step_that_no_operator_skipped(
    world: World, schedule: Schedule, tidied: bool
) -> None:
    world.suffer(schedule)
    _end(world, tidied)
    if world.progress.state is SagaState.COMPLETED:
        for name, step in world.progress.steps.items():
            skipped = step.status is StepStatus.SKIPPED
            assert skipped or step.status is StepStatus.COMPLETED
            assert not skipped or "skip" in world.operator.settled(name)
            assert skipped or world.participants[name].stands(world.key(step))


# 4. Nothing is undone while something that relies on it stands


@given(worlds(), ANYTHING)
def test_nothing_is_undone_while_something_that_relies_on_it_stands(world: World, schedule: Schedule) -> None:
    world.watchers.append(_undo_follows_dependency)
    world.suffer(schedule).tidy()


def _undo_follows_dependency(
    world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]
) -> None:
    for event in events:
        if isinstance(event, e.UndoDispatched | e.StepCompensated):
            for name in _all_dependents(world.definition, event.step):
                assert _is_down(world, name), f"{event.step} was undone while {name} stood"


def _all_dependents(definition: SagaDefinition, name: str) -> set[str]:
    direct = definition.dependents(name)
    return set(direct).union(*(_all_dependents(definition, other) for other in direct))


def _is_down(world: World, name: str) -> bool:
    step, participant = world.progress.steps[name], world.participants[name]
    if step.status is StepStatus.COMPLETED:
        return step.standing or world.definition.step(name).compensation is None
    if participant.inbox and step.status is not StepStatus.SKIPPED:
        assert not participant.stands() or "waived" in world.operator.settled(name)
    return step.status not in {StepStatus.EXECUTING, StepStatus.COMPENSATING}


@given(worlds(graphs(pivots=False, holds=False)), DELIVERIES)
def test_a_step_that_cannot_be_undone_holds_up_what_it_stands_on(world: World, schedule: Schedule) -> None:
    world.suffer(schedule).run_to_rest()
    for step in world.progress.steps.values():
        if step.attention is Attention.CANNOT_UNDO:
            assert all(_untouched(world, name) for name in _all_needs(world.definition, step.name))


def _all_needs(definition: SagaDefinition, name: str) -> set[str]:
    direct = definition.needs(name)
    return set(direct).union(*(_all_needs(definition, other) for other in direct))


def _untouched(world: World, name: str) -> bool:
    step = world.progress.steps[name]
    return step.status is StepStatus.COMPLETED and step.undo_number is None


# 5. Faults of delivery change nothing


@given(
    worlds(
        graphs(compensations=(UNDO, UNDO, None), patient=True, holds=False),
        inboxes=INBOX,
        do=SURE_DO,
        undo=SURE_UNDO,
    ),
    DELIVERIES,
)
def test_faults_of_delivery_end_in_the_same_state_with_one_effect_per_command(
    world: World, schedule: Schedule
) -> None:
    calm = _again(world).start().run_to_rest()
    world.suffer(tuple(each for each in schedule if each[0] not in {Fault.PAUSE, Fault.RESUME})).run_to_rest()
    assert (world.progress.state, world.progress.attention) == (calm.progress.state, calm.progress.attention)
    for participant in world.participants.values():
        keys = [effect.key for effect in participant.effects]
        assert len(keys) == len(set(keys))
    if world.progress.state is SagaState.FAILED:
        assert not list(_uncompensated(world))
    if world.progress.state is SagaState.COMPLETED:
        assert all(participant.stands() for participant in world.participants.values())


def _again(world: World) -> World:
    """Return a world with the same saga, and participants of the same mind, in which nothing has happened yet."""
    twins = {n: Participant(p.inbox, p.do, p.undo, p.probe) for n, p in world.participants.items()}
    return World(world.definition, twins)


@given(worlds(inboxes=INBOX), ANYTHING)
def test_every_attempt_of_a_command_carries_the_same_key_and_every_command_its_own(
    world: World, schedule: Schedule
) -> None:
    world.suffer(schedule).tidy()
    pairs = {(request.number, request.key) for request in world.sent}
    assert len(pairs) == len({number for number, _ in pairs}) == len({key for _, key in pairs})
    for participant in world.participants.values():
        effects = [effect.key for effect in participant.effects]
        assert len(effects) == len(set(effects))


@given(worlds(), ANYTHING)
def test_a_reply_is_taken_by_its_own_command_or_by_none(world: World, schedule: Schedule) -> None:
    def by_number(world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]) -> None:
        if not isinstance(message, m.Completed):
            return
        open_by = before.awaiting(message.number)
        for event in events:
            if isinstance(event, e.StepCompleted | e.StepCompensated):
                direction = Direction.DO if isinstance(event, e.StepCompleted) else Direction.UNDO
                assert open_by
                assert (open_by.name, open_by.open) == (event.step, direction)

    world.watchers.append(by_number)
    world.suffer(schedule).run_to_rest()


# 6. A saga that is neither terminal, paused, waiting nor at attention has work due


@given(worlds(), ANYTHING)
def test_a_saga_that_asks_for_nobody_has_work_due(world: World, schedule: Schedule) -> None:
    world.watchers.append(_goes_on)
    world.suffer(schedule).tidy()
    assert world.progress.state in TERMINAL
    assert world.progress.attention is None


def _goes_on(world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]) -> None:
    now = world.progress
    rests = now.state in TERMINAL or now.paused or now.attention
    assert rests or world.due
    assert {n: row.command.attempt for n, row in world.due.items()} == {
        step.number: step.probe if step.asking else step.attempt
        for step in now.steps.values()
        if step.scheduled
    }


@given(worlds(), ANYTHING)
def test_after_the_faults_a_saga_comes_to_rest(world: World, schedule: Schedule) -> None:
    now = world.suffer(schedule).run_to_rest().progress
    assert now.state in TERMINAL or now.paused or now.attention
    assert now.paused or not world.due


@given(worlds(), ANYTHING)
def test_a_step_at_attention_never_has_work_of_its_own_due(world: World, schedule: Schedule) -> None:
    def nothing_goes_on(
        world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]
    ) -> None:
        for step in world.progress.steps.values():
            assert not (step.scheduled and step.attention not in {None, Attention.LATE_EFFECT})

    world.watchers.append(nothing_goes_on)
    world.suffer(schedule).tidy()


# 7. A failing first step fails the saga; a failing undo is never dropped; the operator's verdict binds


@given(worlds(graphs(holds=False, pivots=False), inboxes=INBOX), DELIVERIES)
def test_a_failing_first_step_ends_in_failed(world: World, schedule: Schedule) -> None:
    chain = SagaDefinition("trip", tuple(_chained(step) for step in world.definition.steps))
    first, *rest = chain.names
    saga = World(
        chain, {first: Participant(do=[Answer.REJECT])} | {name: Participant() for name in rest}
    ).start()
    saga.suffer(schedule).run_to_rest()
    assert saga.progress.state is SagaState.FAILED
    assert [step.status for step in saga.progress.steps.values()] == [
        StepStatus.COMPENSATED if saga.progress.steps[first].undo_number else StepStatus.FAILED,
        *[StepStatus.PENDING] * len(rest),
    ] or saga.progress.steps[first].standing


def _chained(step: SagaStep) -> SagaStep:
    compensation = UNDO if step.compensation == CANNOT_UNDO else step.compensation
    return SagaStep(step.name, step.action, compensation, retry=step.retry)


@hypothesis.given(
    st.integers(1, 4),
    st.sampled_from([Answer.ERROR, Answer.REJECT, Answer.BREAK]),
    st.booleans(),
    st.integers(0, 2),
)
def test_a_failing_undo_is_retried_and_then_asks_and_is_never_dropped(
    attempts: int, trouble: Answer, inbox: bool, clicks: int
) -> None:
    first = SagaStep("a", "a.do", "a.undo", undo_retry=Retry(max_attempts=attempts))
    saga = SagaDefinition("trip", (first, SagaStep("b", "b.do")))
    stubborn = Participant(inbox, undo=[trouble])
    world = World(saga, {"a": stubborn, "b": Participant(do=[Answer.REJECT])}).start().run_to_rest()
    heals = trouble is Answer.BREAK and inbox and attempts > 1  # the second attempt gets the remembered reply
    for _ in range(clicks):
        if not heals:
            assert world.operator.click(m.Retry("a"))
            world.run_to_rest()
            heals = trouble is Answer.BREAK and inbox
    tries = sum(count for key, count in stubborn.calls.items() if ":undo:" in key)
    if heals:
        assert world.progress.state is SagaState.FAILED
    else:
        assert world.progress.state is SagaState.COMPENSATING
        assert world.progress.attention is Attention.COMPENSATION_FAILED
        assert tries == attempts * (clicks + 1)


@given(worlds(inboxes=INBOX), ANYTHING)
def test_the_operators_verdict_binds_every_later_automatic_step(world: World, schedule: Schedule) -> None:
    world.suffer(schedule).tidy()
    for sequence, verb in world.operator.verdicts:
        assert isinstance(verb, m.Resolve | m.Skip)
        if verb.step not in _retried(world, sequence):
            later = [event for event in world.log[sequence:] if getattr(event, "step", None) == verb.step]
            _binds(verb, later)


def _retried(world: World, sequence: int) -> set[str]:
    """Return the steps whose action was dispatched again later: only an operator can ask for that."""
    return {event.step for event in world.log[sequence:] if isinstance(event, e.StepDispatched)}


def _binds(verb: m.Resolve | m.Skip, later: list[e.Event]) -> None:
    verdict, *automatic = later
    # An effect that becomes known though an operator said that it was undone asks a person, and leaves the verdict.
    asks = e.SagaEvent | e.LateEffectFound | e.LateEffectSettled
    undone = [type(event) for event in automatic if not isinstance(event, asks)]
    match verdict:
        case e.StepSkipped() | e.StepLeftStanding() | e.StepCompensated() | e.LateEffectSettled():
            assert not undone
        case e.StepFailed():
            assert {*undone} <= {e.StepHeld, e.StepSkipped}
        case e.StepCompleted():
            assert isinstance(verb, m.Resolve)
            assert verb.outcome is Verdict.DONE
            assert e.StepFailed not in undone
            assert e.StepWithdrawn not in undone
        case _:
            raise AssertionError(f"{verb} decided {verdict}")


@given(
    worlds(all_held(graphs(patient=True)), inboxes=INBOX, do=[[Answer.REJECT, Answer.OK]]),
    DELIVERIES,
)
def test_a_retry_after_a_rejection_can_succeed_and_has_one_effect(world: World, schedule: Schedule) -> None:
    world.suffer(schedule).run_to_rest()
    while held := [step.name for step in world.progress.steps.values() if step.attention]:
        assert all(world.operator.click(m.Retry(name)) for name in held)
        world.run_to_rest()
    assert world.progress.state is SagaState.COMPLETED
    assert all(len(participant.effects) == 1 for participant in world.participants.values())


@given(worlds(), ANYTHING)
def test_an_action_is_sent_again_as_a_new_command_only_when_an_operator_asks(
    world: World, schedule: Schedule
) -> None:
    def asked(world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]) -> None:
        for event in events:
            if isinstance(event, e.StepDispatched) and before.steps[event.step].generation:
                assert isinstance(message, m.Retry)
                assert before.steps[event.step].status is StepStatus.FAILED

    world.watchers.append(asked)
    world.suffer(schedule).tidy()


# The pivot


@given(worlds(), ANYTHING)
def test_behind_the_pivot_a_saga_only_goes_forward(world: World, schedule: Schedule) -> None:
    def no_way_back(world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]) -> None:
        pivot = world.definition.pivot
        if (
            pivot
            and before.steps[pivot.name].status is StepStatus.COMPLETED
            and before.state is SagaState.PENDING
        ):
            assert world.progress.state in {SagaState.PENDING, SagaState.COMPLETED}

    world.watchers.append(no_way_back)
    world.suffer(schedule).tidy()


@given(worlds(), ANYTHING)
def test_only_what_nobody_has_claimed_and_nobody_has_tried_is_withdrawn(
    world: World, schedule: Schedule
) -> None:
    def unsent(world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]) -> None:
        for event in events:
            if isinstance(event, e.StepWithdrawn):
                key = world.key(before.steps[event.step])
                assert not world.participants[event.step].calls.get(key)
                assert not any(request.key == key for request in world.requests)

    world.watchers.append(unsent)
    world.suffer(schedule).run_to_rest()


@given(worlds(), ANYTHING)
def test_once_the_saga_has_turned_back_only_claimed_actions_are_due(world: World, schedule: Schedule) -> None:
    def only_claimed(world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]) -> None:
        if any(isinstance(event, e.SagaCompensating) for event in events):
            probes = {step.probe for step in world.definition.steps}
            actions = [row for row in world.due.values() if row.command.direction is Direction.DO]
            called = [row for row in actions if row.command.name not in probes and not row.command.waits]
            assert all(row.token for row in called)

    world.watchers.append(only_claimed)
    world.suffer(schedule).run_to_rest()


@given(worlds(), ANYTHING)
def test_no_retry_begins_once_the_saga_has_turned_back(world: World, schedule: Schedule) -> None:
    world.suffer(schedule).tidy()
    turned = [type(event) for event in world.log]
    if e.SagaCompensating in turned:
        behind = {*turned[turned.index(e.SagaCompensating) :]}
        assert not behind & {e.StepDispatched, e.StepRescheduled}


@given(worlds(), ANYTHING)
def test_no_command_is_tried_more_often_than_its_budget(world: World, schedule: Schedule) -> None:
    def within(world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]) -> None:
        for step in world.progress.steps.values():
            assert step.attempt <= step.budget
            pinned = world.definition.step(step.name)
            policy = pinned.retry if step.open is Direction.DO else pinned.undo_retry
            if not isinstance(message, m.Retry) and before.steps[step.name].number == step.number is not None:
                assert step.budget == before.steps[step.name].budget
            begun = (
                step.scheduled and not step.probe
            )  # while it is asked about, the next attempt has not begun
            assert not step.scheduled or step.budget - step.attempt < policy.max_attempts + (not begun)

    world.watchers.append(within)
    world.suffer(schedule).tidy()


@given(worlds(), DELIVERIES)
def test_the_first_budget_is_the_policys(world: World, schedule: Schedule) -> None:
    world.suffer(schedule).run_to_rest()
    for event in world.log:
        pinned = world.definition.step(event.step) if isinstance(event, e.StepEvent) else None
        if pinned and isinstance(event, e.StepDispatched | e.StepRescheduled):
            assert event.budget == pinned.retry.max_attempts
        elif pinned and isinstance(event, e.UndoDispatched | e.UndoRescheduled):
            assert event.budget == pinned.undo_retry.max_attempts


# 8. One message, one version; a gapless sequence; the fold is the progress


@given(worlds(), ANYTHING)
def test_a_transition_raises_the_version_by_one_and_its_events_carry_it(
    world: World, schedule: Schedule
) -> None:
    def one_version(world: World, before: Progress, message: m.Message, events: tuple[e.Event, ...]) -> None:
        assert {event.version for event in events} <= {before.version + 1}
        assert world.progress.version == before.version + bool(events)
        assert world.progress.sequence == before.sequence + len(events)

    world.watchers.append(one_version)
    world.suffer(schedule).tidy()
    assert world.progress.sequence == len(world.log)


@given(worlds(), ANYTHING)
def test_folding_the_events_as_they_are_stored_gives_exactly_the_progress(
    world: World, schedule: Schedule
) -> None:
    world.suffer(schedule).run_to_rest()
    blank = Progress.blank(world.definition)
    assert fold(blank, world.log) == world.progress
    assert fold(blank, events_as_stored(world.log)) == world.progress


@given(worlds(), ANYTHING)
def test_a_commands_number_is_the_sequence_of_the_event_that_dispatched_it(
    world: World, schedule: Schedule
) -> None:
    world.suffer(schedule)
    for number, row in world.due.items():
        event = world.log[number - 1]
        assert isinstance(event, e.StepDispatched | e.UndoDispatched)
        assert event.step == row.command.step
        assert event.generation == row.command.generation
