"""Sagadesk: run, watch and repair sagas in Django.

Importing this needs no app registry: each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sagas.author import SagaOrchestrator as SagaOrchestrator
    from sagas.author import TimeoutSagaOrchestrator as TimeoutSagaOrchestrator
    from sagas.choreography import Choreography as Choreography
    from sagas.choreography import apublish as apublish
    from sagas.choreography import publish as publish
    from sagas.core.answers import Later as Later
    from sagas.core.answers import NoSuchCommand as NoSuchCommand
    from sagas.core.answers import Rejected as Rejected
    from sagas.core.answers import Unavailable as Unavailable
    from sagas.core.built_in import approval as approval
    from sagas.core.built_in import child as child
    from sagas.core.built_in import timer as timer
    from sagas.core.context import SagaContext as SagaContext
    from sagas.core.definition import CANNOT_UNDO as CANNOT_UNDO
    from sagas.core.definition import Retry as Retry
    from sagas.core.definition import SagaStep as SagaStep
    from sagas.core.reactions import Reaction as Reaction
    from sagas.core.words import SagaState as SagaState
    from sagas.functions import durable_saga as durable_saga
    from sagas.registry import command as command
    from sagas.registry import subscribe as subscribe

__all__ = [
    "CANNOT_UNDO",
    "Choreography",
    "Later",
    "NoSuchCommand",
    "Reaction",
    "Rejected",
    "Retry",
    "SagaContext",
    "SagaOrchestrator",
    "SagaState",
    "SagaStep",
    "TimeoutSagaOrchestrator",
    "Unavailable",
    "approval",
    "apublish",
    "child",
    "command",
    "durable_saga",
    "publish",
    "subscribe",
    "timer",
]

_HOME = {
    "CANNOT_UNDO": "sagas.core.definition",
    "Later": "sagas.core.answers",
    "NoSuchCommand": "sagas.core.answers",
    "Choreography": "sagas.choreography",
    "Reaction": "sagas.core.reactions",
    "Rejected": "sagas.core.answers",
    "Retry": "sagas.core.definition",
    "SagaContext": "sagas.core.context",
    "SagaOrchestrator": "sagas.author",
    "SagaState": "sagas.core.words",
    "SagaStep": "sagas.core.definition",
    "TimeoutSagaOrchestrator": "sagas.author",
    "approval": "sagas.core.built_in",
    "child": "sagas.core.built_in",
    "Unavailable": "sagas.core.answers",
    "apublish": "sagas.choreography",
    "command": "sagas.registry",
    "durable_saga": "sagas.functions",
    "publish": "sagas.choreography",
    "subscribe": "sagas.registry",
    "timer": "sagas.core.built_in",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
