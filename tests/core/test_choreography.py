"""Choreographies by chance: whatever is lost, late, repeated or pressed, the rules that bind them hold."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import changed, due_command
from sagas.core.decide import Refused, decide
from sagas.core.definition import InvalidDefinition, Retry, SagaDefinition
from sagas.core.flow import END, Flow
from sagas.core.machine import LATE_EFFECTS, STEP_TRANSITIONS, TRANSITIONS, fold
from sagas.core.progress import Progress, StepProgress
from sagas.core.reactions import Reaction, compose
from sagas.core.words import FORWARD, TERMINAL, Attention, SagaState, StepStatus, Verdict

from .story import NOON

SAGAS = 1_500
TWICE = Retry(max_attempts=2, first=0.0)
VERBS = (m.Retry, m.Skip, m.Resolve, m.Compensate, m.Pause, m.Resume, m.Edit)


def order(**values: Any) -> SagaDefinition:
    """Return the choreography of an order, as the demo has it, with fewer names."""
    reactions = [
        Reaction("created", on="Created", by="orders", publishes="Reserve"),
        Reaction("reserve", on="Reserve", by="stock", publishes=("Reserved", "SoldOut")),
        Reaction("reserved", on="Reserved", by="orders", may_publish=("Pay", "Release")),
        Reaction("pay", on="Pay", by="bank", publishes=("Paid", "Declined")),
        Reaction("paid", on="Paid", by="orders", may_publish=("Done", "Refund", "Release")),
        Reaction("sold_out", on="SoldOut", by="orders", publishes="Off"),
        Reaction("declined", on="Declined", by="orders", publishes="Release"),
        Reaction("called_off", on="CalledOff", by="orders", may_publish=("Release", "Refund", "Off")),
        Reaction("release", on="Release", by="stock", publishes="Released", compensates="reserve"),
        Reaction("refund", on="Refund", by="bank", publishes="Refunded", compensates="pay"),
        Reaction("released", on="Released", by="orders", may_publish="Off"),
        Reaction("refunded", on="Refunded", by="orders", may_publish="Off"),
    ]
    quick = [Reaction(**{**vars(r), "retry": TWICE}) for r in reactions]
    flow = Flow(
        first="Created",
        parts=tuple(r.part for r in quick),
        completed=("Done",),
        failed=("Off",),
        turning=("SoldOut", "Declined"),
        compensation="CalledOff",
    )
    return compose("Order", flow, quick)


ORDER = order()
assert ORDER.flow is not None
FLOW = ORDER.flow


@dataclass
class World:
    """A saga, and subscribers who do what chance says."""

    chance: random.Random
    progress: Progress = field(default_factory=lambda: Progress.blank(ORDER))
    log: list[e.Event] = field(default_factory=list)
    now: datetime = NOON
    waiting: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Published, and not yet taken in."""
    taken: dict[str, list[int]] = field(default_factory=dict)
    """Subscriber -> the numbers of the events that it was called with, repetitions left out."""
    settled: bool = False
    """An operator said how it ends."""
    used: Counter[tuple[Any, Any]] = field(default_factory=Counter)

    def tell(self, message: m.Message) -> bool:
        before = self.progress
        try:
            events = decide(ORDER, before, message, m.Now(self.now, self.chance.random(), frozenset()))
        except Refused:
            return False
        for event in events:
            self.count(event)
            self.progress = fold(self.progress, [event])
        self.log += events
        self.check(before, events)
        return bool(events)

    def count(self, event: e.Event) -> None:
        self.used[self.progress.state, type(event)] += 1
        if isinstance(event, e.StepEvent):
            self.used[self.progress.steps[event.step].status, type(event)] += 1

    def check(self, before: Progress, events: tuple[e.Event, ...]) -> None:
        after = self.progress
        assert fold(Progress.blank(ORDER), self.log) == after  # rule 8
        assert after.version == before.version + bool(events)
        late = all(type(event) in LATE_EFFECTS for event in events)
        assert before.state not in TERMINAL or (late and after.state is before.state)  # rule 1
        if after.state in TERMINAL:
            assert not self.due()
            assert after.attention in {None, Attention.LATE_EFFECT}
            assert before.state in TERMINAL or after.attention is None
        elif not after.attention and not after.paused:
            assert self.due()  # rule 6
        assert not {n for n, _ in changed(ORDER, before, after)} - {s.number for s in before.steps.values()}

    def due(self) -> list[str]:
        return [s.name for s in self.progress.steps.values() if due_command(ORDER, s)]

    def deliver(self, name: str) -> None:
        """Call a subscriber; it answers, or not, and publishes, or not."""
        step = self.progress.steps[name]
        number = step.number or 0
        if step.expecting:
            self.keep(step, number)
            return
        part = FLOW.part(name)
        assert part is not None
        assert step.event is not None
        numbers = self.taken.setdefault(part.by, [])
        if step.event["number"] not in numbers:
            numbers.append(step.event["number"])
        assert sum(self.running(p.step) for p in FLOW.parts if p.by == part.by) == 1  # one by one
        if self.chance.random() < 0.9 and not step.attempt > 3:
            self.publish(part.step, (*part.publishes, *part.may_publish))
        told = {
            m.Completed: {"x": 1},
            m.Later: 60.0,
            m.Rejected: "no",
            m.Unknown: "lost",
            m.Unserved: "nobody",
        }
        answer = self.chance.choices([*told], [10, 2, 1, 3, 1])[0]
        self.take_in()
        for _ in range(self.chance.choice([1, 1, 1, 2])):
            self.tell(answer(number, told[answer]))

    def keep(self, step: StepProgress, number: int) -> None:
        """Answer what was promised, as it went; or let the time pass in which something is expected."""
        if step.promised and self.chance.random() < 0.7:
            done = self.chance.random() < 0.5
            self.tell(m.Completed(number, {"x": 2}) if done else m.Rejected(number, "no, after all"))
            return
        self.now += timedelta(hours=2)
        self.tell(m.TimeUp(number))

    def running(self, name: str) -> bool:
        step = self.progress.steps[name]
        return step.scheduled and not step.expecting

    def publish(self, name: str, events: tuple[str, ...]) -> None:
        some = self.chance.sample(events, self.chance.randint(1, len(events))) if events else []
        self.waiting += [(event, {"by": name}) for event in some if self.chance.random() < 0.95]

    def take_in(self) -> None:
        if self.chance.random() < 0.9:
            for event, data in self.waiting:
                self.tell(m.Published(event, data))
            self.waiting = [w for w in self.waiting if self.chance.random() < 0.1]  # repeated

    def press(self) -> None:
        verb = self.chance.choice(VERBS)
        name = self.chance.choice([*self.progress.steps])
        asking = [s.name for s in self.progress.steps.values() if s.attention]
        name = self.chance.choice(asking) if asking and self.chance.random() < 0.7 else name
        if verb is m.Resolve:
            self.settle(
                name, self.chance.choice([*Verdict]), self.chance.choice([*FLOW.endings, "Release", "Paid"])
            )
        elif verb in (m.Retry, m.Skip):
            self.tell(verb(name))
        else:
            self.tell(verb())

    def settle(self, name: str, verdict: Verdict, event: str) -> None:
        done = self.tell(m.Resolve(name, verdict, {"event": event}, "because"))
        self.settled = self.settled or (done and name == END)

    def suffer(self) -> None:
        due = self.due()
        what = self.chance.random()
        if due and what < 0.75 and not self.progress.paused:
            self.deliver(self.chance.choice(due))
        elif what < 0.85:
            self.take_in()
        elif what < 0.87:
            self.tell(m.Completed(self.chance.randint(1, 40), "late"))
        elif what < 0.88:
            self.tell(m.Published("Unheard", {}))
        else:
            self.press()

    def rest(self) -> None:
        """Let everybody do as they should, and operators settle what is left."""
        self.tell(m.Resume())
        for _ in range(200):
            if self.progress.state in TERMINAL:
                return
            asking = [s for s in self.progress.steps.values() if s.attention]
            for step in asking:
                ending = FLOW.failed if self.progress.state not in FORWARD else FLOW.completed
                self.settle(step.name, Verdict.DONE, ending[0])
            for name in self.due():
                step = self.progress.steps[name]
                self.tell((m.TimeUp if step.expecting else m.Completed)(step.number or 0))


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    """Many sagas, each with a chance of its own."""
    played = []
    for seed in range(SAGAS):
        world = World(random.Random(seed))
        world.tell(m.Start({"order": seed}))
        for _ in range(world.chance.randint(5, 60)):
            world.suffer()
        world.rest()
        played.append(world)
    return played


def test_every_choreography_ends(worlds: list[World]) -> None:
    assert {world.progress.state for world in worlds} == TERMINAL


def test_a_subscriber_hears_of_a_sagas_events_in_their_order(worlds: list[World]) -> None:
    for world in worlds:
        for numbers in world.taken.values():
            assert numbers == sorted(numbers)


def test_every_transition_of_choreographies_is_used(worlds: list[World]) -> None:
    used = sum((world.used for world in worlds), Counter())
    ours = {e.EventPublished, e.DeliveryDispatched, e.DeliveryRescheduled, e.EventAwaited, e.DeliveryDropped}
    both = [*TRANSITIONS, *STEP_TRANSITIONS]
    assert not [key for key in both if key[1] in ours and not used[key]]


def test_completed_means_that_everything_is_delivered_or_left_out_by_name(worlds: list[World]) -> None:
    kept = {StepStatus.COMPLETED, StepStatus.SKIPPED}
    for world in worlds:
        if world.progress.state is SagaState.COMPLETED and not world.settled:
            assert {s.status for s in world.progress.steps.values() if s.event} <= kept


def test_failed_means_that_what_can_be_undone_is_undone_or_settled(worlds: list[World]) -> None:
    undone = {StepStatus.COMPLETED, StepStatus.SKIPPED}
    for world in worlds:
        progress = world.progress
        told = {event.event for event in world.log if isinstance(event, e.EventPublished)}
        for effect, did, undo in (("Reserved", "reserve", "release"), ("Paid", "pay", "refund")):
            stands = effect in told and progress.steps[did].status is StepStatus.COMPLETED
            if progress.state is SagaState.FAILED and stands and not world.settled:
                assert progress.steps[undo].status in undone


def test_a_repeated_event_decides_nothing() -> None:
    world = World(random.Random(1))
    world.tell(m.Start({}))
    assert world.tell(m.Published("Reserved", {"id": 1}))
    assert not world.tell(m.Published("Reserved", {"id": 2}))


def promised(event: str) -> World:
    """A subscriber who has taken this event on, and answers later."""
    world = World(random.Random(1))
    world.tell(m.Start({}))
    for name in ("Reserve", event):
        world.tell(m.Published(name, {}))
    world.tell(m.Completed(world.progress.steps["created"].number or 0))
    assert world.tell(m.Later(world.progress.steps["reserve"].number or 0, 60.0))
    return world


@pytest.mark.parametrize(("event", "code"), [("Pay", "held"), ("CalledOff", "compensation_failed")])
def test_a_no_to_what_was_promised_counts_at_once(event: str, code: str) -> None:
    world = promised(event)
    assert world.tell(m.Rejected(world.progress.steps["reserve"].number or 0, "sold out"))
    step = world.progress.steps["reserve"]
    assert (step.status, step.attention, step.error) == (StepStatus.FAILED, Attention(code), "sold out")
    assert world.tell(m.Retry("reserve"))
    assert world.progress.steps["reserve"].generation == 2


def test_a_yes_to_what_was_promised_is_recorded_and_moves_no_limit() -> None:
    world = promised("Pay")
    before = world.progress.steps["reserve"]
    world.now += timedelta(seconds=30)
    assert world.tell(m.Completed(before.number or 0, {"id": 7}))
    after = world.progress.steps["reserve"]
    assert (after.result, after.due_at, after.promised) == ({"id": 7}, before.due_at, False)
    assert not world.tell(m.Rejected(before.number or 0, "no"))  # it has answered


def test_what_was_promised_can_be_parked_beside_what_came_after_it() -> None:
    world = World(random.Random(1))
    world.tell(m.Start({}))
    world.tell(m.Published("Reserve", {}))
    world.tell(m.Completed(world.progress.steps["created"].number or 0))
    first = world.progress.steps["reserve"].number or 0
    world.tell(m.Later(first, 60.0))
    world.tell(m.Published("Release", {}))
    second = world.progress.steps["release"].number or 0
    world.tell(m.Rejected(first, "no"))
    world.tell(m.Rejected(second, "no"))
    assert {"reserve", "release"} == {s.name for s in world.progress.steps.values() if s.attention}
    assert not world.tell(m.Retry("release"))  # that comes second
    assert world.tell(m.Retry("reserve"))


def number(world: World, name: str) -> int:
    return world.progress.steps[name].number or 0


def test_an_undo_that_finds_nothing_leads_on_with_what_it_was_told() -> None:
    """Its inbox calls nobody then, so nobody publishes what others wait for."""
    world = World(random.Random(1))
    world.tell(m.Start({}))
    for event in ("CalledOff", "Release"):
        world.tell(m.Published(event, {"reason": event}))
    assert world.tell(
        m.Completed(number(world, "release"), {"undone": False, "reason": "there was no effect"})
    )
    told = world.progress.steps["released"].event
    assert told is not None
    assert (told["name"], told["data"]) == ("Released", {"reason": "Release"})
    assert world.progress.steps["release"].status is StepStatus.COMPLETED
    assert not world.tell(m.Published("Released", {}))


def undone(*, inbox: bool = True, undo_inbox: bool = True, later: bool = False) -> World:
    """A saga that was called off, whose promised reservation is undone before the promise is kept."""
    world = World(random.Random(1))
    world.tell(m.Start({}))
    world.tell(m.Published("Reserve", {}))
    world.tell(m.Completed(number(world, "created")))
    world.tell(m.Later(number(world, "reserve"), 60.0, inbox))
    world.tell(m.Published("CalledOff", {}))
    world.tell(m.Published("Release", {}))
    if later:
        world.tell(m.Later(number(world, "release"), 60.0))
    world.tell(m.Completed(number(world, "release"), None, undo_inbox))
    return world


@pytest.mark.parametrize("later", [False, True], ids=["at once", "as the undo had promised"])
def test_nobody_is_asked_about_a_promise_that_its_undo_has_met(later: bool) -> None:
    world = undone(later=later)
    step = world.progress.steps["reserve"]
    assert (step.status, step.attention, step.open) == (StepStatus.COMPENSATED, None, None)
    assert "reserve" not in world.due()
    assert not world.tell(m.Completed(step.action_number or 0))  # the undo has met that, too
    for event in ("Released", "Off"):
        world.tell(m.Published(event, {}))
        for name in world.due():
            world.tell(m.Completed(number(world, name)))
    assert world.progress.state is SagaState.FAILED


@pytest.mark.parametrize("inbox", ["the undo's", "the promise's"])
def test_a_promise_is_awaited_where_nothing_keeps_it_from_being_kept_after_its_undo(inbox: str) -> None:
    world = undone(inbox=inbox != "the promise's", undo_inbox=inbox != "the undo's")
    assert world.progress.steps["reserve"].promised
    world.tell(m.TimeUp(number(world, "reserve")))
    assert world.progress.steps["reserve"].attention is Attention.EXPECTATION_MISSED


def test_nobody_is_asked_about_a_no_that_comes_after_the_undo() -> None:
    """There is nothing to insist on: another try would have its effect behind its undo."""
    world = undone(inbox=False)
    world.tell(m.Rejected(number(world, "reserve"), "cancelled"))
    step = world.progress.steps["reserve"]
    assert (step.status, step.attention, step.error) == (StepStatus.FAILED, None, "cancelled")


@pytest.mark.parametrize("parked", ["refused", "overdue"])
def test_a_promise_that_asks_is_over_once_it_is_undone(parked: str) -> None:
    world = World(random.Random(1))
    world.tell(m.Start({}))
    for event in ("Reserve", "CalledOff", "Release"):
        world.tell(m.Published(event, {}))
    world.tell(m.Completed(number(world, "created")))
    first = number(world, "reserve")
    world.tell(m.Later(first, 60.0))
    world.tell(m.TimeUp(first) if parked == "overdue" else m.Rejected(first, "no"))
    assert world.progress.steps["reserve"].attention
    world.tell(m.Completed(number(world, "release")))
    step = world.progress.steps["reserve"]
    assert (step.status, step.attention) == (StepStatus.COMPENSATED, None)


#: Somebody else undoes what the maker makes, so that he need not have taken it before.
MADE = [
    Reaction("make", on="Begun", by="maker", publishes="Done", retry=TWICE),
    Reaction("unmake", on="Back", by="breaker", publishes="Off", compensates="make"),
]
MAKING = compose(
    "Making",
    Flow(
        first="Begun",
        parts=tuple(each.part for each in MADE),
        completed=("Done",),
        failed=("Off",),
        turning=("Back",),
    ),
    MADE,
)


def making(*told: Any) -> Progress:
    """Return where it stands when it was told all this; a kind and a step are a reply to what that step has open."""
    progress = Progress.blank(MAKING)
    for each in told:
        kind, step, *more = each if isinstance(each, tuple) else (each, None)
        message = kind(progress.steps[step].number or 0, *more) if step else kind
        progress = fold(progress, decide(MAKING, progress, message, m.Now(NOON, 0.5, frozenset())))
    return progress


@pytest.mark.parametrize("inbox", [True, False])
def test_a_delivery_of_unknown_outcome_is_over_once_it_is_undone_if_that_is_certain(inbox: bool) -> None:
    lost = [(m.Unknown, "make", "lost", inbox)] * 2
    assert making(m.Start({}), *lost).attention is Attention.RETRIES_SPENT
    ended = making(
        m.Start({}), *lost, m.Published("Back", {}), (m.Completed, "unmake"), m.Published("Off", {})
    )
    ends = (SagaState.FAILED, None) if inbox else (SagaState.COMPENSATING, Attention.RETRIES_SPENT)
    assert (ended.state, ended.attention) == ends


def test_an_undo_is_not_that_of_a_delivery_that_began_after_it() -> None:
    """It was called with the key of the one before, which had been refused."""
    progress = making(
        m.Start({}),
        (m.Rejected, "make", "no"),
        m.Published("Back", {}),
        m.Retry("make"),
        (m.Later, "make", 60.0),
        (m.Completed, "unmake"),
    )
    assert progress.steps["make"].promised


def given_up() -> World:
    """A saga whose reservation an operator has called without effect, though it is under way."""
    world = World(random.Random(1))
    world.tell(m.Start({}))
    world.tell(m.Published("Reserve", {}))
    world.tell(m.Completed(world.progress.steps["created"].number or 0))
    for _ in range(2):
        world.tell(m.Unknown(world.progress.steps["reserve"].number or 0, "lost"))
    assert world.tell(m.Resolve("reserve", Verdict.NONE))
    return world


def test_a_delivery_that_had_no_effect_may_be_tried_again_or_left_out() -> None:
    for verb, status in ((m.Retry("reserve"), StepStatus.EXECUTING), (m.Skip("reserve"), StepStatus.SKIPPED)):
        world = given_up()
        assert world.progress.steps["reserve"].attention is Attention.HELD, "nobody gives it up in silence"
        assert world.tell(verb)
        assert world.progress.steps["reserve"].status is status


def test_an_undo_that_had_no_effect_is_not_given_up_in_silence() -> None:
    world = given_up()
    world.tell(m.Retry("reserve"))
    world.tell(m.Completed(world.progress.steps["reserve"].number or 0))
    world.tell(m.Published("CalledOff", {}))
    world.tell(m.Published("Release", {}))
    for _ in range(2):
        world.tell(m.Unknown(world.progress.steps["release"].number or 0, "lost"))
    assert world.tell(m.Resolve("release", Verdict.NONE))
    assert world.progress.steps["release"].attention is Attention.COMPENSATION_FAILED
    world.tell(m.Published("Off", {}))
    assert world.progress.state is SagaState.COMPENSATING


def test_a_question_about_the_latest_delivery_outlives_that_about_an_earlier_one() -> None:
    world = given_up()
    first = world.progress.steps["reserve"].action_number or 0
    world.tell(m.Retry("reserve"))
    world.tell(m.Completed(first))
    world.tell(m.Rejected(world.progress.steps["reserve"].number or 0, "no"))
    assert world.progress.steps["reserve"].attention is Attention.LATE_EFFECT
    world.tell(m.Resolve("reserve", Verdict.DONE))
    assert world.progress.steps["reserve"].attention is Attention.HELD


def test_an_effect_that_comes_after_its_delivery_was_given_up_asks_until_it_is_settled() -> None:
    world = given_up()
    number = world.progress.steps["reserve"].action_number or 0
    assert world.tell(m.Completed(number, {"id": 7}))
    step = world.progress.steps["reserve"]
    assert (step.status, step.attention) == (StepStatus.FAILED, Attention.LATE_EFFECT)
    assert not world.tell(m.Completed(number, {"id": 7}))  # it is known
    for refused in (m.Retry("reserve"), m.Skip("reserve"), m.Resolve("reserve", Verdict.NONE)):
        assert not world.tell(refused)
    world.tell(m.Published("SoldOut", {}))
    world.tell(m.Completed(world.progress.steps["sold_out"].number or 0))
    world.tell(m.Published("Off", {}))
    assert world.progress.state is SagaState.COMPENSATING  # it does not end over it
    assert world.tell(m.Resolve("reserve", Verdict.WAIVED))
    assert (world.progress.state, world.progress.attention) == (SagaState.FAILED, None)


def test_an_effect_that_comes_behind_the_end_asks_and_changes_nothing_else() -> None:
    world = given_up()
    assert world.tell(m.Skip("reserve"))
    for event in ("SoldOut", "Off"):
        world.tell(m.Published(event, {}))
    world.tell(m.Completed(world.progress.steps["sold_out"].number or 0))
    assert world.progress.state is SagaState.FAILED
    assert world.tell(m.Completed(world.progress.steps["reserve"].action_number or 0))
    assert (world.progress.state, world.progress.attention) == (SagaState.FAILED, Attention.LATE_EFFECT)
    assert world.tell(m.Resolve("reserve", Verdict.DONE))
    assert world.progress.attention is None


def test_an_effect_whose_undo_may_have_come_before_it_asks() -> None:
    world = given_up()
    assert world.tell(m.Skip("reserve"))
    world.tell(m.Published("CalledOff", {}))
    world.tell(m.Published("Release", {}))
    assert world.progress.steps["release"].status is StepStatus.EXECUTING
    assert world.tell(m.Completed(world.progress.steps["reserve"].action_number or 0))
    assert world.progress.steps["reserve"].attention is Attention.LATE_EFFECT


def test_an_effect_that_nothing_undoes_asks_nobody() -> None:
    world = World(random.Random(1))
    world.tell(m.Start({}))
    number = world.progress.steps["created"].number or 0
    world.tell(m.Unknown(number, "lost"))
    assert world.tell(m.Resolve("created", Verdict.NONE))
    assert not world.tell(m.Completed(number))


def test_who_told_nothing_may_have_done_something_and_is_to_be_undone() -> None:
    world = World(random.Random(1))
    world.tell(m.Start({}))
    for event in ("Reserve", "CalledOff"):
        world.tell(m.Published(event, {}))
    world.tell(m.Completed(world.progress.steps["created"].number or 0))
    world.tell(m.Completed(world.progress.steps["reserve"].number or 0))
    world.tell(m.TimeUp(world.progress.steps["reserve"].number or 0))
    world.tell(m.Resolve("reserve", Verdict.DONE))  # and nobody says what it should have told
    world.tell(m.Published("Off", {}))
    world.tell(m.Completed(world.progress.steps["called_off"].number or 0))
    end = world.progress.steps[END]
    assert world.progress.state is SagaState.COMPENSATING
    assert end.error == "Off was published, but nothing has undone reserve"


def test_what_was_published_before_a_step_heard_of_anything_does_not_say_that_it_did_nothing() -> None:
    world = World(random.Random(1))
    world.tell(m.Start({}))
    for event in ("SoldOut", "Reserve"):
        world.tell(m.Published(event, {}))
    for name in ("created", "sold_out", "reserve"):
        world.tell(m.Completed(world.progress.steps[name].number or 0))
    world.tell(m.Published("Off", {}))
    assert world.progress.steps[END].error == "Off was published, but nothing has undone reserve"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"first": "Nothing"}, "nobody reacts to Nothing, its first event"),
        ({"failed": ("Done",)}, "an event cannot end it both ways: Done"),
        ({"first": "Created", "completed": ("Created",)}, "cannot be its first event and end it"),
        ({"turning": ("Never",)}, "nobody reacts to Never, which turns it back"),
        ({"completed": ("Finished",)}, "paid publishes Done, which ends nothing"),
        ({"within": 0.0}, "within must be more than 0 seconds"),
    ],
)
def test_a_flow_that_could_not_run_is_refused(change: dict[str, Any], problem: str) -> None:
    flow = Flow(**{**{f: getattr(FLOW, f) for f in Flow.__dataclass_fields__}, **change})
    with pytest.raises(InvalidDefinition, match=problem):
        SagaDefinition("Order", ORDER.steps, flow=flow)


@pytest.mark.parametrize(
    ("reaction", "problem"),
    [
        (Reaction("end", on="Created"), "a reaction cannot be called end"),
        (Reaction("b", on="Created", publishes="Nowhere"), "b publishes Nowhere, which ends nothing"),
        (Reaction("b", on="Created", within=0), "reaction b: within must be more than 0"),
        (Reaction("b", on="Created", compensates="c"), "b compensates c, which is not a reaction"),
        (Reaction("b", on="", by="x"), "reaction b needs the event"),
        (Reaction("b", on="Created", by="a"), "an event is delivered to one subscriber twice"),
    ],
)
def test_a_reaction_that_could_not_be_is_refused(reaction: Reaction, problem: str) -> None:
    first = Reaction("a", on="Created", publishes="Done")
    flow = Flow(first="Created", parts=(first.part, reaction.part), completed=("Done",))
    with pytest.raises(InvalidDefinition, match=problem):
        compose("Order", flow, [first, reaction])


def test_a_definition_is_read_back_as_it_was_pinned() -> None:
    again = SagaDefinition.from_document(ORDER.document())
    assert again == ORDER
    assert again.digest == ORDER.digest
