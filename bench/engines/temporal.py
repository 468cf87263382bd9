"""Temporal: its development server, whose database is in memory, and two worker processes; each step is an activity.

Settings: workflows run outside the sandbox, and 32 are in flight, which takes twice as many per second as 8.
With a file for its database (the option ``file``) the server would be durable, and a third as fast.
"""

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.engines import driver
from bench.engines.order import COMPENSATING, HAPPY, STEPS, UNDONE, Refused, act, undo
from sagaproject.processes import free_port

WORKERS = driver.option("workers", 2)
STARTERS = driver.option("starters", 32)
FILE = driver.option("file", False)
QUEUE = "orders"
ENDS = {HAPPY: "completed", COMPENSATING: "failed"}
SERVER = Path(sys.prefix) / "bin" / "temporal"
SHORT = timedelta(seconds=30)


@dataclass
class Order:
    order: str
    variant: str


@activity.defn
async def do(step: str, order: Order) -> dict[str, Any]:
    try:
        return act(step, order.order, order.variant)
    except Refused as no:
        raise ApplicationError(str(no), non_retryable=True) from no


@activity.defn
async def take_back(step: str, order: Order) -> dict[str, Any]:
    return undo(step, order.order)


@workflow.defn
class Saga:
    @workflow.run
    async def run(self, order: Order) -> str:
        try:
            for step in STEPS:
                await workflow.execute_activity(do, args=[step, order], start_to_close_timeout=SHORT)
        except ActivityError:
            for step in UNDONE:
                await workflow.execute_activity(take_back, args=[step, order], start_to_close_timeout=SHORT)
            return "failed"
        return "completed"


def main() -> None:
    driver.tell(
        "settings",
        versions=f"temporal {_server_version()}, temporalio {version('temporalio')}",
        durable="in a file" if FILE else "nothing: in memory",
        text=f"development server, {WORKERS} worker processes without sandbox, {STARTERS} starters",
    )
    port = free_port()
    server = [SERVER, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", port]
    server += ["--log-level", "error"]
    if FILE:
        server += ["--db-filename", f"{driver.task().folder}/temporal.db"]
    worker = (sys.executable, "-m", "bench.engines.temporal", port)
    with driver.running(server, *[worker] * WORKERS), asyncio.Runner() as runner:
        client = runner.run(connected(port))
        driver.measure(lambda variant, count: runner.run(many(client, variant, count)))


async def connected(port: int) -> Client:
    """Connect as soon as the server is up."""
    end = time.monotonic() + driver.PATIENCE
    while True:
        try:
            return await Client.connect(f"127.0.0.1:{port}")
        except RuntimeError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


async def many(client: Client, variant: str, count: int) -> None:
    ticket, free = driver.Ticket(), asyncio.Semaphore(STARTERS)

    async def one() -> None:
        async with free:
            order = ticket()
            end = await client.execute_workflow(Saga.run, Order(order, variant), id=order, task_queue=QUEUE)
            assert end == ENDS[variant], end

    await asyncio.gather(*[one() for _ in range(count)])


async def work(port: int) -> None:
    await Worker(
        await connected(port),
        task_queue=QUEUE,
        workflows=[Saga],
        activities=[do, take_back],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ).run()


def _server_version() -> str:
    return subprocess.run([SERVER, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]


if __name__ == "__main__":
    asyncio.run(work(int(sys.argv[1]))) if sys.argv[1:] else main()
