"""The failure points of a choreography: what can go wrong with each delivery, on the way on and on the way back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sagas.core.definition import SagaDefinition
from sagas.core.flow import Flow, Part
from sagas.core.words import Direction, Verdict
from sagas.testing.points import Act, Fate, Kind, Moment, Plan, Point, crashes

#: A way that a choreography may go: what is to happen for it to go there, and the deliveries on it.
Way = tuple[Plan, Sequence[str]]


def detours(definition: SagaDefinition, smooth: Sequence[str]) -> Iterator[Plan]:
    """Yield how it can be brought to turn back on its way: a subscriber says no, or an operator calls it off."""
    assert definition.flow is not None
    for step in smooth:
        yield from (Plan().meeting(step, fate) for fate in _noes(definition.flow, step))
        if definition.flow.compensation is not None:
            yield Plan(acts=(_call_off(step),))


def points(
    definition: SagaDefinition, ways: Sequence[Way], commits: Mapping[tuple[str, Direction], int]
) -> Iterator[Point]:
    """Yield every failure point: of what is delivered on the first way, and of what only others come to."""
    assert definition.flow is not None
    (_, smooth), *others = ways
    for part in definition.flow.parts:
        times = commits.get((part.step, Direction.DO), 1)
        if part.step in smooth:
            yield from _forward(definition, part, times)
        elif way := _longest(others, part.step):
            yield from _of(definition, part, times, way, [])


def unreached(definition: SagaDefinition, ways: Iterable[Way]) -> tuple[str, ...]:
    """Return the deliveries that no way comes to."""
    assert definition.flow is not None
    met = {step for _, steps in ways for step in steps}
    return tuple(part.step for part in definition.flow.parts if part.step not in met)


def _longest(ways: Iterable[Way], step: str) -> Plan | None:
    through = [(plan, steps) for plan, steps in ways if step in steps]
    return max(through, key=lambda way: len(way[1]), default=(None, ()))[0]


def _noes(flow: Flow, step: str) -> list[Fate]:
    """Return the noes that a subscriber may say: events that turn the saga back, where it has others to publish."""
    part = flow.part(step)
    if part is None:
        return []
    back = {*flow.turning, *(flow.failed if part.publishes else ())}
    if part.publishes and back.issuperset(part.publishes):
        return []  # that is what it is there for
    turns = [event for event in part.publishes if event in back]
    turns += [event for event in part.may_publish if event in flow.turning]
    return [Fate(Kind.TURNED_BACK, event=event) for event in turns]


def _call_off(step: str) -> Act:
    return Act(Moment(step, completed=True), "compensate")


def _forward(definition: SagaDefinition, part: Part, commits: int) -> Iterator[Point]:
    """Yield the points of a delivery that is made when all is well."""
    flow, name = definition.flow, part.step
    assert flow is not None
    noes = _noes(flow, name)
    if noes:
        events = " or ".join(fate.event for fate in noes)
        plans = tuple((Plan().meeting(name, fate),) for fate in noes)
        text = f"The subscriber says no: it publishes {events}, and does nothing else."
        yield Point(name, Direction.DO, "says no", text, plans)
    back = flow.compensation is not None
    yield from _of(definition, part, commits, Plan(), [_call_off(name)] if back else [])
    if not back:
        return

    def verb(failure: str, says: str, act: Act, *fates: Fate) -> Point:
        plan = Plan(acts=(act,)).meeting(name, *fates)
        return Point(name, Direction.DO, failure, says, ((plan,),), verb=True, expects=_PARKED)

    before = Act(Moment(name), "compensate")
    yield verb("compensate", "An operator calls the saga off just before.", before)
    yield verb("compensate after", "An operator calls the saga off once it is delivered.", _call_off(name))
    parked = Act(Moment(name, parked=True), "compensate")
    text = "The subscriber refuses it; an operator calls the saga off instead of insisting."
    yield verb("compensate parked", text, parked, Fate(Kind.REJECTED))


#: What a parked delivery asks of a person, on the way on and on the way back.
_PARKED = frozenset({"held", "retries_spent", "compensation_failed"})


def _of(
    definition: SagaDefinition, part: Part, commits: int, way: Plan, called_off: list[Act]
) -> Iterator[Point]:
    """Yield the points of any delivery: each played to its end and, if it can be, once called off from there."""
    name, tries = part.step, definition.step(part.step).retry.max_attempts
    lost, gone, second = Fate(Kind.NEVER_ARRIVED), Fate(Kind.REPLY_LOST), Moment(name, attempt=2)

    def point(failure: str, says: str, *fates: Fate, back: bool = True, **more: Any) -> Point:
        plan = way.then(*more.pop("acts", ())).meeting(name, *fates)
        plans = ((plan,), (plan.then(*called_off),)) if back and called_off else ((plan,),)
        return Point(name, Direction.DO, failure, says, plans, **more)

    text = "The subscriber refuses it: it is parked, until an operator retries it."
    yield point("rejected", text, Fate(Kind.REJECTED), expects=_PARKED)
    yield point(
        "unknown, with effect",
        "It is done, and no reply ever comes, however often it is tried: it is parked, until an operator retries it.",
        *(gone, gone, *[lost] * tries)[:tries],
        back=False,
        expects=_PARKED,
    )
    yield point(
        "unknown, without effect",
        "It never reaches the subscriber, and nobody knows: it is parked, until an operator retries it.",
        *[lost] * tries,
        back=False,
        expects=_PARKED,
    )
    text = "The reply comes after the attempt's time is over."
    yield point("late success", text, Fate(Kind.REPLY_LATE), back=False)
    yield from crashes(point, commits)
    yield point("duplicate delivery", "It is delivered twice, and answered twice.", Fate(Kind.TWICE))
    text = "A first attempt is held up on its way, and arrives when everything is over."
    yield point("arrives at the end", text, Fate(Kind.HELD_UP))
    by: dict[str, Any] = {"verb": True, "back": False}
    yield point("skip", "An operator leaves it out.", acts=(Act(Moment(name), "skip"),), **by)
    text = "An operator pauses the saga just before, and resumes it."
    yield point("pause", text, acts=(Act(Moment(name), "pause"),), **by)
    yield point("retry", "An operator retries it in its back-off.", gone, acts=(Act(second, "retry"),), **by)
    done = Act(second, "resolve", Verdict.DONE)
    yield point(
        "resolve done", "Its reply is lost; an operator finds that it is done.", gone, acts=(done,), **by
    )
    none = Act(second, "resolve", Verdict.NONE)
    text = "It never arrives; an operator finds that nothing was done, and leaves it out."
    left_out = Act(Moment(name, parked=True), "skip")
    yield point("resolve none", text, lost, acts=(none, left_out), expects=_PARKED, **by)
