"""Bugs of the orchestrator: the decision is right, and what is written is not."""

from tests.bugs.bug import bug
from tests.bugs.planting import rewrite

ENGINE, ACTIONS, START, GROUPS, LEASES = (
    f"tests/sagas/test_{name}.py" for name in ("engine", "actions", "start", "groups", "leases")
)


@bug(LEASES, "tests/acceptance/test_processes.py")
def no_lease_fencing() -> None:
    """A worker that has lost its lease may still answer, though another one holds the command by now."""
    rewrite(
        "sagas.orchestrator.replies:_superseded", "row is not None and row.lease_token is not None", "False"
    )


@bug(GROUPS)
def what_has_answered_still_counts_as_held() -> None:
    """Of branches that end together, one is tried again though another has turned the saga back."""
    rewrite("sagas.orchestrator.replies:_let_go", "row.lease_token == answer.lease_token", "False")


@bug(GROUPS)
def claims_go_unseen() -> None:
    """A saga that turns back withdraws a step that another worker has claimed since it was last seen."""
    rewrite("sagas.orchestrator.loading:Held.whole", "or due[n].lease_token", "or True")


@bug(GROUPS, chaos=True)
def no_compare_and_set() -> None:
    """A saga's row is written whatever its version is by then: who wrote last, wins, and the other write is lost."""
    rewrite(
        "sagas.orchestrator.ledger:Group._add_sagas",
        '("id", "version")',
        '("id",)',
        "(held.id, held.before.version)",
        "(held.id,)",
    )


@bug(GROUPS, chaos=True)
def nobody_looks_whether_it_was_written() -> None:
    """State is written with the version in its WHERE, but nobody looks whether a row was found."""
    rewrite("sagas.rows:_Part.execute", "if self.exact and", "if False and")
    rewrite("sagas.rows:_together", "' AND '.join(whole) or 'true'", "' OR '.join([*whole, 'true'])")


@bug(ACTIONS)
def verbs_ignore_the_version() -> None:
    """A verb is carried out on whatever the saga is by now, not on what the operator saw."""
    rewrite(
        "sagas.orchestrator.actions:_act",
        "_carry_out(group, held, verb, asked)",
        "_carry_out(group, held, verb, type(asked)(**{**vars(asked), 'version': None}))",
    )


@bug(ACTIONS)
def action_id_not_stored() -> None:
    """An operator's action gets an id of its own, not the client's: a repeated click is a second action."""
    rewrite("sagas.orchestrator.trail:entry", "asked.action_id or ", "")


@bug(ACTIONS)
def answer_not_stored() -> None:
    """A repeated action is answered with the saga as it is by now, not with the answer that got lost."""
    rewrite(
        "sagas.orchestrator.actions:_stored",
        'known.answer["saga"]',
        "snapshot(Saga.objects.get(pk=pk))",
    )


@bug(ENGINE, chaos=True)
def events_with_gaps() -> None:
    """To save room, retries are left out of the event log; folding it no longer gives the rows."""
    rewrite(
        "sagas.orchestrator.shapes:event_rows",
        'step = getattr(event, "step", None)',
        'if type(event) is e.StepRescheduled:\n            continue\n        step = getattr(event, "step", None)',
    )


@bug(GROUPS)
def one_version_for_one_commit() -> None:
    """Two replies that share a commit share a version: pages that saw the first one never hear of the second."""
    rewrite(
        "sagas.orchestrator.ledger:Group.decide",
        "held.progress, message",
        "held.progress._replace(version=held.before.version), message",
    )


@bug(START, ENGINE)
def nudge_before_commit() -> None:
    """Workers are told of work before it is committed: they look, find nothing, and go back to sleep."""
    rewrite(
        "sagas.orchestrator.ledger:Group.write",
        "transaction.on_commit(lambda: _tell(changes, self.queues))",
        "_tell(changes, self.queues)",
    )


@bug(START, ENGINE)
def due_after_the_commit() -> None:
    """What a decision makes due is written in a transaction after it: a process that dies between leaves it stuck."""
    inserted = "return self.batch.insert(Due, columns,"
    rewrite(
        "sagas.orchestrator.ledger:Group._add_commands",
        inserted,
        f"self.later = rows.Batch(Saga)\n    {inserted.replace('batch', 'later')}",
    )
    rewrite(
        "sagas.orchestrator.ledger:Group.write",
        "self.batch.write()\n    self._write_pauses(moved)",
        "self.batch.write()\n    transaction.on_commit(self.later.write)\n    self._write_pauses(moved)",
    )


@bug(START)
def start_key_not_stored() -> None:
    """A start's idempotency key is looked for, but never written: a repeated start is a second saga."""
    rewrite("sagas.orchestrator.start:_saga_values", "opening.idempotency_key", "None")
