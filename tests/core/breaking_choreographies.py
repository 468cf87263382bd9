"""Ways to break choreographies: each a line of the core, and what stands there instead."""

from collections.abc import Mapping

from sagas.core import changes, choreography
from sagas.core.choreography import delivering, ending, operators, publishing, turns

from .bug import Bug

BUGS: Mapping[str, Bug] = {
    "a repeated event is told again": Bug(
        publishing, "known", "return any(event in", "return False and any(event in"
    ),
    "a subscriber gets two events at a time": Bug(
        turns,
        "busy",
        "return any(_untaken(s) and (s.scheduled or publishing.number(s) < mine) for s in others)",
        "return False",
    ),
    "a subscriber gets the latest event first": Bug(
        turns, "in_order", "key=publishing.number", "key=lambda s: -publishing.number(s)"
    ),
    "who waits behind a parked event is forgotten": Bug(
        choreography,
        "take",
        "delivering.answer(draft, flow, step, message)\n                _go_on(draft, flow)",
        "delivering.answer(draft, flow, step, message)",
    ),
    "poison is not parked": Bug(delivering, "refuse", "park(draft, step, Attention.HELD, reason)", "pass"),
    "a delivery that fails is given up": Bug(
        delivering,
        "answer",
        "case m.Unknown(error=error) if step.attempt < step.budget:",
        "case m.Unknown(error=error) if step.attempt < step.budget - 1:",
    ),
    "what is expected is expected though it was told before": Bug(
        delivering, "_delivered", "any(publishing.known(draft, flow, event) for event in expected)", "False"
    ),
    "an event does not end what was waited for": Bug(
        publishing, "publish", "step.expecting and event in part.publishes", "False"
    ),
    "an event does not turn it back": Bug(publishing, "publish", "event in flow.turns", "False"),
    "it ends while something is on its way": Bug(
        choreography,
        "_go_on",
        "not any(turns.is_open(step) for step in draft.progress.steps.values())",
        "(not flow.endings or draft.step(END).event)",
    ),
    "it completes though it had turned back": Bug(
        ending, "_unkept", "if draft.progress.state is SagaState.COMPENSATING:", "if False:"
    ),
    "it fails though something stands": Bug(
        ending, "_unkept", "if _still_stands(draft, flow, name)", "if False"
    ),
    "what leads nowhere asks nobody": Bug(
        ending,
        "end",
        "if last.event is None:\n        wanted = publishing.either(flow.endings)\n        publishing.miss",
        "if last.event is None:\n        wanted = publishing.either(flow.endings)\n        0 and publishing.miss",
    ),
    "what was promised is believed": Bug(
        delivering,
        "answers",
        "step.promised and isinstance(reply, m.Completed | m.Rejected)",
        "False",
    ),
    "a late effect is ignored": Bug(delivering, "late", "if news:", "if False:"),
    "what may be there is skipped": Bug(
        operators, "_skip", "if step.unresolved or step.expecting:", "if False:"
    ),
    "it is rolled back though it has ended": Bug(
        operators, "_compensate", "if ended is not None:", "if False:"
    ),
    "an undo that finds nothing leads nowhere": Bug(
        delivering, "_delivered", "_found_nothing(part, result)", "False"
    ),
    "a promise is awaited though it is undone": Bug(
        delivering, "_settle_undone", "(moot or refused)", "refused"
    ),
    "a no behind the undo is parked": Bug(
        delivering, "refuse", "if not is_undone(draft, flow, step.name):", "if True:"
    ),
    # What was found by simulating them, and is mended
    "a new name is no remedy on the way back": Bug(
        choreography,
        "take",
        "lambda step: operators.try_again(draft, flow, step)",
        "lambda step: verbs._retry(draft, m.Retry(step))",
    ),
    "one attempt's no speaks for another delivery": Bug(
        delivering, "answer", "step.unresolved and not reply.inbox", "False"
    ),
    "what is taken on for later is waited for in vain": Bug(
        delivering,
        "answer",
        "case m.Later():  # it has taken the event on; what it leads to is expected, if anything is\n            "
        "_delivered(draft, flow, part, step, reply)",
        "case m.Later(within=within):\n            "
        "draft.add(e.EventAwaited, step=step.name, due_at=draft.now.at + timedelta(seconds=within or 0))",
    ),
    "an end that is told already is settled by nothing": Bug(
        operators, "_resolve_end", "elif published is not None:", "elif False:"
    ),
    "a second end is not told": Bug(
        publishing,
        "publish",
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
        publishing, "publish", "if heard and flow.endings", "if flow.endings"
    ),
}
