"""Makes a case that breaks a rule as small as it can be while it breaks that rule."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sagas.core.definition import InvalidDefinition, SagaDefinition

from .case import Case, Mind
from .faults import Fault
from .play import Found, play
from .script import Both, Do, Script

#: Enough for any case that chance draws; a trace need not be the very shortest.
PATIENCE = 5_000


def shrink(found: Found) -> Found:
    """Return the same violation in as little as it takes: fewer happenings, fewer steps, plainer participants."""
    tries = 0
    while True:
        for smaller in _smaller(found.case):
            tries += 1
            again = _breaks(smaller, found.rule)
            if again and again.case != found.case:
                found = again
                break
            if tries > PATIENCE:
                return found
        else:
            return found


def _breaks(case: Case, rule: str) -> Found | None:
    try:
        play(case)
    except Found as found:
        return found if found.rule == rule else None
    return None


def _smaller(case: Case) -> Iterator[Case]:
    """Yield what is a little less than a case, the boldest first."""
    yield from _shorter(case)
    yield from _with_fewer_steps(case)
    yield from _plainer(case)
    for place, (fault, which) in enumerate(case.schedule):
        begins = [] if fault is Fault.START else [(Fault.START, 0)]  # what also began it is more than a start
        for instead in (*((fault, less) for less in range(min(which, 6))), *begins):
            yield case.with_schedule((*case.schedule[:place], instead, *case.schedule[place + 1 :]))


def _shorter(case: Case) -> Iterator[Case]:
    size = len(case.schedule)
    while size:
        for start in range(0, len(case.schedule), size):
            yield case.with_schedule(case.schedule[:start] + case.schedule[start + size :])
        size //= 2


def _with_fewer_steps(case: Case) -> Iterator[Case]:
    if case.definition.flow is not None:
        yield from _with_fewer_reactions(case)
        return
    if case.script is not None:
        yield from (replace(case, script=less) for less in _less(case.script))
        return
    for gone in case.definition.names if len(case.minds) > 1 else ():
        steps = [
            replace(step, needs=_without(case.definition, step.name, gone))
            for step in case.definition.steps
            if step.name != gone
        ]
        try:
            definition = replace(case.definition, steps=tuple(steps))
        except InvalidDefinition:
            continue
        minds = {name: mind for name, mind in case.minds.items() if name != gone}
        yield replace(case, definition=definition, minds=minds)


def _less(script: Script) -> Iterator[Script]:
    """Yield a function that does a little less: a part is gone, or replaced by what is in it, or is plainer."""
    for place, part in enumerate(script):
        before, after = script[:place], script[place + 1 :]
        yield (*before, *after)
        for less in _parts(part):
            yield (*before, *less, *after)


def _parts(part: Any) -> Iterator[Script]:
    match part:
        case Both(branches=branches):
            yield from branches
            for place, branch in enumerate(branches):
                for less in _less(branch):
                    yield (Both((*branches[:place], less, *branches[place + 1 :])),)
        case Do(otherwise=otherwise):
            yield from ((part._replace(otherwise=less),) for less in _less(otherwise or ()))
            plain = (part._replace(**{name: value}) for name, value in Do._field_defaults.items())
            yield from ((plainer,) for plainer in plain if plainer != part)


def _with_fewer_reactions(case: Case) -> Iterator[Case]:
    flow = case.definition.flow
    assert flow is not None
    for gone in flow.parts:
        steps = [
            replace(step, needs=tuple(need for need in step.needs or () if need != gone.step))
            for step in case.definition.steps
            if step.name != gone.step
        ]
        parts = tuple(part for part in flow.parts if part is not gone)
        fewer = replace(flow, parts=parts, turning=tuple(e for e in flow.turning if e != gone.on))
        try:
            definition = SagaDefinition(case.definition.saga_type, tuple(steps), flow=fewer)
        except InvalidDefinition:
            continue
        minds = {name: mind for name, mind in case.minds.items() if name != gone.step}
        yield replace(case, definition=definition, minds=minds)


def _without(definition: SagaDefinition, name: str, gone: str) -> tuple[str, ...]:
    needs = definition.needs(name)
    bridged = definition.needs(gone) if gone in needs else ()
    return tuple(dict.fromkeys([*(need for need in needs if need != gone), *bridged]))


def _plainer(case: Case) -> Iterator[Case]:
    if case.delayed:
        yield replace(case, delayed=False)
    if case.definition.deadline is not None:
        yield replace(case, definition=replace(case.definition, deadline=None))
    for name, mind in case.minds.items():
        for plain in (
            Mind(tells=mind.tells),
            replace(mind, tells=mind.tells[:-1]),
            replace(mind, tells=mind.tells[1:]),
            replace(mind, do=Mind.do),
            replace(mind, undo=Mind.undo),
            replace(mind, probe=Mind.probe),
            replace(mind, inbox=True),
        ):
            if plain != mind:
                yield replace(case, minds={**case.minds, name: plain})
    for place, step in enumerate(case.definition.steps):
        for plainer in (
            replace(step, hold=False),
            replace(step, retriable=False),
            replace(step, pivot=False),
            replace(step, probe=None),
            replace(step, undo_probe=None),
            replace(step, deadline=None) if step.child is None else step,
        ):
            if plainer != step:
                steps = (*case.definition.steps[:place], plainer, *case.definition.steps[place + 1 :])
                try:
                    yield replace(case, definition=replace(case.definition, steps=steps))
                except InvalidDefinition:
                    continue
