"""Sagas whose handlers wait, as those do that call other services."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from sagas import SagaOrchestrator, SagaStep, command

#: Seconds that a handler takes, and one that hangs.
PAUSE, HANGS = 0.1, 600.0


class _Waiting(SagaOrchestrator):
    action = ""

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Return four steps, one after the other."""
        return [SagaStep(name=name, action=self.action) for name in ("a", "b", "c", "d")]


class Threads(_Waiting):
    """Waits in plain functions."""

    saga_type, action = "Threads", "ThreadService.Wait"


class Loop(_Waiting):
    """Waits in coroutines."""

    saga_type, action = "Loop", "LoopService.Wait"


class _Hanging(SagaOrchestrator):
    action = ""

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Return a step that takes much longer than anything is measured."""
        return [SagaStep(name="hang", action=self.action, timeout=HANGS)]


class HangingThread(_Hanging):
    """Hangs in a plain function."""

    saga_type, action = "HangingThread", "ThreadService.Hang"


class HangingCoroutine(_Hanging):
    """Hangs in a coroutine."""

    saga_type, action = "HangingCoroutine", "LoopService.Hang"


@command("ThreadService.Wait", inbox=True)
def wait(given: Mapping[str, Any]) -> None:
    """Wait in a thread."""
    time.sleep(PAUSE)


@command("ThreadService.Hang", inbox=True)
def hang(given: Mapping[str, Any]) -> None:
    """Wait for very long."""
    time.sleep(HANGS)


@command("LoopService.Hang", inbox=True)
async def hang_in_loop(given: Mapping[str, Any]) -> None:
    """Wait for very long, and keep nobody else waiting."""
    await asyncio.sleep(HANGS)


@command("LoopService.Wait", inbox=True)
async def wait_in_loop(given: Mapping[str, Any]) -> None:
    """Wait in the event loop."""
    await asyncio.sleep(PAUSE)


class Followed(SagaOrchestrator):
    """Ten steps of a second each: a page has something to follow."""

    saga_type = "Followed"

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Return the steps, one after the other."""
        return [SagaStep(name=f"stage_{n}", action="LoopService.WaitLong") for n in range(1, 11)]


@command("LoopService.WaitLong", inbox=True)
async def wait_long(given: Mapping[str, Any]) -> None:
    """Wait ten times as long."""
    await asyncio.sleep(10 * PAUSE)
