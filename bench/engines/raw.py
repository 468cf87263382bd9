"""Hand-written SQL on Sagadesk's tables and indexes: how fast could an engine be that did nothing but write its rows?

Two processes drain waiting sagas in groups. A group is claimed in one statement; each of its four steps is one
statement, and one commit, that writes the rows that Sagadesk writes for it: the saga, its steps, its events, its due
row. There are no handlers (an answer is a dict made on the spot), no retries, no locks but the rows' own.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg

from bench.engines import driver, sagadesk
from bench.engines.order import STEPS, act

PROCESSES = 2
GROUPS = (50, 10, 1)
#: Step -> its queue and its command, as Sagadesk names them.
SENT = {
    "reserve": ("inventory", "InventoryService.Reserve"),
    "charge": ("payment", "PaymentService.Charge"),
    "ship": ("shipping", "ShippingService.Ship"),
    "notify": ("notification", "NotificationService.Notify"),
}
QUEUES = [queue for queue, _ in SENT.values()]
#: Every join here is from a few keys into an index; the tables' statistics need not be asked. A row is looked up as one
#: of a list of one, so that none of its tables is read whole, however small it was when the statement was planned.
PLANNER = "-c jit=off -c plan_cache_mode=force_generic_plan " + " ".join(
    f"-c enable_{way}=off" for way in ("seqscan", "hashjoin", "mergejoin")
)

CLAIM = """
WITH free AS (
    SELECT d.id FROM unnest(%s::text[]) AS q(name) CROSS JOIN LATERAL (
        SELECT id FROM sagas_due
        WHERE queue = q.name AND due_at <= statement_timestamp() AND lease_token IS NULL AND NOT paused
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
    ) AS d LIMIT %s
)
UPDATE sagas_due AS due SET lease_token = gen_random_uuid(), lease_until = now() + interval '30 s',
    claimed_at = now(), timeout_at = now() + due.timeout * interval '1 s', worker = 'raw'
FROM free WHERE due.id = ANY (ARRAY[free.id]) RETURNING due.saga_id, due.id
"""
#: What becomes of a group when a step is done. The step's name is a column of ``v``, so that the planner
#: looks sagas up by their id and the name together.
BEGINNING = """
WITH v AS MATERIALIZED (
    SELECT v.*, %(step)s::text AS step, %(next)s::text AS next
    FROM unnest(%(sagas)s::uuid[], %(dues)s::bigint[], %(results)s::jsonb[]) AS v(saga, due, result)
), done AS (
    UPDATE sagas_step AS s SET status = 'completed', open = NULL, scheduled = false, due_at = NULL,
        outcome = 'completed', action_outcome = 'completed', result = v.result, executed_at = now()
    FROM v WHERE s.saga_id = ANY (ARRAY[v.saga]) AND s.name = v.step
),"""
DISPATCH = """
next AS (
    UPDATE sagas_step AS s SET status = 'executing', open = 'do', scheduled = true, due_at = now(), attempt = 1,
        budget = 5, generation = 1, action_number = %(sequence)s + 2, dispatched_at = now()
    FROM v WHERE s.saga_id = ANY (ARRAY[v.saga]) AND s.name = v.next
), saga AS (
    UPDATE sagas_saga AS s SET version = %(version)s, sequence = %(sequence)s + 2, updated_at = now()
    FROM v WHERE s.id = ANY (ARRAY[v.saga])
), moved AS (
    UPDATE sagas_due AS d SET queue = %(queue)s, name = %(action)s, step = v.next, number = %(sequence)s + 2,
        due_at = now(), claimed_at = now(), timeout_at = now() + d.timeout * interval '1 s',
        lease_token = gen_random_uuid(), lease_until = now() + interval '30 s'
    FROM v WHERE d.id = ANY (ARRAY[v.due])
)"""
COMPLETE = """
saga AS (
    UPDATE sagas_saga AS s SET state = 'completed', version = %(version)s, sequence = %(sequence)s + 2,
        updated_at = now(), finished_at = now()
    FROM v WHERE s.id = ANY (ARRAY[v.saga])
), gone AS (
    DELETE FROM sagas_due AS d USING v WHERE d.id = ANY (ARRAY[v.due])
)"""
EVENTS = """
INSERT INTO sagas_event (saga_id, sequence, version, type, step, data, at)
SELECT v.saga, %(sequence)s + n, %(version)s,
    CASE WHEN n = 1 THEN 'StepCompleted' WHEN v.next IS NULL THEN 'SagaCompleted' ELSE 'StepDispatched' END,
    CASE WHEN n = 1 THEN v.step ELSE v.next END,
    CASE WHEN n = 1 THEN jsonb_build_object('result', v.result) WHEN v.next IS NULL THEN '{}'
        ELSE '{"budget": 5, "generation": 1}' END,
    now()
FROM v, generate_series(1, 2) AS n
"""


def main() -> None:
    sagadesk.set_up()
    driver.tell(
        "settings",
        versions=f"psycopg {version('psycopg')}",
        durable="each step",
        text=f"{PROCESSES} processes, prepared statements, one statement and one commit per step of a group",
    )
    with driver.crew("bench.engines.raw", PROCESSES) as crew:
        for size in GROUPS:
            drain = partial(crew, str(size))
            driver.drained(f"drained_{size}", sagadesk.make_wait, drain, sagadesk.writers)
    assert sagadesk.all_ended()
    sagadesk.check()


def drainer() -> Callable[[str, int], None]:
    """Return what drains all that waits, in groups of the size it is told."""
    connection = psycopg.connect(driver.task().database, autocommit=True, options=PLANNER)

    def drain(size: str, share: int) -> None:
        while group := connection.execute(CLAIM, [QUEUES, int(size), int(size)], prepare=True).fetchall():
            run(connection, group)

    return drain


def run(connection: psycopg.Connection[Any], group: list[tuple[UUID, int]]) -> None:
    """Run the four steps of a group of sagas."""
    keys = {"sagas": [saga for saga, _ in group], "dues": [due for _, due in group]}
    for number, (step, following) in enumerate(pairwise([*STEPS, None])):
        results = [json.dumps(act(step, str(saga), driver.HAPPY)) for saga, _ in group]
        queue, action = SENT.get(following, (None, None))
        values = {
            **keys,
            "results": results,
            "step": step,
            "next": following,
            "queue": queue,
            "action": action,
            "version": number + 2,
            "sequence": 2 * number + 2,
        }
        statement = BEGINNING + (DISPATCH if following else COMPLETE) + EVENTS
        connection.execute(statement, values, prepare=True)


if __name__ == "__main__":
    driver.serve_as_crew(drainer()) if sys.argv[1:] == ["crew"] else main()
