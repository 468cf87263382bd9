"""What authors of durable functions write: a plain function, or an ``async def``, under a saga type's name.

Importing it needs no app registry; the orchestrator is loaded on first use.
"""

import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from sagas import registry, replay
from sagas.author import SagaOrchestrator
from sagas.core.definition import ACTION_RETRY, FUNCTION, Retry, SagaStep

#: What may be said of a type: the class attributes, methods and hooks of :class:`sagas.SagaOrchestrator`.
OPTIONS = frozenset(
    {"data_model", "hold_on_failure", "deadline", "every", "sample_data"}
    | {"drill_setup", "drill_invariants", "drill_ignores", "drill_reads", "drill_reply"}
    | {"saga_deadline", "periodic_data", "on_saga_completed", "on_saga_failed"}
)

#: What is given where no data is, which may be None.
_NONE: Any = object()


class DurableFunction(SagaOrchestrator):
    """The saga type of a function; :func:`durable_saga` makes one for each."""

    growing: ClassVar[bool] = True
    function: ClassVar[Callable[..., Any]]
    timeout: ClassVar[float]
    retry: ClassVar[Retry]

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the function's own step: it is run to learn of the others."""
        return [SagaStep(FUNCTION, command_of(self.saga_type), timeout=self.timeout, retry=self.retry)]

    def __call__(self, saga: Any, data: Mapping[str, Any] = _NONE) -> Any:
        """Call the function itself, as tests may."""
        if data is _NONE:
            name = type(self).__name__
            raise TypeError(
                f"{name}(data) calls the function itself, which takes the saga, too; start one by {name}.start(data),"
                f" or {name}.run(data)"
            )
        return type(self).function(saga, data)

    def __repr__(self) -> str:
        return f"<durable saga {self.saga_type}>"


def command_of(saga_type: str) -> str:
    """Return the name of the command that runs a type's function."""
    return f"function {saga_type}"


def durable_saga(
    saga_type: str,
    *,
    queue: str = registry.DEFAULT_QUEUE,
    timeout: timedelta | float = 60.0,
    retry: Retry = ACTION_RETRY,
    **options: Any,
) -> Callable[[Callable[..., Any]], DurableFunction]:
    """Make a saga type of a function ``f(saga, data)``, plain or ``async def``.

    It is run whenever a step of it has come to a verdict, from its top, and answered from the record as far as that
    goes. So it must do the same each time it is told the same: no clock but ``saga.now``, no dice, no database; what
    has an effect, or may differ, is a step. ``queue``, ``timeout`` and ``retry`` are those of its runs; the other
    options are the class attributes and hooks of :class:`~sagas.SagaOrchestrator`.
    """
    unknown = options.keys() - OPTIONS
    if unknown:
        known = ", ".join(sorted(OPTIONS | {"queue", "timeout", "retry"}))
        raise TypeError(f"durable_saga() takes no {', '.join(sorted(unknown))}; options are {known}")
    if not isinstance(saga_type, str) or not saga_type:
        raise TypeError(
            'durable_saga() takes the saga type\'s name first, as @durable_saga("SubscriptionRenewal")'
        )

    def register(function: Callable[..., Any]) -> DurableFunction:
        _check_function(function)
        body: dict[str, Any] = {name: _unbound(value) for name, value in options.items()}
        body |= {
            "saga_type": saga_type,
            "function": staticmethod(function),
            "timeout": timeout,
            "retry": retry,
        }
        body |= {
            "__module__": function.__module__,
            "__qualname__": function.__qualname__,
            "__doc__": function.__doc__,
        }
        made = type(function.__name__, (DurableFunction,), body)
        _serve(function, command_of(saga_type), queue, hold=bool(options.get("hold_on_failure")))
        found: DurableFunction = made()
        return found

    return register


def _check_function(function: Callable[..., Any]) -> None:
    name = getattr(function, "__name__", function)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{name} has a yield: a durable function asks by saga.step(…), and returns its result"
        )
    try:
        inspect.signature(function).bind(None, {})
    except TypeError as wrong:
        raise TypeError(
            f"durable_saga() calls {name}(saga, data), which it does not take: {wrong}"
        ) from wrong


def _unbound(value: Any) -> Any:
    """Let a function that is given as an option be called without the type's object."""
    return staticmethod(value) if callable(value) and not isinstance(value, type) else value


def _serve(function: Callable[..., Any], command: str, queue: str, *, hold: bool) -> None:
    def run(record: replay.Record) -> Any:
        return replay.run(function, record, hold=hold)

    run.__module__, run.__qualname__ = function.__module__, function.__qualname__
    registry.command(command, queue=queue, inbox=True)(run)
