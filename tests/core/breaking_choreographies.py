"""Ways to break choreographies: each a line of the core, and what stands there instead."""

from collections.abc import Mapping

from sagas.core import changes, choreography

from .bug import Bug

BUGS: Mapping[str, Bug] = {
    "a repeated event is told again": Bug(
        choreography, "_known", "return any(event in", "return False and any(event in"
    ),
    "a subscriber gets two events at a time": Bug(
        choreography,
        "_busy",
        "return any(_untaken(s) and (s.scheduled or _number(s) < mine) for s in others)",
        "return False",
    ),
    "a subscriber gets the latest event first": Bug(
        choreography, "_in_order", "key=_number", "key=lambda s: -_number(s)"
    ),
    "who waits behind a parked event is forgotten": Bug(
        choreography,
        "take",
        "_answer(draft, flow, step, message)\n                _go_on(draft, flow)",
        "_answer(draft, flow, step, message)",
    ),
    "poison is not parked": Bug(
        choreography, "_answer", "_park(draft, step, Attention.HELD, reason)", "pass"
    ),
    "a delivery that fails is given up": Bug(
        choreography,
        "_answer",
        "case m.Unknown(error=error) if step.attempt < step.budget:",
        "case m.Unknown(error=error) if step.attempt < step.budget - 1:",
    ),
    "what is expected is expected though it was told before": Bug(
        choreography, "_delivered", "any(_known(draft, flow, event) for event in part.publishes)", "False"
    ),
    "an event does not end what was waited for": Bug(
        choreography, "_publish", "step.expecting and event in part.publishes", "False"
    ),
    "an event does not turn it back": Bug(choreography, "_publish", "event in flow.turns", "False"),
    "it ends while something is on its way": Bug(
        choreography,
        "_go_on",
        "not any(_open(step) for step in draft.progress.steps.values())",
        "(not flow.endings or draft.step(END).event)",
    ),
    "it completes though it had turned back": Bug(
        choreography, "_unkept", "if draft.progress.state is SagaState.COMPENSATING:", "if False:"
    ),
    "it fails though something stands": Bug(
        choreography, "_unkept", "if _still_stands(draft, flow, name)", "if False"
    ),
    "what leads nowhere asks nobody": Bug(
        choreography,
        "_end",
        "if end.event is None:\n        _miss",
        "if end.event is None:\n        0 and _miss",
    ),
    "what was promised is believed": Bug(
        choreography,
        "_answers",
        "step.promised and isinstance(reply, m.Completed | m.Rejected)",
        "False",
    ),
    "a late effect is ignored": Bug(choreography, "_late", "undos and not to_come and not met", "False"),
    "what may be there is skipped": Bug(
        choreography, "_skip", "if step.unresolved or step.expecting:", "if False:"
    ),
    "it is rolled back though it has ended": Bug(
        choreography, "_compensate", "if ending is not None:", "if False:"
    ),
    "an undo that finds nothing leads nowhere": Bug(
        choreography, "_delivered", "_found_nothing(part, result)", "False"
    ),
    "a promise is awaited though it is undone": Bug(
        choreography, "_settle_undone", "(moot or refused)", "refused"
    ),
    "a no behind the undo is parked": Bug(
        choreography, "_answer", "if not _is_undone(draft, flow, step.name):", "if True:"
    ),
    # What was found by simulating them, and is mended
    "a new name is no remedy on the way back": Bug(
        choreography,
        "take",
        "lambda step: _retry(draft, flow, m.Retry(step))",
        "lambda step: verbs._retry(draft, m.Retry(step))",
    ),
    "one attempt's no speaks for another delivery": Bug(
        choreography, "_answer", "step.unresolved and not reply.inbox", "False"
    ),
    "what is taken on for later is waited for in vain": Bug(
        choreography,
        "_answer",
        "case m.Later():  # it has taken the event on; what it leads to is expected, if anything is\n            "
        "_delivered(draft, flow, part, step, reply)",
        "case m.Later(within=within):\n            "
        "draft.add(e.EventAwaited, step=step.name, due_at=draft.now.at + timedelta(seconds=within or 0))",
    ),
    "an end that is told already is settled by nothing": Bug(
        choreography, "_resolve_end", "elif published is not None:", "elif False:"
    ),
    "a second end is not told": Bug(
        choreography,
        "_publish",
        "if event in flow.endings else []",
        "if event in flow.endings and draft.step(END).event is None else []",
    ),
    "what turns it back drops what is parked": Bug(
        changes,
        "of_saga",
        "s.attention is Attention.HELD and s.event is None",
        "s.attention is Attention.HELD",
    ),
    "an event that nobody hears is waited for": Bug(
        choreography, "_publish", "if heard and flow.endings", "if flow.endings"
    ),
}
