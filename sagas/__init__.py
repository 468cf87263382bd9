"""Sagadesk: run, watch and repair sagas in Django.

Importing this needs no app registry: each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sagas.author import SagaOrchestrator as SagaOrchestrator
    from sagas.author import TimeoutSagaOrchestrator as TimeoutSagaOrchestrator
    from sagas.core.definition import CANNOT_UNDO as CANNOT_UNDO
    from sagas.core.definition import Retry as Retry
    from sagas.core.definition import SagaStep as SagaStep
    from sagas.core.definition import approval as approval
    from sagas.core.definition import timer as timer
    from sagas.core.words import SagaState as SagaState
    from sagas.registry import Later as Later
    from sagas.registry import NoSuchCommand as NoSuchCommand
    from sagas.registry import Rejected as Rejected
    from sagas.registry import Unavailable as Unavailable
    from sagas.registry import command as command
    from sagas.registry import subscribe as subscribe

__all__ = [
    "CANNOT_UNDO",
    "Later",
    "NoSuchCommand",
    "Rejected",
    "Retry",
    "SagaOrchestrator",
    "SagaState",
    "SagaStep",
    "TimeoutSagaOrchestrator",
    "Unavailable",
    "approval",
    "command",
    "subscribe",
    "timer",
]

_HOME = {
    "CANNOT_UNDO": "sagas.core.definition",
    "Later": "sagas.registry",
    "NoSuchCommand": "sagas.registry",
    "Rejected": "sagas.registry",
    "Retry": "sagas.core.definition",
    "SagaOrchestrator": "sagas.author",
    "SagaState": "sagas.core.words",
    "SagaStep": "sagas.core.definition",
    "TimeoutSagaOrchestrator": "sagas.author",
    "approval": "sagas.core.definition",
    "Unavailable": "sagas.registry",
    "command": "sagas.registry",
    "subscribe": "sagas.registry",
    "timer": "sagas.core.definition",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
