"""Saga types, command handlers and subscribers, by name. What a name means is looked up when it is needed."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from sagas.conf import settings
from sagas.core.flow import delivery

Handler = Callable[..., Any]

#: The queue for what belongs to no service.
DEFAULT_QUEUE = "default"
#: The queue for hooks and subscribers.
EVENTS_QUEUE = "events"
#: The queue for what comes due because a time is up; every worker serves it, whatever else it serves.
WAITS_QUEUE = "waits"


class SagaType(Protocol):
    """What the registry needs to know of a saga author's class; see ``sagas.SagaOrchestrator``."""

    saga_type: Any

    def define_steps(self, data: Mapping[str, Any]) -> Any:
        """Return the steps for this data."""


@dataclass(frozen=True)
class Command:
    """A handler, and how it wants to be called."""

    name: str
    function: Handler
    queue: str
    inbox: bool
    """It remembers keys, so that calling it again has no second effect."""
    model: type[BaseModel] | None = None
    is_async: bool = False


@dataclass(frozen=True)
class Subscriber:
    """A function that wants to hear of an event, at least once."""

    name: str
    event: str
    function: Handler
    queue: str
    is_async: bool = False


class Transport(Protocol):
    """Brings commands to participants that are not functions of this project."""

    def handler(self, name: str) -> Command | None:
        """Return how that command is sent; None if another transport knows."""

    def queues(self) -> Iterable[str]:
        """Return the queues of all that is sent."""


class AlreadyRegistered(ValueError):
    """Two different functions or classes claim one name."""


class Unnamed(ValueError):
    """A class that looks like a saga type and has no name."""


_commands: dict[str, Command] = {}
_formerly: dict[str, str] = {}
"""Former name of a command -> its name now."""
_subscribers: dict[str, dict[str, Subscriber]] = {}
_saga_classes: dict[str, type[Any]] = {}
_saga_types: dict[str, Any] = {}
_faults: dict[str, Exception] = {}
_transports: list[Transport] = []


def queue_for(command: str) -> str:
    """Return the queue of a command: its service's own, such as ``payment`` for ``PaymentService.Refund``."""
    known = handler(command)
    return known.queue if known else service_queue(command)


def service_queue(command: str) -> str:
    """Return the queue that a command's name stands for: its service's."""
    service, dot, _ = command.partition(".")
    if not dot:
        return DEFAULT_QUEUE
    if service in settings().QUEUES:
        return settings().QUEUES[service]
    stem = service.removesuffix("Service") or service
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", stem).lower()


def is_registered(function: Handler) -> bool:
    """Whether a function handles a command, or hears of an event, as it is."""
    heard = (known.function for each in _subscribers.values() for known in each.values())
    return any(known is function for known in (*(c.function for c in _commands.values()), *heard))


def is_async(function: Handler) -> bool:
    """Whether a handler is an ``async def``, whatever it is wrapped in."""
    return inspect.iscoroutinefunction(inspect.unwrap(function))


def command(
    name: str,
    *,
    queue: str | None = None,
    model: type[BaseModel] | None = None,
    inbox: bool | None = None,
    formerly: Sequence[str] = (),
) -> Callable[[Handler], Handler]:
    """Register a function, plain or ``async def``, as the handler of a command.

    The function takes one argument, a mapping: the saga's data, ``saga_id``, ``step_name``,
    ``results`` and, in an undo, ``original_result``; ``.meta`` is the envelope, and ``.input``
    the validated ``model``. Raising :class:`sagas.Rejected` says that nothing was done.

    ``inbox`` says that repeating it has no second effect; handlers made with
    :func:`sagas.inbox.once` say so by themselves.

    ``formerly`` are names that it had before: sagas under way that were promised one of them are served, too,
    under the same keys, until ``saga remap`` has given them the name of today.
    """

    _check_name("command", name, "PaymentService.Refund")
    _check_kinds(name, model, inbox)

    def register(function: Handler) -> Handler:
        check_argument("@command", function, "command")
        has_inbox = getattr(function, "saga_inbox", False) if inbox is None else inbox
        entry = Command(name, function, queue or service_queue(name), has_inbox, model, is_async(function))
        present = _commands.get(name)
        if present and not _same(present.function, function):
            raise AlreadyRegistered(f"The command {name} is already handled by {_where(present.function)}.")
        _check_former_names(name, formerly)
        _commands[name] = entry
        _formerly.update(dict.fromkeys(formerly, name))
        return function

    return register


def _check_name(decorator: str, name: object, example: str) -> None:
    """Raise unless it is called with a name: ``@command`` alone would leave the function unregistered, and lost."""
    if not isinstance(name, str) or not name:
        raise TypeError(f'@{decorator} takes a name first, as @{decorator}("{example}").')


def _check_kinds(name: str, model: object, inbox: object) -> None:
    """Raise unless they are what they are taken for: it would be found out with the first command."""
    if model is not None and not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"The command {name}: model must be a pydantic model, not {model!r:.80}.")
    if inbox is not None and not isinstance(inbox, bool):
        raise TypeError(f"The command {name}: inbox must be True, False or None, not {inbox!r:.80}.")


def check_argument(caller: str, function: Handler, argument: str) -> None:
    """Raise unless a function takes one argument, as it is: a wrapper may give more to what it wraps."""
    try:
        inspect.signature(function, follow_wrapped=False).bind(None)
    except ValueError:
        return  # written in C, and without a signature
    except TypeError as wrong:
        name = getattr(function, "__name__", function)
        raise TypeError(f"{caller} calls {name}({argument}), which it does not take: {wrong}") from wrong


def _check_former_names(name: str, formerly: Sequence[str]) -> None:
    """Raise unless each name means one command: as its name of today, or as a former one."""
    if isinstance(formerly, str):
        raise TypeError(f'The command {name}: formerly lists names, as ("{formerly}",).')
    if _formerly.get(name, name) != name:
        raise AlreadyRegistered(f"The command {name} is a former name of {_formerly[name]}.")
    for old in formerly:
        if old in _commands:
            raise AlreadyRegistered(f"The command {old} cannot be a former name of {name}: it has a handler.")
        if _formerly.get(old, name) != name:
            raise AlreadyRegistered(f"The command {old} is already a former name of {_formerly[old]}.")


def subscribe(
    event: str,
    *,
    name: str | None = None,
    queue: str = EVENTS_QUEUE,
    model: type[BaseModel] | None = None,
    inbox: bool | None = None,
) -> Callable[[Handler], Handler]:
    """Register a function, plain or ``async def``, to hear of an event, at least once.

    Of a domain event it hears in a :class:`sagas.SagaContext`, and of a saga's events one by one and in order;
    functions with the same ``name`` are one subscriber. ``model`` and ``inbox`` are as for :func:`command`.

    Of our own events it takes the mapping: ``SagaStepCompleted``, ``SagaStepFailed``,
    ``SagaCompensationCompleted``, ``<SagaType>Completed``, ``<SagaType>Failed``.
    """

    _check_name("subscribe", event, "OrderCreated")

    def register(function: Handler) -> Handler:
        check_argument("@subscribe", function, "event")
        label = name or _where(function)
        command(delivery(event, label), queue=queue, model=model, inbox=inbox)(function)
        entry = Subscriber(label, event, function, queue, is_async(function))
        _subscribers.setdefault(event, {})[label] = entry
        return function

    return register


def _where(function: Any) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _same(one: Any, other: Any) -> bool:
    return _where(one) == _where(other)


def add_saga_class(saga_class: type[Any]) -> None:
    """Remember a saga author's class; it is instantiated when its type is first asked for."""
    _saga_classes[_where(saga_class)] = saga_class


def _instances() -> dict[str, Any]:
    while _saga_classes:
        where = next(iter(_saga_classes))  # who came first has the name
        try:
            _enter(_saga_classes.pop(where))
        except Exception as fault:  # whatever an author's constructor or property may raise
            _faults[where] = fault
    return _saga_types


def _enter(saga_class: type[Any]) -> None:
    instance = _instantiate(saga_class)
    saga_type = getattr(instance, "saga_type", None)
    if not isinstance(saga_type, str) or not saga_type:
        ours = saga_class.__module__.partition(".")[0] == __package__
        if "define_steps" in vars(saga_class) and not ours and not saga_class.__subclasses__():
            raise Unnamed(f"{_where(saga_class)} defines steps but no saga_type, so nothing can start it.")
        return  # an abstract base
    present = _saga_types.get(saga_type)
    if present and not _same(type(present), type(instance)):
        raise AlreadyRegistered(f"The saga type {saga_type} is already defined by {_where(type(present))}.")
    _saga_types[saga_type] = instance


def _instantiate(saga_class: type[Any]) -> Any:
    """Make an instance, giving None for whatever store or publisher its constructor insists on."""
    parameters = list(inspect.signature(saga_class).parameters.values())
    needed = [
        None
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return saga_class(*needed)


def saga_types() -> Mapping[str, Any]:
    """Return every saga type by its name."""
    return _instances()


def faults() -> Mapping[str, Exception]:
    """Return the classes that cannot be used as saga types, and why; a system check tells of them."""
    _instances()
    return _faults


def saga_type(name: str) -> Any | None:
    """Return the saga author's object for a type, or None."""
    return _instances().get(name)


def handler(name: str) -> Command | None:
    """Return the handler of a command, by any of its names: a function of ours, else one that sends it elsewhere."""
    own = _commands.get(name) or _commands.get(_formerly.get(name, ""))
    return own or next((found for each in _transports if (found := each.handler(name))), None)


def former_names() -> Mapping[str, str]:
    """Return the former names of commands, each with the name of today."""
    return _formerly


def add_transport(transport: Transport) -> None:
    """Make it known."""
    _transports.append(transport)


def commands() -> Mapping[str, Command]:
    """Return every registered handler by its command's name."""
    return _commands


def names() -> frozenset[str]:
    """Return every name, former ones too, by which a function of ours can be called."""
    return frozenset(_commands) | frozenset(_formerly)


def events() -> tuple[str, ...]:
    """Return every event that somebody wants to hear of."""
    return tuple(_subscribers)


def subscribers(event: str) -> tuple[Subscriber, ...]:
    """Return who wants to hear of an event."""
    return tuple(_subscribers.get(event, {}).values())


def subscriber(event: str, name: str) -> Subscriber | None:
    """Return a subscriber by name, or None."""
    return _subscribers.get(event, {}).get(name)


def queues() -> tuple[str, ...]:
    """Return every queue that some handler or subscriber is served by."""
    named = {c.queue for c in _commands.values()}
    named |= {queue for transport in _transports for queue in transport.queues()}
    named |= {service_queue(name) for name in _formerly}  # where what is due under a former name may wait
    named |= {s.queue for those in _subscribers.values() for s in those.values()}
    return tuple(sorted(named | {DEFAULT_QUEUE, EVENTS_QUEUE, WAITS_QUEUE}))
