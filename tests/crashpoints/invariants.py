"""What must be true when all is at rest, whoever died on the way: of the rows, and of the participants' ledger."""

import json
from collections import Counter
from typing import Any

from sagas.models import Due, OperatorAction, Saga
from sagas.orchestrator import loading
from tests.crashpoints.shop import Effect
from tests.folding import folded

TERMINAL = {"completed", "failed"}


def outcome() -> list[dict[str, Any]]:
    """Return how each saga ended, and what of it stands; the same with a crash as without."""
    sagas = list(Saga.objects.order_by("id"))
    text = json.dumps([_outcome(saga) for saga in sagas])
    for n, saga in enumerate(sagas):  # some are told of others, whose ids are not the same twice
        text = text.replace(str(saga.pk), f"saga {n}")
    return list(json.loads(text))


def _outcome(saga: Saga) -> dict[str, Any]:
    written = list(Effect.objects.filter(saga=str(saga.pk)).order_by("what").values_list("what", flat=True))
    return {
        "type": saga.saga_type,
        "ended": [saga.state, saga.attention, saga.paused, _why(saga.error), saga.data],
        "steps": {
            s.name: [s.status, s.attention, s.standing, s.result] for s in saga.steps.order_by("position")
        },
        "effects": [what for what in written if not what.startswith("heard")],
        "heard": sorted({what for what in written if what.startswith("heard")}),
        "actions": list(saga.actions.order_by("id").values_list("verb", "step", "operator_name", "reason")),
        "origin": saga.origin_kind,
    }


def _why(error: str | None) -> str | None:
    """Return why it failed; a worker that was lost is as good a reason not to know the outcome as any."""
    return "unknown" if error and ("was lost in attempt" in error or "ConnectionError" in error) else error


def violations() -> list[str]:
    """Return what is wrong; nothing, one hopes."""
    found = [wrong for saga in Saga.objects.order_by("id") for wrong in _saga(saga)]
    twice = Counter(Effect.objects.exclude(what__startswith="heard").values_list("key", flat=True))
    found += [f"{key} had its effect {times} times" for key, times in twice.items() if times > 1]
    asked = Counter(OperatorAction.objects.values_list("action_id", flat=True))
    found += [
        f"the operator's action {name} is stored {times} times" for name, times in asked.items() if times > 1
    ]
    return found


def _saga(saga: Saga) -> list[str]:
    found = []
    versions = list(saga.events.order_by("sequence").values_list("sequence", "version"))
    if [sequence for sequence, _ in versions] != list(range(1, saga.sequence + 1)):
        found.append(f"its events have gaps: {versions}, and the saga is at {saga.sequence}")
    steps = [now - before for (_, before), (_, now) in zip([(0, 0), *versions], versions, strict=False)]
    if not set(steps) <= {0, 1} or sum(steps) != saga.version:
        found.append(f"its versions do not rise by one: {versions}, and the saga is at {saga.version}")
    (held,) = loading.read([saga.pk]) or (None,)
    if held is None or held.progress != folded(saga):
        found.append("its events do not fold to its rows")
    if saga.state in TERMINAL and Due.objects.filter(saga=saga).exists():
        found.append("it is over, and something of it is due")
    if saga.state == "failed":
        found += [f"{what} was never undone" for what in _left_standing(saga)]
        found += [f"its child {child} still stands" for child in _standing_children(saga)]
    for action in saga.actions.all():
        if action.answer["saga"]["version"] != action.version_after:
            found.append(f"the answer to {action.verb} is not that of its version")
    return [f"{saga.saga_type} {saga.pk}: {each}" for each in found]


def _standing_children(saga: Saga) -> list[str]:
    """Return the children that have not failed, and that no other saga has undone."""
    born = Saga.objects.filter(origin=saga, origin_kind="child").exclude(state="failed")
    undone = Saga.objects.filter(origin_kind="undo", state="completed").values("origin")
    return [str(pk) for pk in born.exclude(pk__in=undone).values_list("pk", flat=True)]


def _left_standing(saga: Saga) -> list[str]:
    """Return the steps whose effects stand, though neither the definition nor a person lets them."""
    named = {step.name for step in saga.steps.all() if not step.standing}
    net: Counter[str] = Counter()
    done = Effect.objects.filter(saga=str(saga.pk)).exclude(what__startswith="heard")
    for what in done.values_list("what", flat=True):
        step, direction, _ = what.split(".")
        net[step] += 1 if direction == "do" else -1
    return [step for step, times in net.items() if times and step in named]
