"""Bugs of what looks after sagas: pruning, new names of commands, ticks."""

from tests.bugs.bug import bug
from tests.bugs.planting import rewrite

RETENTION, REMAPPING = "tests/sagas/test_retention.py", "tests/sagas/test_remapping.py"
PERIODIC = "tests/sagas/test_periodic.py"


@bug(RETENTION)
def unsettled_pruned() -> None:
    """A finished saga is pruned by its age alone, though a late effect of it still waits for a person."""
    rewrite("sagas.orchestrator.retention:_alone", ", attention__isnull=True", "")


@bug(RETENTION)
def changed_since_its_export_pruned() -> None:
    """What was written to a file and has changed since is pruned all the same: the file has not what was lost."""
    rewrite("sagas.orchestrator.retention:_unchanged", "if now[str(old.id)] == known[str(old.id)]", "")


@bug("tests/core/test_remap.py", REMAPPING)
def held_commands_renamed() -> None:
    """A command gets another name while a worker is executing it under the old one."""
    rewrite("sagas.core.verbs:remap", "unclaimed(draft, step)", "pass")


@bug(REMAPPING)
def due_work_keeps_its_old_name() -> None:
    """A new name is written into the definition, and what is due waits under the old one, on the old queue."""
    rewrite(
        "sagas.orchestrator.remapping:_write_names",
        "if due.exclude(queue=registry.WAITS_QUEUE).update(name=new, queue=queue):",
        "if False:",
    )


@bug(PERIODIC)
def ticks_without_a_key() -> None:
    """A tick's saga has no key of its own: a clock that did not see another one's row starts it a second time."""
    rewrite(
        "sagas.engine.periodic:_saga", 'idempotency_key=f"{TICK}{tick.isoformat()}"', "idempotency_key=None"
    )


@bug(PERIODIC)
def no_ticks_until_the_clock_catches_up() -> None:
    """A schedule that has seen a clock which was ahead starts nothing until the time comes that it saw."""
    rewrite("sagas.engine.periodic:_schedule", "known.filter(tick__gt=now + BACK).update(tick=now)", "pass")
