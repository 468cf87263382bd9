"""Company: callers in several threads share one write. Who comes while it is under way goes with the next one.

So a lone caller never waits, and a crowd costs few commits. The idea is the database's own group commit.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class _Caller(Generic[T, R]):
    item: T
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held until it is this caller's turn to write, or there is nothing left to wait for."""
    result: R | None = None
    fault: BaseException | None = None
    written: bool = False

    def __post_init__(self) -> None:
        self.turn.acquire()


class Company(Generic[T, R]):
    """Gathers what threads want to write, and has one of them write it for all."""

    def __init__(self, write: Callable[[Sequence[T]], Sequence[R]], most: int) -> None:
        """Share ``write``, which takes at most so many items and returns a result for each, or writes nothing."""
        self._write = write
        self._most = most
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Caller[T, R]] = []
        self._writing = False

    def __call__(self, item: T) -> R:
        """Return this item's result. Raises what writing it raised, with others or, if that failed, alone."""
        caller = _Caller[T, R](item)
        with self._lock:
            self._waiting.append(caller)
            first, self._writing = not self._writing, True
        if not first:
            caller.turn.acquire()
        if not caller.written:
            self._write_for_all()
        if caller.fault is not None:
            raise caller.fault
        return caller.result  # type: ignore[return-value]

    def _write_for_all(self) -> None:
        """Write for whoever waits, then let the next one do so for those who came meanwhile."""
        with self._lock:
            taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            for caller, result in zip(taken, self._write([each.item for each in taken]), strict=True):
                caller.result = result
        except Exception as fault:
            for caller in taken:
                caller.fault = fault
        except BaseException:  # this thread is being ended, the others are not
            for caller in taken[1:]:
                caller.fault = RuntimeError("whoever wrote this was interrupted; it may be written or not")
            raise
        finally:
            self._hand_over(taken)

    def _hand_over(self, taken: list[_Caller[T, R]]) -> None:
        with self._lock:
            following = self._waiting[:1]
            self._writing = bool(following)
        for caller in taken:
            caller.written = True
        for caller in taken[1:] + following:
            caller.turn.release()


_all: WeakSet[Company[Any, Any]] = WeakSet()


def _after_fork() -> None:
    """Begin anew: whoever writes in the parent is not here, and would let nobody go on."""
    for each in _all:
        each._begin()


os.register_at_fork(after_in_child=_after_fork)
