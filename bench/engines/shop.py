"""The demo shop's handlers in a bare loop: each order goes from one to the next, and each commits what it did.

This is what is left of a saga when nothing is kept of it: no record, no retry, no way back.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from bench.engines import driver, sagadesk


def bare_loop() -> Callable[[str, int], None]:
    """Return what fulfils a share of orders, one after the other."""
    sagadesk.set_up()
    from participants.demos import ORDER
    from participants.sagas import OrderFulfillment

    commands = {step.name: step.action for step in OrderFulfillment().define_steps({})}

    def fulfil_share(_: str, count: int) -> None:
        for _order in range(count):
            fulfil(ORDER.make(), commands)

    return fulfil_share


def fulfil(order: dict[str, Any], commands: dict[str, str]) -> None:
    """Call an order's handlers as a worker calls them; the results go from each to those after it."""
    from sagas.core.commands import idempotency_key
    from sagas.core.context import CommandInput, Meta
    from sagas.core.words import Direction
    from sagas.engine.call import call_of
    from sagas.engine.work import Work

    saga_id, deadline = uuid4(), timezone.now() + timedelta(seconds=30)
    results: dict[str, Any] = {}
    for number, (step, name) in enumerate(commands.items(), start=1):
        meta = Meta(
            number=number,
            key=idempotency_key(saga_id, step, Direction.DO, 1),
            undoes=None,
            attempt=1,
            deadline=deadline,
            correlation_id=order["order_id"],
            saga_id=str(saga_id),
            step=step,
            direction=Direction.DO.value,
        )
        values = {**order, "saga_id": str(saga_id), "step_name": step, "results": dict(results)}
        command = CommandInput(name, values, meta)
        function, argument, _ = call_of(Work(uuid4(), saga_id, name, 1, 30.0, number, command))
        results[step] = function(argument)


if __name__ == "__main__":
    driver.serve_as_crew(bare_loop())
