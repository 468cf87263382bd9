"""An app of one module, as SAGADESK_APPS adds it: a saga whose handlers write what they do to a file.

The file is the oracle: it knows nothing of the engine, and outlives every process.
"""

import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Any

from sagas import Rejected, Retry, SagaOrchestrator, SagaStep, command

FOLDER = Path(os.environ.get("ERRANDS", "/nonexistent"))
QUICK = Retry(max_attempts=5, first=0.05)


class Errands(SagaOrchestrator):
    """Two steps; the second waits for a gate where the data names one."""

    saga_type = "Errands"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the chain."""
        return [
            SagaStep(
                "first", "ErrandService.First", "ErrandService.UndoFirst", retry=QUICK, undo_retry=QUICK
            ),
            SagaStep(
                "second", "ErrandService.Second", "ErrandService.UndoSecond", retry=QUICK, undo_retry=QUICK
            ),
        ]


class Hangs(SagaOrchestrator):
    """One step, whose handler never comes back."""

    saga_type = "Hangs"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return it."""
        return [SagaStep("hang", "ErrandService.Hang", timeout=0.2, retry=Retry(max_attempts=1))]


def lines() -> list[list[str]]:
    """Read what was done: a word, the command's key, the process."""
    try:
        return [line.split() for line in (FOLDER / "log").read_text().splitlines()]
    except FileNotFoundError:
        return []


def _write(word: str, sent: Any, *, once: bool = False) -> None:
    """Append a line; ``once``: unless the key has one, in one step, however the process may die."""
    with (FOLDER / "log").open("a+") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        log.seek(0)
        if not (once and f"{word} {sent.meta.key} " in log.read()):
            log.write(f"{word} {sent.meta.key} {os.getpid()}\n")


def _once(sent: Any) -> None:
    """Have the effect unless the file knows the key: an inbox, of the plainest kind."""
    _write("effect", sent, once=True)


@command("ErrandService.First", inbox=True)
def first(sent: Any) -> None:
    """Do it."""
    _once(sent)


@command("ErrandService.Second", inbox=True)
def second(sent: Any) -> None:
    """Do it, or say no, behind a gate."""
    _write("begin", sent)
    gate = sent.get("gate")
    while gate and not (FOLDER / gate).exists():
        time.sleep(0.02)
    if sent.get("reject"):
        raise Rejected("not today")
    _once(sent)


@command("ErrandService.Hang")
def hang(sent: Any) -> None:
    """Come back when the process ends."""
    threading.Event().wait()


@command("ErrandService.UndoFirst", inbox=True)
def undo_first(sent: Any) -> None:
    """Undo it."""
    _once(sent)


@command("ErrandService.UndoSecond", inbox=True)
def undo_second(sent: Any) -> None:
    """Undo it."""
    _once(sent)
