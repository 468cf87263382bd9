"""What a durable function of the simulation does: a small script, as plain data, and the function that plays it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sagas.core.answers import Rejected
from sagas.core.definition import Retry


class Do(NamedTuple):
    """A step; if it is rejected, and there is another way, that is gone."""

    name: str
    undo: str | None = "undo"
    hold: bool = False
    otherwise: "Script | None" = None
    pivot: bool = False
    retriable: bool = False
    probe: bool = False
    """Its participant can be asked what became of it."""
    deadline: float | None = None
    child: bool = False
    """Another saga answers it."""


class Both(NamedTuple):
    """Branches that run in parallel."""

    branches: "tuple[Script, ...]"


class Wait(NamedTuple):
    """A timer, or an approval."""

    name: str
    asks: bool = False


class GiveUp(NamedTuple):
    """The function raises a rejection of its own."""


Script = tuple[Do | Both | Wait | GiveUp, ...]


def function(script: Script, retry: Retry, names: Mapping[str, str]) -> Callable[[Any, Any], Any]:
    """Return the function that does what a script says; ``names`` says what its commands are called by now."""

    def play(saga: Any, part: Script) -> Any:
        for each in part:
            match each:
                case Do(otherwise=None):
                    _do(saga, each, retry, names)
                case Do(otherwise=another):
                    try:
                        _do(saga, each, retry, names)
                    except Rejected:
                        play(saga, another or ())
                case Both(branches=branches):
                    saga.parallel(*(lambda branch=branch: play(saga, branch) for branch in branches))
                case Wait(name=name, asks=False):
                    saga.wait(name, 600)
                case Wait(name=name):
                    saga.approval(name, by="group:x")
                case GiveUp():
                    raise Rejected("enough")
        return len(part)

    return lambda saga, data: play(saga, script)


def _do(saga: Any, step: Do, retry: Retry, names: Mapping[str, str]) -> None:
    same: dict[str, Any] = {"hold": step.hold, "pivot": step.pivot, "retriable": step.retriable}
    same |= {"retry": retry, "undo_retry": retry, "deadline": step.deadline}
    if step.child:
        saga.child(step.name, "Child", **same)
        return
    probe = f"{step.name}.ask" if step.probe else None
    action, undo = (names.get(name, name) if name else None for name in (f"{step.name}.do", step.undo))
    saga.step(step.name, action, undo=undo, probe=probe, probe_retry=retry, **same)


def script_document(script: Script) -> list[dict[str, Any]]:
    """Return a script as plain JSON, defaults left out."""
    return [_document(each) for each in script]


def _document(part: Do | Both | Wait | GiveUp) -> dict[str, Any]:
    match part:
        case Do(otherwise=otherwise):
            told = {name: value for name, value in part._asdict().items() if value != _USUAL.get(name)}
            return {"do": told if otherwise is None else {**told, "otherwise": script_document(otherwise)}}
        case Both(branches=branches):
            return {"both": [script_document(branch) for branch in branches]}
        case Wait():
            return {"wait": part._asdict()}
        case GiveUp():
            return {"give up": {}}


_USUAL = Do._field_defaults


def script_from(document: Sequence[Mapping[str, Any]]) -> Script:
    """Read back what :func:`script_document` wrote."""
    return tuple(_part(kind, told) for each in document for kind, told in each.items())


def _part(kind: str, told: Any) -> Do | Both | Wait | GiveUp:
    match kind:
        case "do" if "otherwise" in told:
            return Do(**{**told, "otherwise": script_from(told["otherwise"])})
        case "do":
            return Do(**told)
        case "both":
            return Both(tuple(script_from(branch) for branch in told))
        case "wait":
            return Wait(**told)
        case _:
            return GiveUp()
