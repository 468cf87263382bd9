"""Calls a registered handler for real: what it answers, which tables it writes, and dying in the middle of it."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync
from django.db import DatabaseError, connections, transaction

from sagas.core import messages as m
from sagas.engine import call
from sagas.engine.work import Work

_WRITES = re.compile(
    r'\s*(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|UPDATE|DELETE\s+FROM)\s+"?(\w+)"?', re.IGNORECASE
)
_READS = re.compile(r"\s*(?:SELECT|EXPLAIN|PRAGMA|SET|SHOW)\b", re.IGNORECASE)
_SAVEPOINT = re.compile(r"\s*(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT)\b", re.IGNORECASE)


class Died(BaseException):
    """The process is gone, as far as the handler can tell."""


@dataclass
class Death:
    """At which of a call's commits its process dies."""

    commit: int = 1
    after: bool = False
    """Just after it; otherwise just before."""


@dataclass
class Watch:
    """Sees a call's statements: what it writes, where it commits, and where it is to die.

    A call runs inside the drill's own transaction. So what would be its transaction is a savepoint here,
    and releasing the outermost one is its commit; a write outside of any is a commit of its own.
    """

    death: Death | None = None
    commits: int = 0
    dead: bool = False
    tables: set[str] = field(default_factory=set)
    blind: bool = False
    """It wrote in a way that does not say where."""
    _depth: int = 0
    _wrote: bool = False

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        def go(text: str = sql) -> Any:  # one statement, sent or changed
            return execute(text, params, many, context)

        savepoint = _SAVEPOINT.match(sql)
        if savepoint:
            return self._bracket(savepoint[1].upper(), go, sql)
        if self.dead:
            raise Died
        wrote = self._note(sql)
        if wrote and not self._depth:
            return self._commit(go, lambda: None)
        self._wrote = self._wrote or wrote
        return go()

    def _bracket(self, word: str, go: Callable[..., Any], sql: str) -> Any:
        if word == "SAVEPOINT":
            self._depth += 1
            return go()
        undo = re.sub("RELEASE", "ROLLBACK TO", sql, count=1, flags=re.IGNORECASE)
        if word == "ROLLBACK TO SAVEPOINT":
            self._wrote = self._wrote and self._depth > 1
            return go()
        self._depth -= 1
        if self.dead:  # what swallows its own death commits nothing
            go(undo)
            return go()
        if self._depth or not self._wrote:
            return go()
        self._wrote = False
        return self._commit(go, lambda: go(undo))

    def _commit(self, go: Callable[..., Any], undo: Callable[[], Any]) -> Any:
        self.commits += 1
        here = self.death is not None and self.death.commit == self.commits
        if here and self.death and not self.death.after:
            undo()
            self.dead = True
            raise Died
        done = go()
        if here:
            self.dead = True
            raise Died
        return done

    def _note(self, sql: str) -> bool:
        """Note where a statement writes, if it does."""
        written = _WRITES.match(sql)
        if written:
            self.tables.add(written[1])
            return True
        self.blind = self.blind or not _READS.match(sql)
        return self.blind


@dataclass
class Called:
    """A call that was made."""

    reply: m.Reply
    """What the engine would have made of it; without a meaning if it died."""
    watch: Watch
    fault: BaseException | None = None

    @property
    def died(self) -> bool:
        """Whether its process died in it."""
        return self.watch.dead


def call_handler(work: Work, aliases: tuple[str, ...] = (), death: Death | None = None) -> Called:
    """Call the command's handler as the engine does, in this thread, and watch what it does to these databases."""
    watch = Watch(death)
    result: Any = None
    fault: BaseException | None = None
    with _kept_usable(aliases) as spoil, _watched(watch, aliases):
        try:
            function, argument, is_async = call.call_of(work)
            run = async_to_sync(function) if is_async else function
            result = run(argument)
        except Died as died:
            fault = died
        except Exception as raised:
            fault = raised
            spoil(isinstance(raised, DatabaseError))
    return Called(call.reply_to(work, result, None if watch.dead else fault), watch, fault)


@contextmanager
def _watched(watch: Watch, aliases: tuple[str, ...]) -> Iterator[None]:
    with ExitStack() as stack:
        for alias in aliases:
            stack.enter_context(connections[alias].execute_wrapper(watch))
        yield


@contextmanager
def _kept_usable(aliases: tuple[str, ...]) -> Iterator[Callable[[bool], None]]:
    """Keep a failed statement of a handler from spoiling the drill's own transaction around it.

    What a handler has written outside a transaction stays, as it would in earnest, unless a statement failed.
    """
    spoiled = False

    def spoil(yes: bool) -> None:
        nonlocal spoiled
        spoiled = yes

    points = [(alias, transaction.savepoint(using=alias)) for alias in aliases]
    yield spoil
    for alias, sid in points:
        if spoiled or connections[alias].needs_rollback:
            transaction.set_rollback(False, using=alias)
            transaction.savepoint_rollback(sid, using=alias)
        transaction.savepoint_commit(sid, using=alias)
