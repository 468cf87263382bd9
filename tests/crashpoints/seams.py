"""The seams at which a process may die: where Sagadesk commits, calls Redis, or calls a participant.

The product knows nothing of this. Each passage is a named point: the innermost function of ``sagas`` that made the
call, and what it is, such as ``orchestrator.ledger.Group.write:commit``. A transaction that wrote nothing leaves
nothing, so its end is no point.
"""

import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from types import CodeType, FrameType
from typing import Any, NamedTuple
from unittest.mock import patch

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from redis import Redis
from redis.client import Pipeline

from sagas import rows

COMMIT, REDIS, PARTICIPANT = "commit", "redis", "participant"
BEFORE, AFTER = "before", "after"

#: ``FOR UPDATE`` only locks.
_WRITES = re.compile(r"(?<!FOR )\b(INSERT|UPDATE|DELETE)\b")
#: Plumbing: who called it says more.
_PLUMBING = "sagas.rows"


class Death(BaseException):
    """The process is gone. Nothing catches it."""


class Point(NamedTuple):
    """One passage."""

    name: str
    occurrence: int
    """From 1."""

    def __str__(self) -> str:
        return self.name if self.occurrence == 1 else f"{self.name} ({self.occurrence})"


#: What is called at each point: with the watch, the point, and before or after.
Reached = Callable[["Watch", Point, str], None]


class Watch:
    """Sees what one process passes."""

    def __init__(self, reached: Reached = lambda *_: None, *, lines: bool = False) -> None:
        """Call ``reached`` at each point, which may not return: there the process dies. Note the ``lines``, or not."""
        self.passed: list[Point] = []
        """The points, in the order in which they were reached."""
        self.lines: set[tuple[str, int]] = set()
        """Lines of our modules from which the seams were reached."""
        self.dead = False
        self._reached, self._lines = reached, lines
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def passing(self, kind: str, frame: FrameType) -> Iterator[None]:
        """Pass a point."""
        self.touch(frame)
        point = self._pass(f"{_place(frame)}:{kind}")
        self._reached(self, point, BEFORE)
        try:
            yield
        except Death:
            raise
        except BaseException:
            self._reached(self, point, AFTER)  # what it raised was its answer
            raise
        self._reached(self, point, AFTER)

    def touch(self, frame: FrameType) -> None:
        """See that the seams are reached; whoever is dead goes no further."""
        if self.dead:
            raise Death
        if self._lines:
            at: FrameType | None = frame
            while at is not None:
                if (module := at.f_globals.get("__name__", "")).startswith("sagas."):
                    self.lines.add((module, at.f_lineno))
                at = at.f_back

    def _pass(self, name: str) -> Point:
        with self._lock:
            self._times[name] += 1
            point = Point(name, self._times[name])
            self.passed.append(point)
            return point


def _place(frame: FrameType) -> str:
    """Name the innermost function of ours; what a caller commits, or RQ calls by itself, is theirs."""
    at: FrameType | None = frame
    while at is not None:
        module = at.f_globals.get("__name__", "")
        if module.startswith("sagas.") and module != _PLUMBING:
            return f"{module.removeprefix('sagas.')}.{qualname(at.f_code)}"
        at = at.f_back
    return "caller"


def qualname(code: CodeType) -> str:
    """Return a function's name within its module."""
    return code.co_qualname.replace(".<locals>", "")


_watch: Watch | None = None
_aside = threading.local()


@contextmanager
def watched(watch: Watch) -> Iterator[Watch]:
    """Watch everything that is done until the block ends."""
    global _watch
    _watch = watch
    try:
        yield watch
    finally:
        _watch = None


@contextmanager
def unseen() -> Iterator[None]:
    """Do something, in whatever threads, that other processes do."""
    global _watch
    before, _watch = _watch, None
    try:
        yield
    finally:
        _watch = before


@contextmanager
def aside() -> Iterator[None]:
    """Do something in this thread that is none of the process' doing."""
    before, _aside.on = getattr(_aside, "on", False), True
    try:
        yield
    finally:
        _aside.on = before


def _watching() -> Watch | None:
    return None if getattr(_aside, "on", False) else _watch


def participant(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make calling this function a point."""

    @wraps(function)
    def called(*args: Any) -> Any:
        watch = _watching()
        if watch is None:
            return function(*args)
        with watch.passing(PARTICIPANT, sys._getframe(1)):
            return function(*args)

    return called


@contextmanager
def installed() -> Iterator[None]:
    """Open the seams: all of this process' connections pass them until the block ends."""
    seams = (
        (BaseDatabaseWrapper, "_commit", _commit),
        (BaseDatabaseWrapper, "_rollback", _rollback),
        (CursorWrapper, "_execute_with_wrappers", _execute),
        (rows, "prepared", _prepared),
        (Redis, "execute_command", _redis),
        (Pipeline, "execute", _redis),
        (Pipeline, "immediate_execute_command", _redis),
    )
    with ExitStack() as stack:
        for owner, name, make in seams:
            stack.enter_context(patch.object(owner, name, make(getattr(owner, name))))
        yield


def _redis(original: Callable[..., Any]) -> Callable[..., Any]:
    def execute(self: Any, *args: Any, **options: Any) -> Any:
        watch = _watching()
        if watch is None:
            return original(self, *args, **options)
        with watch.passing(REDIS, sys._getframe(1)):
            return original(self, *args, **options)

    return execute


def _commit(original: Callable[..., Any]) -> Callable[..., Any]:
    def commit(self: Any) -> None:
        watch, self.has_written = _watching(), self.__dict__.get("has_written", False)
        if watch is None or not self.has_written:
            original(self)
        else:
            self.has_written = False
            with watch.passing(COMMIT, sys._getframe(1)):
                original(self)

    return commit


def _rollback(original: Callable[..., Any]) -> Callable[..., Any]:
    def rollback(self: Any) -> None:
        self.has_written = False
        original(self)

    return rollback


def _execute(original: Callable[..., Any]) -> Callable[..., Any]:
    def execute(self: Any, sql: Any, *rest: Any, **more: Any) -> Any:
        return _statement(self.db, sql, sys._getframe(1), lambda: original(self, sql, *rest, **more))

    return execute


def _prepared(original: Callable[..., Any]) -> Callable[..., Any]:
    @contextmanager
    def prepared(connection: Any) -> Iterator[Any]:
        with original(connection) as cursor:
            yield _Prepared(connection, cursor)

    return prepared


class _Prepared:
    """A prepared cursor, seen through."""

    def __init__(self, connection: Any, cursor: Any) -> None:
        self._connection, self._cursor = connection, cursor

    def execute(self, sql: str, *rest: Any) -> Any:
        return _statement(self._connection, sql, sys._getframe(1), lambda: self._cursor.execute(sql, *rest))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def _statement(connection: Any, sql: Any, frame: FrameType, run: Callable[[], Any]) -> Any:
    """Run a statement: by itself it is a commit, if it writes; in a transaction that is what comes at the end."""
    watch = _watching()
    if watch is None:
        return run()
    watch.touch(frame)
    if not _WRITES.search(str(sql)):
        return run()
    if not connection.get_autocommit():
        connection.has_written = True
        return run()
    with watch.passing(COMMIT, frame):
        return run()
