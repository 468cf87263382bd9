"""What came of a saga that was acted on in a batch: it went well, it went wrong, or that is not known yet."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sagas.core.plain import printable
from sagas.core.words import TERMINAL, Attention, SagaState, StepStatus, Waiting
from sagas.models import BatchItem, Saga, Step

#: What a step is once its retry has gone well.
SETTLED = frozenset({StepStatus.COMPLETED, StepStatus.COMPENSATED, StepStatus.SKIPPED})
#: Waits that no participant has to end: all is well, however long they last. A reply, or a child, may yet be bad news.
QUIET = frozenset({Waiting.APPROVAL, Waiting.TIMER})
#: Characters of an error that are kept with what became of a saga: the saga itself has all of it.
LONGEST_ERROR = 300

_READ = ("saga_id", "name", "status", "open", "waiting", "attention", "error")

Verdict = tuple[str, str]
"""A state of an item, and why."""


def judge(verb: str, items: Sequence[BatchItem]) -> None:
    """Put down what came of those of which it is known. Two queries, and one that writes."""
    subjects = Saga.objects.defer("data").in_bulk([item.created_id or item.saga_id for item in items])
    steps = _steps(subjects)
    known = []
    for item in items:
        subject = item.created_id or item.saga_id
        verdict = _verdict(verb, item, subjects.get(subject), steps.get(subject, []))
        if verdict is not None:
            item.state, item.text = verdict[0], item.text or verdict[1]
            known.append(item)
    BatchItem.objects.bulk_update(known, ["state", "text"], batch_size=200)


def _steps(sagas: Iterable[UUID]) -> dict[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = {}
    for step in Step.objects.filter(saga_id__in=list(sagas)).only(*_READ):
        found.setdefault(step.saga_id, []).append(step)
    return found


def _verdict(verb: str, item: BatchItem, saga: Saga | None, steps: Sequence[Any]) -> Verdict | None:
    """Return what came of it; None if that is not known yet."""
    if saga is None:
        return BatchItem.WELL, ""  # only what is over is pruned
    mine = [step for step in steps if step.name in item.steps]
    asking = [step for step in mine or steps if _asks_anew(step, {} if mine else item.asking)]
    if asking:
        return BatchItem.FAILED, _told(asking[0])
    if verb != "compensate" and item.forward and saga.state in {SagaState.COMPENSATING, SagaState.FAILED}:
        return BatchItem.FAILED, f"It rolled back: {saga.error or 'nobody said why'}"[:LONGEST_ERROR]
    if saga.state in TERMINAL or (mine and all(_has_gone_well(step) for step in mine)):
        return BatchItem.WELL, ""
    if verb == "restart" and _rests(steps):
        return BatchItem.WELL, ""
    return None


def _asks_anew(step: Any, before: Mapping[str, str]) -> bool:
    """Whether a step asks for a person, and not only for what it asked for before."""
    return step.attention is not None and before.get(step.name) != step.attention


def _has_gone_well(step: Any) -> bool:
    """Whether a step that was retried is done, or rests: a function's own does while its code waits for others."""
    resting = step.status == StepStatus.EXECUTING and step.open is None
    return step.status in SETTLED or step.waiting in QUIET or resting


def _rests(steps: Sequence[Any]) -> bool:
    """Whether all that is open in a saga waits for a person's answer or for a moment."""
    under_way = [step for step in steps if step.open is not None]
    return bool(under_way) and all(step.waiting in QUIET for step in under_way)


def _told(step: Any) -> str:
    """Say for what a step asks."""
    error = f": {step.error}" if step.error else ""
    text = f"{step.name}: {Attention(step.attention).value.replace('_', ' ')}{error}"
    return printable(text, LONGEST_ERROR)
