"""What saga authors write and call: a class with a type and steps.

Importing it needs no app registry, so an app may define its sagas anywhere; the orchestrator is loaded on first use.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast
from uuid import UUID

from asgiref.sync import markcoroutinefunction, sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from pydantic import BaseModel

from sagas import registry
from sagas.core.definition import SagaStep

if TYPE_CHECKING:
    from sagas.models import Saga


_Verb = TypeVar("_Verb", bound=Callable[..., Any])


def _verb(verb: _Verb) -> _Verb:
    """Say what would be right where a verb is called on the class, or a plain one from asynchronous code."""
    name = verb.__name__

    @wraps(verb)
    def called(*given: Any, **options: Any) -> Any:
        if not given or not isinstance(given[0], SagaOrchestrator):
            raise TypeError(
                f"{name}() is called on a saga's class; call it on an instance, as Order().{name}(…)"
            )
        try:
            return verb(*given, **options)
        except SynchronousOnlyOperation as wrong:
            text = (
                f"{name}() is called from asynchronous code, which it would hold up: await a{name}(…) there"
            )
            raise SynchronousOnlyOperation(text) from wrong

    return cast(_Verb, markcoroutinefunction(called) if iscoroutinefunction(verb) else called)


class SagaOrchestrator:
    """Subclass it, name a ``saga_type`` and return steps from ``define_steps``: that is a complete saga.

    Hooks, plain or ``async def``, called at least once, after the commit:
    ``on_saga_completed(saga)`` and ``on_saga_failed(saga)``; with a leading underscore they work too.
    """

    saga_type: Any
    """The saga type's name: an attribute or a property."""
    data_model: ClassVar[type[BaseModel] | None] = None
    """Checks the data that a saga is started with, and edited to."""
    hold_on_failure: ClassVar[bool] = False
    """A failing step waits for an operator's decision instead of rolling back by itself."""
    deadline: ClassVar[timedelta | float | None] = None
    """How long a saga may take, from its beginning to its point of no return, or its end; then it rolls back.
    Where that depends on the data, define ``saga_deadline(self, data)`` instead, and return it."""
    every: ClassVar[str | None] = None
    """A cron expression of five fields, read in ``settings.TIME_ZONE``: a clock starts a saga at each tick."""
    sample_data: ClassVar[Mapping[str, Any] | None] = None
    """Data with which the start-up check may call ``define_steps``, and with which the type is drilled."""
    drill_setup: ClassVar[Any] = None
    """Puts into the drill's empty database what the participants need: a method, or a function's dotted name."""
    drill_invariants: ClassVar[Any] = ()
    """What must hold however a run of the drill ends: functions or their dotted names, or a method that returns such.
    Each is called with a :class:`sagas.testing.Ending`, and asserts, or returns False or a text, or texts, of what
    is wrong."""
    drill_ignores: ClassVar[Iterable[str]] = ()
    """What the drill does not compare: models, as ``shop.Visit``, and fields, as ``shop.Order.seen_at``."""
    drill_reads: ClassVar[Mapping[str, str | Callable[[Any], Any]]] = {}
    """For tables that keep history, which of it counts for the drill: a model's label, and the name of its
    queryset's method that leaves what is in force, or a function from queryset to queryset; one of
    ``values(…).annotate(…)`` has sums compared."""

    def __init__(self, *ignored: Any, **named: Any) -> None:
        """Take, and ignore, a store, a publisher and whatever else: the database is all of it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        registry.add_saga_class(cls)

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the steps for this data. Plain values in, plain values out: it is called once, at the start."""
        raise TypeError(f"{type(self).__name__} must define define_steps(self, data) and return SagaSteps.")

    def drill_reply(self, command: Any) -> Any:
        """In a drill, return what comes from outside for a command whose handler has answered ``Later``."""
        return None

    def periodic_data(self) -> Mapping[str, Any]:
        """Return the data of a saga that a clock starts (see ``every``); the clock waits, and may ask twice."""
        return {}

    @_verb
    def start(self, data: Mapping[str, Any], **options: Any) -> "Saga":
        """Start a saga of this type; options are ``correlation_id``, ``idempotency_key``, ``at`` and ``started_by``.

        ``at`` is a moment to come, at which it begins; ``started_by`` the user who may not approve what it asks.
        """
        from sagas import orchestrator

        return orchestrator.start(self.saga_type, data, **options).saga

    @_verb
    def run(self, data: Mapping[str, Any], *, wait: float = 30.0, **options: Any) -> "Saga":
        """Start a saga and carry it on in this process; return it when it has ended, or waits for a person.

        No worker has to hear of it, and each step is as durable as with one. What is not for this process (see
        ``SAGAS["RUN_QUEUES"]``), or is to be tried again later, goes on with the workers. After ``wait`` seconds it
        is returned as it stands, and goes on. Options are those of :meth:`start`, but for ``at``. Raises RuntimeError
        inside a transaction: what has an effect may only follow a start that is durable.
        """
        from sagas import direct

        return direct.run(self.saga_type, data, wait, **options)

    @_verb
    async def arun(self, data: Mapping[str, Any], *, wait: float = 30.0, **options: Any) -> "Saga":
        """Start a saga and carry it on as :meth:`run` does, from asynchronous code."""
        from sagas import direct

        return await direct.arun(self.saga_type, data, wait, **options)

    @_verb
    async def astart(self, data: Mapping[str, Any], **options: Any) -> "Saga":
        """Start a saga of this type, from asynchronous code."""
        return await sync_to_async(self.start)(data, **options)

    @_verb
    def handle_step_completed(
        self, saga_id: UUID | str, step_name: str, result: Any = None, *, key: str | None = None
    ) -> bool:
        """Answer a step's open action with success; False if the reply was late.

        With ``key``, a command's ``meta.key``, it answers that command and no other: what comes twice, as webhooks
        do, cannot answer the one that an operator had sent meanwhile. Raises Invalid for a key that is not one of
        the step's.
        """
        from sagas import orchestrator

        return orchestrator.step_completed(saga_id, step_name, result, key=key)

    @_verb
    def handle_step_failed(
        self, saga_id: UUID | str, step_name: str, error: str = "", *, key: str | None = None
    ) -> bool:
        """Answer a step's open action with a rejection; False if the reply was late. Of ``key``, see above."""
        from sagas import orchestrator

        return orchestrator.step_failed(saga_id, step_name, error, key=key)

    @_verb
    def handle_compensation_completed(
        self, saga_id: UUID | str, step_name: str, *, key: str | None = None
    ) -> bool:
        """Answer a step's open undo with success; False if the reply was late. Of ``key``, see above."""
        from sagas import orchestrator

        return orchestrator.compensation_completed(saga_id, step_name, key=key)

    @_verb
    async def ahandle_step_completed(
        self, saga_id: UUID | str, step_name: str, result: Any = None, *, key: str | None = None
    ) -> bool:
        """Answer as :meth:`handle_step_completed` does, from asynchronous code."""
        return await sync_to_async(self.handle_step_completed)(saga_id, step_name, result, key=key)

    @_verb
    async def ahandle_step_failed(
        self, saga_id: UUID | str, step_name: str, error: str = "", *, key: str | None = None
    ) -> bool:
        """Answer as :meth:`handle_step_failed` does, from asynchronous code."""
        return await sync_to_async(self.handle_step_failed)(saga_id, step_name, error, key=key)

    @_verb
    async def ahandle_compensation_completed(
        self, saga_id: UUID | str, step_name: str, *, key: str | None = None
    ) -> bool:
        """Answer as :meth:`handle_compensation_completed` does, from asynchronous code."""
        return await sync_to_async(self.handle_compensation_completed)(saga_id, step_name, key=key)


class TimeoutSagaOrchestrator(SagaOrchestrator):
    """A saga each of whose steps has a limit: what is not done by then, attempts and all, rolls the saga back.

    A step's own ``deadline`` goes before. Timers and approvals say themselves how long they wait.
    """

    default_timeout: ClassVar[timedelta | float] = timedelta(minutes=5)
    """How long a step may take from its dispatch: a timedelta, or seconds."""
