"""The saga as its function sees it: what a plain function calls, and what an ``async def`` awaits."""

import difflib
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from inspect import isawaitable, iscoroutine, iscoroutinefunction, unwrap
from types import CodeType
from typing import Any

from sagas.core.built_in import approval, child, timer
from sagas.core.definition import SagaStep
from sagas.core.place import innermost, line_here
from sagas.core.waits import moment
from sagas.replay.replaying import Replay

#: What a step may say beside its name, action, undo and input.
OPTIONS = frozenset(
    {
        "pivot",
        "retriable",
        "hold",
        "timeout",
        "deadline",
        "retry",
        "undo_retry",
        "probe",
        "undo_probe",
        "probe_retry",
    }
)


def begin(replay: Replay, function: Callable[..., Any], data: Mapping[str, Any]) -> Any:
    """Call a function, plain or ``async def``, with the saga as it sees it; return what it returns."""
    if iscoroutinefunction(unwrap(function)):
        saga = AsyncSaga(replay)
        return saga._drive(function(saga, data))
    return function(Saga(replay), data)


class _Context:
    """The saga as its function sees it."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    @property
    def id(self) -> str:
        """The saga's id."""
        return str(self._replay.saga_id)

    @property
    def correlation_id(self) -> str:
        """The saga's correlation id."""
        return str(self._replay.correlation_id)

    @property
    def now(self) -> datetime:
        """When the last result was there that the function has waited for: the same in every run."""
        return self._replay.branch.now

    def __getattr__(self, name: str) -> Any:
        known = sorted(each for each in dir(type(self)) if not each.startswith("_"))
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
        raise AttributeError(f"saga has no {name}; {meant}")

    def step(
        self,
        name: str,
        action: str,
        undo: str | None = None,
        input: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Have an action carried out, with the undo that goes with it; return its result.

        Options are those of :class:`~sagas.SagaStep`: timeout, deadline, retry, undo_retry, probe, undo_probe,
        probe_retry, pivot, retriable, hold. Raises :class:`~sagas.Rejected` if its participant says no.
        """
        _check_name("step", name)
        unknown = options.keys() - OPTIONS
        if unknown:
            raise TypeError(
                f"saga.step(name, action, undo=…, input=…) takes no {', '.join(sorted(unknown))};"
                f" options are {', '.join(sorted(OPTIONS))}"
            )
        options.setdefault("hold", self._replay.hold)
        return self._ask(SagaStep(name, action, undo, input=input, **options))

    def wait(
        self, name: str, span: timedelta | float | None = None, *, until: datetime | str | None = None
    ) -> Any:
        """Wait for a while, a timedelta or seconds, or until a moment with a time zone."""
        _check_name("wait", name)
        at = (
            moment(until.isoformat() if isinstance(until, datetime) else until) if until is not None else None
        )
        return self._ask(timer(name, wait=span, until=at))

    def approval(self, name: str, *, by: str, **options: Any) -> Any:
        """Ask people, as :func:`~sagas.approval` does; return ``{"approved": true, "by": [...], "comment": ...}``.

        Raises :class:`~sagas.Rejected` if one of them says no.
        """
        _check_name("approval", name)
        options.setdefault("hold", self._replay.hold)
        return self._ask(approval(name, by=by, **options))

    def child(
        self, name: str, saga_type: str, data: Mapping[str, Any] | str | None = None, **options: Any
    ) -> Any:
        """Have a saga of another type started, as :func:`~sagas.child` does, and wait for its end.

        Returns ``{"saga_id": …, "state": "completed", "results": {step: result}}``; raises
        :class:`~sagas.Rejected` if it fails.
        """
        _check_name("child", name)
        options.setdefault("hold", self._replay.hold)
        return self._ask(child(name, saga_type, data=data, **options))

    def _ask(self, step: SagaStep) -> Any:
        raise NotImplementedError


def _check_name(verb: str, name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"saga.{verb}() takes the step's name first, as a text, not {name!r:.80}")


for _verb in ("step", "wait", "approval", "child"):  # Python names them so where arguments are missing
    getattr(_Context, _verb).__qualname__ = f"saga.{_verb}"


class Saga(_Context):
    """The saga as a plain function sees it: what it calls returns when there is a result."""

    def parallel(self, *branches: Callable[[], Any]) -> tuple[Any, ...]:
        """Run functions without arguments at the same time; return their results, in their order.

        If one raises :class:`~sagas.Rejected`, that is raised once the others have come to their ends.
        """
        for each in branches:
            if not callable(each):
                raise TypeError(
                    "saga.parallel() takes functions one after the other, in no list, as lambda: saga.step(…),"
                    f" not {each!r:.80}"
                )
        return self._replay.each_branch(branches)

    def _ask(self, step: SagaStep) -> Any:
        return self._replay.ask(step)


class AsyncSaga(_Context):
    """The saga as an ``async def`` sees it: what it calls is to be awaited."""

    def parallel(self, *branches: Awaitable[Any]) -> Awaitable[tuple[Any, ...]]:
        """Run coroutines, or steps, at the same time; their results are returned in their order.

        If one raises :class:`~sagas.Rejected`, that is raised once the others have come to their ends.
        """
        for each in branches:
            if not isawaitable(each):
                raise TypeError(
                    "in an async def saga.parallel() takes coroutines, or steps, one after the other, in no list and"
                    f" without lambda, not {each!r:.80}"
                )
        calls = [partial(self._drive, each) for each in branches]
        return NotAwaited(self._replay, f"parallel of {len(calls)}", lambda: self._each(calls, branches))

    def _each(self, calls: Sequence[Callable[[], Any]], branches: Iterable[Any]) -> tuple[Any, ...]:
        try:
            return self._replay.each_branch(calls)
        finally:
            for each in branches:
                if iscoroutine(each):
                    each.close()

    def _ask(self, step: SagaStep) -> Any:
        return NotAwaited(self._replay, step.name, lambda: self._replay.ask(step))

    def _drive(self, awaitable: Awaitable[Any]) -> Any:
        """Run to its end what awaits nothing but the saga's own steps, which do not suspend it."""
        steps = awaitable.__await__() if not iscoroutine(awaitable) else awaitable
        try:
            steps.send(None)
            line = innermost(_suspended(steps))
        except StopIteration as end:
            return end.value
        finally:
            steps.close()
        raise self._replay.fail(
            "it awaited something else than the saga's own steps: saga.parallel(…) does things side by side,"
            " saga.wait(…) waits, and what has to be done outside is a step",
            line,
        )


def _suspended(steps: Any) -> Iterator[tuple[CodeType, int]]:
    """Yield the lines in which a coroutine waits, and those that it waits for, the outermost first."""
    while iscoroutine(steps) and steps.cr_frame is not None:
        yield steps.cr_code, steps.cr_frame.f_lineno
        steps = steps.cr_await


class NotAwaited:
    """A step of an asynchronous function, to be awaited once. Python names it so to who takes it for its result."""

    def __init__(self, replay: Replay, name: str, take: Callable[[], Any]) -> None:
        self._replay, self._name, self._take = replay, name, take
        self._awaited = False
        self._loose = (name, line_here())
        replay.loose.append(self._loose)

    def __repr__(self) -> str:
        return f"<{self._name}, not awaited>"

    def __await__(self) -> Generator[Any, None, Any]:
        if self._awaited:
            raise self._replay.fail(f"it awaited {self._name} twice; keep its result")
        self._awaited = True
        self._replay.loose.remove(self._loose)
        return self._take()
        yield  # never reached: it makes this a generator
