"""Ways to break the core: each a line of it, and what stands there instead."""

import inspect
import textwrap
from collections.abc import Mapping
from typing import Any

import pytest

from sagas.core import changes, draft, growth, progress, replies, verbs, waiting
from sagas.core.choreography import operators
from sagas.replay import replaying

from .breaking_choreographies import BUGS as CHOREOGRAPHIES
from .bug import Bug

BUGS: Mapping[str, Bug] = {
    "an answer that nobody understands is taken for none": Bug(
        replies, "_answer_action", "m.Unserved(arrived=True)", "m.Unserved(arrived=None)"
    ),
    "a function hears nothing of what comes during a run": Bug(
        growth, "_grow", "    if _unheard(draft, reply):\n        draft.advance()\n", ""
    ),
    "a function does not hear of a no, and all is undone": Bug(
        replies, "reject", "draft.definition.growing and not draft.is_function(step)", "False"
    ),
    "a function that is being run holds up a rollback": Bug(
        draft.Draft, "_may_stop", "self.is_function(step) or (", "("
    ),
    "a function is skipped": Bug(verbs, "_skip", "if draft.is_function(step):", "if False:"),
    "a function goes on without a step, and that is skipped": Bug(
        verbs, "_skip", "if step.refused_at is not None:", "if False:"
    ),
    "a function is run again without an end": Bug(
        growth, "_again", "if function.attempt >= function.budget:", "if False:"
    ),
    "a function is held against the names of before": Bug(
        replaying, "_today", "former_names().get(name, name)", "name"
    ),
    "a function has steps that keep their old names": Bug(
        changes, "_renamed", "names[step[role]]", "step[role]"
    ),
    "an action is tried again when its time is over": Bug(
        draft.Draft, "out_of_time", "return late or", "return"
    ),
    "an action is given up before its time is over": Bug(
        draft.Draft, "out_of_time", "+ timedelta(seconds=span)", "+ timedelta(seconds=span / 10)"
    ),
    "one person approves twice": Bug(waiting, "approve", "if person in given:", "if False:"),
    "an approval is given behind the end of the way forward": Bug(
        waiting, "_asked", "if draft.progress.state is SagaState.COMPENSATING:", "if False:"
    ),
    "a time that is told twice is up twice": Bug(
        waiting, "time_is_up", "elif step.waiting is Waiting.REPLY:", "elif True:"
    ),
    "a promise is waited for in vain for ever": Bug(
        waiting,
        "time_is_up",
        'replies.take(draft, m.Unknown(number, "no reply came in time", inbox=step.inbox))',
        "pass",
    ),
    "a child that takes its time is taken for lost": Bug(
        waiting, "_may_look", "wanted = draft.progress.state in FORWARD or", "wanted = False and"
    ),
    "a child that is looked at costs an attempt": Bug(
        waiting, "_look_again", "budget=step.budget + 1", "budget=step.budget"
    ),
    "an operator denies a child that goes on": Bug(
        verbs,
        "_resolve_action",
        "case Verdict.NONE if step.waiting is Waiting.REPLY and _has_child(draft, step):",
        "case Verdict.NONE if False:",
    ),
    "a deadline does not wait for the answer of a pivot": Bug(
        waiting,
        "_own_time_is_up",
        "if pivot is None or not draft.claimed(draft.step(pivot.name)):",
        "if True:",
    ),
    "a saga begins before its time": Bug(
        draft.Draft, "_forward", "if self.progress.begins_at is not None:", "if False:"
    ),
    "a time-out is taken for a failure": Bug(
        replies,
        "_answer_action",
        "_action_unknown(draft, step, error, inbox=inbox, retry_after=retry_after)",
        "reject(draft, step, error)",
    ),
    "a reply is taken by its step, not by its command": Bug(
        progress.Progress,
        "awaiting",
        "step.number == number",
        "number in (step.action_number, step.undo_number)",
    ),
    "a retry is a new command": Bug(
        replies,
        "_try_again",
        "if _may_be_tried(draft, step, due_at):",
        "if _may_be_tried(draft, step, due_at):\n"
        "        return draft.dispatch_action(step.name)\n    if False:",
    ),
    "a retry begins though the saga has turned back": Bug(
        replies, "_may_be_tried", "draft.progress.state in FORWARD and ", ""
    ),
    "a late effect is ignored": Bug(replies, "_late", "_unmet(step, inbox=reply.inbox)", "False"),
    "an effect of an action that was sent anew is ignored": Bug(
        replies, "_late", "not step.is_late(generation)", "False"
    ),
    "a late effect of what cannot be undone is ignored": Bug(replies, "_matters", "ahead or ", ""),
    "an operator's denial hides a late effect": Bug(
        replies,
        "_unmet",
        "step.undo_number is not None and step.action_outcome is not Outcome.REJECTED",
        "True",
    ),
    "one attempt's no speaks for another": Bug(
        replies, "_answer_action", "if step.unresolved and not inbox", "if False"
    ),
    "what a worker holds is withdrawn": Bug(
        draft.Draft, "claimed", "step.scheduled and step.number in self.now.claimed", "False"
    ),
    "what may have had its effect is withdrawn": Bug(
        draft.Draft, "withdraw", "if not step.unresolved", "if True"
    ),
    "steps are undone in the order in which they were done": Bug(
        draft.Draft, "_backward", "if clear.issuperset(self.definition.dependents(name))", "if True"
    ),
    "a step begins when one of those that it needs is done": Bug(
        draft.Draft,
        "_forward",
        "passed.issuperset(self.definition.needs(name))",
        "(not (needs := self.definition.needs(name)) or not passed.isdisjoint(needs))",
    ),
    "an undo is guessed at without an inbox": Bug(
        draft.Draft, "_undo", "elif step.unknown and not step.inbox", "elif False"
    ),
    "an unknown step is not undone": Bug(
        draft.Draft, "_undo", "if not owed and not step.unknown", "if not owed"
    ),
    "an undo that fails for ever is dropped": Bug(
        replies,
        "_undo_failed",
        "draft.add(e.UndoHeld, step=step.name, code=code, error=error, outcome=outcome)",
        "draft.add(e.StepLeftStanding, step=step.name)\n    draft.advance()",
    ),
    "an undo after a rejection repeats the closed key": Bug(
        draft.Draft, "dispatch_undo", "step.undo_generation + 1", "max(step.undo_generation, 1)"
    ),
    "the pivot is no point of no return": Bug(
        replies, "reject", "draft.pivot_passed or draft.definition.step(step.name).hold", "False"
    ),
    "retries have one attempt too many": Bug(
        replies, "_may_be_tried", "step.attempt < step.budget", "step.attempt <= step.budget"
    ),
    "an unknown outcome is forgotten": Bug(
        changes,
        "_at_rest",
        '"outcome": Outcome.UNKNOWN,\n                "unresolved": True,\n                "inbox"',
        '"outcome": Outcome.UNKNOWN,\n                "unresolved": False,\n                "inbox"',
    ),
    "a closed command stays open": Bug(changes, "_completed", "**_CLOSED,", ""),
    "a transition has no version": Bug(
        draft.Draft, "add", "version=self.version", "version=self.version - 1"
    ),
    "the saga ends while a branch is under way": Bug(
        draft.Draft, "_backward", "len(clear) == len(self.definition.steps)", "len(clear) >= 1"
    ),
    "an edit reaches a command that was sent": Bug(
        verbs, "_edit", "if s.unresolved and s.input is None", "if False"
    ),
    "what may be there is skipped": Bug(verbs, "_skip", "if step.unresolved:", "if False:"),
    "an operator rolls back behind the pivot": Bug(
        verbs, "_compensate", "if draft.pivot_passed and draft.definition.pivot:", "if False:"
    ),
    "who can be asked is not asked before a retry": Bug(
        replies,
        "_action_unknown",
        "if _ask(draft, step, error, inbox=inbox, retry_after=retry_after):",
        "if step.probe and _ask(draft, step, error, inbox=inbox, retry_after=retry_after):",
    ),
    "who can be asked is not asked before a rollback": Bug(
        draft.Draft, "withdraw", "self.ask(step, error)", "False"
    ),
    "a probe without an answer is asked for ever": Bug(
        draft.Draft, "ask", "asked >= pinned.probe_retry.max_attempts", "False"
    ),
    "nothing so far is taken for no effect": Bug(
        replies,
        "_action_not_seen",
        "_action_unknown(draft, step, error, inbox=step.inbox, retry_after=None)",
        "reject(draft, step, error)",
    ),
    "nothing so far is undone without an inbox": Bug(
        replies, "_action_not_seen", "if _may_be_tried(draft, step, again) or step.inbox", "if True"
    ),
    "a probe speaks for the participant's inbox": Bug(
        replies, "_ask", "step.inbox if step.probe else inbox", "inbox"
    ),
    "a verdict on an undo is forgotten": Bug(
        verbs, "_resolve_undo", "draft.add(e.StepLeftStanding, step=step.name)", "draft.dispatch_undo(step)"
    ),
    **{f"choreography: {name}": bug for name, bug in CHOREOGRAPHIES.items()},
}


def break_core(patch: pytest.MonkeyPatch, name: str) -> None:
    """Put a bug into the core, until the patch is undone."""
    owner, function, line, instead = BUGS[name]
    sound = inspect.unwrap(getattr(owner, function))
    source = textwrap.dedent(inspect.getsource(sound))
    assert source.count(line) == 1, f"{function} has {source.count(line)} times {line!r}"
    made: dict[str, Any] = {}
    exec(compile(source.replace(line, instead), sound.__code__.co_filename, "exec"), sound.__globals__, made)  # noqa: S102
    patch.setattr(owner, function, made[function])
    for table in (verbs._VERBS, operators.VERBS):
        for verb in [verb for verb, acts in table.items() if acts is sound]:
            patch.setitem(table, verb, made[function])
