"""What is wrong with a definition, in sentences: it could not run, or could not be rolled back."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sagas.core.flow import problems as flow_problems
from sagas.core.waits import LONGEST, approval_problems, child_problems, is_span, timer_problems
from sagas.core.words import OWN_KEYS

if TYPE_CHECKING:
    from sagas.core.definition import SagaDefinition, SagaStep


def problems(definition: "SagaDefinition") -> Iterable[str]:
    """Yield everything that is wrong with a definition, a sentence each."""
    if not definition.steps:
        yield "it has no steps; define_steps must return at least one SagaStep."
        return
    if definition.deadline is not None and not is_span(definition.deadline):
        yield f"its deadline must be more than 0 seconds, up to a hundred years, not {definition.deadline!r}."
    twice = sorted(
        name for name, times in Counter(step.name for step in definition.steps).items() if times > 1
    )
    if twice:
        yield f"step names must be unique; used twice: {', '.join(twice)}."
        return
    shape = [
        *(problem for step in definition.steps for problem in step.problems),
        *_unknown_needs(definition),
    ]
    yield from shape
    if shape:
        return
    circle = _circle(definition)
    if circle:
        yield f"its steps need each other in a circle: {' → '.join(circle)}."
        return
    yield from _pivot_problems(definition)
    if definition.flow is not None:
        yield from flow_problems(definition.flow)


def step_problems(step: "SagaStep") -> Iterable[str]:
    """Yield everything that is wrong with a step by itself, a sentence each."""
    if not isinstance(step.name, str) or not step.name or len(step.name) > 100:
        yield f"a step's name must be a text of 1 to 100 characters, not {step.name!r}."
    yield from _called_by_function(step)
    if not (callable(step.action) or _is_name(step.action)):
        yield f"step {step.name} has no action; name the command that it sends."
    if not (step.compensation is None or callable(step.compensation) or _is_name(step.compensation)):
        yield f"step {step.name}: compensation must be a command's name, None or CANNOT_UNDO."
    if not is_span(step.timeout):
        yield f"step {step.name}: timeout must be more than 0 seconds, up to a hundred years, not {step.timeout!r}."
    yield from _malformed_probes(step)
    if step.deadline is not None and not is_span(step.deadline):
        what = "deadline must be more than 0 seconds, up to a hundred years"
        yield f"step {step.name}: {what}, not {step.deadline!r}."
    waits = [
        *(timer_problems(step.timer) if step.timer else ()),
        *(approval_problems(step.approval) if step.approval else ()),
        *(child_problems(step.child) if step.child else ()),
    ]
    yield from (f"step {step.name}: {problem}." for problem in waits)
    for label in ("retry", "undo_retry", "probe_retry"):
        yield from _malformed_retry(f"step {step.name}: {label}", getattr(step, label))


def _is_name(given: object) -> bool:
    return isinstance(given, str) and given != ""


def _called_by_function(step: "SagaStep") -> Iterable[str]:
    """Say so where a function stands for a command: a pinned step can only name one."""
    for label, given in (("action", step.action), ("compensation", step.compensation)):
        if callable(given):
            remedy = "register it with @command and name that"
            yield f"step {step.name}: {label} must be a command's name, not a function; {remedy}."


def _malformed_retry(label: str, retry: Any) -> Iterable[str]:
    try:
        at_all = retry.max_attempts >= 1 and retry.first >= 0
        sound = at_all and retry.factor >= 1 and 0 <= retry.cap <= LONGEST
    except AttributeError:
        yield f"{label} must be a Retry(…), not {retry!r:.80}."
        return
    except TypeError:  # a text cannot be compared with a number
        sound = False
    if not sound:
        yield f"{label} needs max_attempts ≥ 1, first ≥ 0, factor ≥ 1 and cap ≥ 0, up to a hundred years."


def input_problem(step: "SagaStep") -> str | None:
    """Return what is wrong with a step's own input, where a step is made: one that was pinned stops by itself."""
    if step.input is None:
        return None
    if not isinstance(step.input, Mapping):
        return f"step {step.name}: input must be a mapping or None, not {step.input!r:.80}."
    covered = [f"input.{name}" for name in OWN_KEYS if name in step.input]
    if not covered:
        return None
    return (
        f"step {step.name}: {', '.join(covered)}: these names are the command's own; "
        "give what you have under another name, as input={'child': …}."
    )


def _malformed_probes(step: "SagaStep") -> Iterable[str]:
    for label, probe in (("probe", step.probe), ("undo_probe", step.undo_probe)):
        if probe is not None and not _is_name(probe):
            yield f"step {step.name}: {label} must be a command's name or None."
        elif probe is not None and probe in (step.action, step.compensation):
            yield f"step {step.name}: {label} must be a command of its own, not {probe}, which has an effect."
    if step.undo_probe is not None and step.undo is None:
        yield f"step {step.name} has an undo_probe and no undo that it could ask about."


def _unknown_needs(definition: "SagaDefinition") -> Iterable[str]:
    names = {step.name for step in definition.steps}
    for step in definition.steps:
        for need in definition.needs(step.name):
            if need not in names:
                yield f"step {step.name} needs {need}, which is not a step of this saga."


def _circle(definition: "SagaDefinition") -> list[str]:
    """Return one circle as a path that ends where it began, or nothing."""
    left, before = dict.fromkeys(definition.names), -1
    while len(left) != before:
        before = len(left)
        for name in [*left]:  # in their order each comes after what it needs, most often: one round is enough
            if not any(need in left for need in definition.needs(name)):
                del left[name]
    if not left:
        return []
    path: list[str] = []
    here = next(iter(left))
    while here not in path:  # each that is left needs another that is left
        path.append(here)
        here = next(need for need in definition.needs(here) if need in left)
    return [*path[path.index(here) :], here]


def _pivot_problems(definition: "SagaDefinition") -> Iterable[str]:
    pivots = [step.name for step in definition.steps if step.pivot]
    if len(pivots) > 1:
        yield f"it has more than one pivot: {', '.join(pivots)}."
        return
    if not pivots:
        return
    pivot = pivots[0]
    before = definition.ancestors(pivot)
    for step in definition.steps:
        if step.name == pivot:
            continue
        after = pivot in definition.ancestors(step.name)
        if step.name not in before and not after:
            yield f"step {step.name} stands beside the pivot {pivot}; it must come before or after it."
        elif after and not step.retriable:
            yield f"step {step.name} comes after the pivot {pivot} and is not retriable; set retriable=True."
