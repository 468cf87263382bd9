"""A saga type whose sagas have children of the same type, for tests: what each does is what its data says."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

from sagas import (
    CANNOT_UNDO,
    Choreography,
    Reaction,
    Rejected,
    Retry,
    SagaOrchestrator,
    SagaStep,
    approval,
    child,
    command,
    durable_saga,
    subscribe,
    timer,
)

QUICK = Retry(max_attempts=2, first=0.0)
#: What a command does instead of its effect; a test sets it by ``"saga's name.step"`` or by the command's name.
answers: dict[str, Callable[[Any], Any]] = {}
#: The effects that stand, by the keys of the actions that made them.
standing: dict[str, str] = {}
#: What undos were given, in their order.
undone: list[Any] = []


class Any_(BaseModel):
    """Whatever it is, as long as it is not told to refuse."""

    model_config = ConfigDict(extra="allow")
    number: int = 1


class Kin(SagaOrchestrator):
    """One of a family."""

    saga_type = "Kin"
    data_model = Any_

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return those of the steps that the data names, in its order."""
        retry: dict[str, Any] = {"retry": QUICK, "undo_retry": QUICK}
        own: dict[str, Any] = data.get("own", {})
        known: dict[str, Callable[[], SagaStep]] = {
            "plan": lambda: SagaStep("plan", "KinService.Do", "KinService.Undo", **retry),
            "build": lambda: SagaStep("build", "KinService.Do", "KinService.Undo", **retry),
            "note": lambda: SagaStep("note", "KinService.Do", **retry),
            "fixed": lambda: SagaStep("fixed", "KinService.Do", CANNOT_UNDO, **retry),
            "sign": lambda: SagaStep("sign", "KinService.Do", "KinService.Undo", pivot=True, **retry),
            "after": lambda: SagaStep("after", "KinService.Do", retriable=True, **retry),
            "ok": lambda: approval("ok", by="perm:sagas.approve_saga"),
            "rest": lambda: timer("rest", wait=3600),
            "child": lambda: child(
                "child", data.get("type", "Kin"), data=data.get("its", "child"), undo_retry=QUICK, **own
            ),
        }
        return [known[name]() for name in data["steps"]]


class Village(Choreography):
    """A choreography, as a child."""

    saga_type = "Village"
    first_event = "VillageAsked"
    completed_events = ("VillageBuilt",)
    failed_events = ("VillageGone",)
    turning_events = ("VillageUnwanted",)
    compensation_event = "VillageUnwanted"

    def define_steps(self, data: dict[str, Any]) -> list[Reaction]:
        """Return what the subscribers do."""
        return [
            Reaction(
                "settle",
                on="VillageAsked",
                by="settlers",
                publishes=("VillageBuilt", "VillageUnwanted"),
            ),
            Reaction(
                "leave",
                on="VillageUnwanted",
                by="settlers",
                publishes="VillageGone",
                compensates="settle",
            ),
        ]


class Hamlet(Village):
    """One that nothing takes back."""

    saga_type = "Hamlet"
    first_event = "HamletAsked"
    turning_events = ()
    compensation_event = None

    def define_steps(self, data: dict[str, Any]) -> list[Reaction]:
        """Return what the subscribers do."""
        return [Reaction("settle", on="HamletAsked", by="settlers", publishes="VillageBuilt")]


@durable_saga("Tale", data_model=Any_)
def tale(saga: Any, data: dict[str, Any]) -> Any:
    """A child that is a function."""
    plan = saga.step("plan", "KinService.Do", undo="KinService.Undo")
    for turn in range(data["turns"]):
        saga.step("build", "KinService.Do", undo="KinService.Undo", input={"turn": turn})
    return plan


def _name(sent: Any) -> str:
    return f"{sent.get('name', '')}.{sent.meta.step}"


def _instead(sent: Any) -> Callable[[Any], Any] | None:
    return answers.get(_name(sent)) or answers.get(sent.name)


@command("KinService.Do", inbox=True)
def do(sent: Any) -> Any:
    """Have an effect."""
    instead = _instead(sent)
    if instead is not None:
        return instead(sent)
    standing[sent.meta.key] = _name(sent)
    return {"by": _name(sent)}


@command("KinService.Undo", inbox=True)
def undo(sent: Any) -> Any:
    """Take an effect down, found by its key."""
    instead = answers.get("KinService.Undo")
    if instead is not None:
        return instead(sent)
    standing.pop(sent.meta.undoes, None)
    undone.append({"name": _name(sent), "result": sent["original_result"], "results": sent["results"]})
    return None


for _event in ("VillageAsked", "HamletAsked", "VillageUnwanted"):

    @subscribe(_event, name="settlers", queue="kin", inbox=True)
    def settle(context: Any) -> None:
        """Do as a test says."""
        instead = answers.get(context.event)
        if instead is not None:
            instead(context)


def no(reason: str = "no") -> Callable[[Any], Any]:
    """Return a behaviour that refuses."""

    def refuse(_: Any) -> Any:
        raise Rejected(reason)

    return refuse


def breaks(_: Any) -> Any:
    """Fail without an answer."""
    raise ConnectionError("the line is dead")
