"""Calling a handler, and saying what came of it in the core's words."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, NamedTuple
from uuid import UUID

from asgiref.sync import async_to_sync
from pydantic import ValidationError

from sagas import orchestrator, registry
from sagas.core import answers
from sagas.core import messages as m
from sagas.core.context import SagaContext
from sagas.core.place import place
from sagas.core.plain import NotPlain, plain, words_of
from sagas.core.words import Attention
from sagas.engine.slots import TimedOut
from sagas.engine.work import Work
from sagas.orchestrator import children, intake, outbox
from sagas.orchestrator.view import SagaView
from sagas.replay import Record

log = logging.getLogger(__name__)

#: So often is a hook tried whose class is not here, over some three hours: then it is gone from the code.
LOOKED_FOR = 40


class Unserved(Exception):
    """Nobody handles the command here."""


class Unfit(answers.Rejected):
    """The handler's model does not take the input. Of earlier attempts, which it may have taken, that says nothing."""


class NoHook(Unserved):
    """No class has such a hook, as far as we know: if no other worker's has, there is nothing to call."""


class Call(NamedTuple):
    """A function that is to be called with one argument."""

    function: Callable[[Any], Any]
    argument: Any
    is_async: bool = False


def call_of(work: Work) -> Call:
    """Return what is to be called for this work. Raises :class:`Unserved` if there is nothing."""
    if work.broken is not None:
        raise answers.Misconfigured(
            f"what {work.name} is to be called with cannot be made: {told(work.broken)}"
        )
    if work.command is not None:
        handler = registry.handler(work.name)
        if handler is None:
            raise Unserved(f"no handler is registered for {work.name}")
        _validate(handler, work)
        if isinstance(work.command, SagaContext):
            return Call(_delivering(work, handler), work.command, handler.is_async)
        return Call(handler.function, work.command, handler.is_async)
    return _subscriber(work)


def _delivering(work: Work, handler: registry.Command) -> Callable[[Any], Any]:
    """Return the subscriber; what it publishes belongs to the saga."""
    function = handler.function
    if handler.is_async:

        @wraps(function)
        async def awaited(context: Any) -> Any:
            with _of_saga(work.saga_id, context.step):
                return await function(context)

        return awaited

    @wraps(function)
    def called(context: Any) -> Any:
        with _of_saga(work.saga_id, context.step):
            return function(context)

    return called


@contextmanager
def _of_saga(saga_id: UUID, step: str) -> Iterator[None]:
    token = orchestrator.delivering.set((saga_id, step))
    try:
        yield
    finally:  # a test that calls a coroutine takes over what that has set
        orchestrator.delivering.reset(token)


def _validate(handler: registry.Command, work: Work) -> None:
    """Give a handler its model. Raises :class:`Unfit`, or leaves the refusal to the handler's inbox."""
    if handler.model is None or work.command is None:
        return
    try:
        work.command.input = handler.model.model_validate(dict(work.command))
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        refusal = f"{where}: {first['msg']}"
        if work.probes is not None:
            raise answers.Misconfigured(f"the model of {handler.name} refuses to ask: {refusal}") from wrong
        if not getattr(handler.function, "saga_inbox", False):
            raise Unfit(refusal) from wrong
        work.command.refusal = refusal


def _call_hook(saga_id: UUID, event: str) -> Any:
    """Call the author's hook for a terminal saga with its snapshot; awaits it if it is asynchronous."""
    view = SagaView.of(saga_id)
    function = outbox.hook(view.saga_type, outbox.hook_of(event)[1])
    if function is None:
        return None
    return async_to_sync(function)(view) if iscoroutinefunction(function) else function(view)


def _subscriber(work: Work) -> Call:
    event = work.event.name if work.event is not None else ""
    if work.name == outbox.HOOK:
        if work.called not in outbox.hooks():
            raise _no_hook(work, event)
        return Call(lambda _: _call_hook(work.saga_id, event), work.event)
    if work.name == outbox.PARENT:
        return Call(lambda _: children.ended(work.saga_id), work.event)
    if work.name == intake.SAGA:
        return Call(lambda _: intake.take(work.saga_id), work.event)
    subscriber = registry.subscriber(event, work.name)
    if subscriber is None:
        raise Unserved(f"the subscriber {work.name} of {event} is no longer registered")
    return Call(subscriber.function, work.event, subscriber.is_async)


def _no_hook(work: Work, event: str) -> Unserved:
    """Say that the saga's class has no such hook, or is not here: it may be with workers that are just away."""
    here = registry.saga_type(outbox.type_of_end(event)) is not None
    kind = NoHook if here or work.attempt >= LOOKED_FOR else Unserved
    return kind(f"no class here has a hook for {event}")


def reply_to(work: Work, result: Any, fault: BaseException | None) -> m.Reply:
    """Return the reply that a handler's result or exception amounts to."""
    if work.wakes:
        return m.TimeUp(work.number)
    inbox = _remembers(work)
    match fault:
        case None if isinstance(work.command, Record) and isinstance(result, m.Ran | m.Unserved):
            return result
        case None if isinstance(result, answers.Later):
            return m.Later(work.number, result.within, inbox)
        case None if isinstance(result, children.UnderWay):
            return m.Later(work.number, result.within, inbox)
        case None:
            return _completed(work, result, inbox)
        case Unfit() if inbox and work.attempt > 1:
            # It keeps a memory of its own, of which we know nothing: an attempt before may stand, and be undone.
            return m.Unknown(work.number, words_of(fault), inbox)
        case Unfit():
            return m.Rejected(work.number, words_of(fault), inbox=False)
        case answers.Rejected():
            # A probe's no is about the command, whichever of its attempts arrived: it is as good as an inbox'.
            return m.Rejected(work.number, words_of(fault) or "rejected", inbox or work.probes is not None)
        case children.CannotUndo():
            return m.Unserved(work.number, words_of(fault), Attention.CANNOT_UNDO)
        case answers.Misconfigured(arrived=arrived):
            return m.Unserved(work.number, words_of(fault), Attention.MISCONFIGURED, arrived, inbox)
        case answers.Unavailable(retry_after=wait):
            return m.Unknown(work.number, words_of(fault), inbox, wait)
        case answers.NoSuchCommand() if work.probes is not None:
            return m.NoSuchCommand(work.number, words_of(fault) or m.NoSuchCommand.error)
        case Unserved():
            return m.Unserved(work.number, words_of(fault))
        case TimedOut() | TimeoutError() if words_of(fault):
            return m.Unknown(work.number, words_of(fault), inbox)
        case _:
            return m.Unknown(work.number, told(fault), inbox)


#: What a participant, or we, say on purpose. What a handler raises besides is a mistake for its author to find.
_ON_PURPOSE = (
    answers.Rejected,
    answers.Misconfigured,
    answers.Unavailable,
    children.CannotUndo,
    Unserved,
    TimedOut,
    TimeoutError,
)


def log_mistake(work: Work, fault: BaseException | None) -> None:
    """Log an exception that nobody raised on purpose with all the lines that it came through."""
    if fault is None or (work.probes is not None and isinstance(fault, answers.NoSuchCommand)):
        return
    if work.event is not None:  # hooks and subscribers have nothing to refuse
        if not isinstance(fault, Unserved):
            log.warning(
                "saga %s: %s failed in attempt %d", work.saga_id, work.called, work.attempt, exc_info=fault
            )
    elif work.command is not None and not _is_on_purpose(fault):
        where = (work.saga_id, work.command.meta.step, work.name, work.attempt)
        log.warning("saga %s, step %s: %s failed in attempt %d", *where, exc_info=fault)


def _is_on_purpose(fault: BaseException) -> bool:
    """Whether somebody meant to raise it. A time-out without a word is one of a library's, which nobody expected."""
    return isinstance(fault, _ON_PURPOSE) and not (isinstance(fault, TimeoutError) and not words_of(fault))


def _remembers(work: Work) -> bool:
    """Whether the participant that the command is for keeps an inbox."""
    handler = registry.handler(work.probes or work.name)
    return handler.inbox if handler else False


def _completed(work: Work, result: Any, inbox: bool) -> m.Reply:
    try:
        return m.Completed(work.number, plain(result, "result"), inbox)
    except NotPlain as wrong:
        return m.Unknown(work.number, f"the result of {work.name} cannot be recorded: {wrong}", inbox)


def unreadable(work: Work, fault: Exception) -> m.Reply:
    """Return what it amounts to that a result cannot even be looked at, as a lazy object whose row is gone."""
    log.warning("saga %s: the result of %s cannot be looked at", work.saga_id, work.name, exc_info=fault)
    return m.Unknown(
        work.number, f"the result of {work.name} cannot be recorded: {told(fault)}", _remembers(work)
    )


def told(fault: BaseException) -> str:
    """Return what kind of exception it is, what it says, and where its author finds it."""
    return f"{type(fault).__name__}: {words_of(fault)}{place(fault)}"
