"""Participants of one small saga, and the ledger in which they write what they did.

The ledger stands beside the inbox, in the participants' own tables: it is the oracle, and knows nothing of the engine.
What a participant says is in the saga's data, so that it says the same to whoever asks after a crash.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection, models

from sagas import (
    CANNOT_UNDO,
    Choreography,
    Later,
    Reaction,
    Rejected,
    Retry,
    SagaContext,
    SagaOrchestrator,
    SagaStep,
    approval,
    child,
    command,
    durable_saga,
    publish,
    subscribe,
    timer,
)
from sagas.alerts import Untold
from sagas.inbox import Inbox, became_of, once
from sagas.models import Notice, Saga
from tests.crashpoints.seams import participant

#: What nobody handles any more under its old name.
ANEW = {"ParcelService.PayOnce": "ParcelService.Pay"}
#: So long that what waits does so until the clock has ticked.
WAIT = 60.0


class Memory(Inbox):
    """The participants' inbox."""

    class Meta:
        app_label = "crashpoints"


class Effect(models.Model):
    """One thing that was done, or heard. Nothing keeps it from being there twice: that is for the tests to find."""

    saga = models.CharField(max_length=40)
    what = models.CharField(max_length=100)
    key = models.CharField(max_length=250)

    class Meta:
        app_label = "crashpoints"

    def __str__(self) -> str:
        return f"{self.what} {self.key}"


def make_tables() -> None:
    """Make the participants' tables."""
    with connection.schema_editor() as editor:
        for model in (Memory, Effect):
            editor.create_model(model)


class Hangs(BaseException):
    """A handler that does not come back for now; tests alone know what to do with it."""


class Parcel(SagaOrchestrator):
    """Fetch and pay; its data says which variant, and what its participants say."""

    saga_type = "Parcel"
    sample_data = {}

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the chain, perhaps with a third step, or two branches and a join."""
        undo = CANNOT_UNDO if data.get("cannot_undo") else "ParcelService.Return"
        retry = Retry(data.get("tries", 5), WAIT)
        common: dict[str, Any] = {"retry": retry, "undo_retry": retry, "hold": bool(data.get("hold"))}
        asked = {"probe_retry": retry} if data.get("asked") else {}
        ask = "ParcelService.Ask" if asked else None
        bare = "Bare" if data.get("bare") else "Parcel"
        pay = "PayOnce" if data.get("anew") else "Pay"
        needs = () if data.get("shape") == "branches" else ("fetch",)
        steps = [
            SagaStep("fetch", "ParcelService.Fetch", undo, undo_probe=ask, **common, **asked),
            SagaStep(
                "pay",
                f"{bare}Service.{pay}",
                f"{bare}Service.Refund",
                needs=needs,
                probe=ask,
                **common,
                **asked,
            ),
        ]
        join = [SagaStep("post", "ParcelService.Post", needs=("fetch", "pay"), **common)]
        return steps + (join if data.get("shape") else [])


class ToldParcel(Parcel):
    """A parcel of which others want to hear."""

    saga_type = "ToldParcel"

    def on_saga_completed(self, saga: Any) -> None:
        """Hear of the end."""
        _hear(saga.saga_id, "hook")

    async def on_saga_failed(self, saga: Any) -> None:
        """Hear of the other end; it may not write here."""
        participant(lambda: None)()


class Forsaken(SagaOrchestrator):
    """A saga whose participant nobody is."""

    saga_type = "Forsaken"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return one step."""
        return [SagaStep("call", "StrangeService.Call")]


class Waits(SagaOrchestrator):
    """A saga that waits: what for, its data says, between something that can be undone and the end."""

    saga_type = "Waits"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the chain."""
        once, often = Retry(data.get("tries", 5), WAIT), Retry(5, WAIT)
        common: dict[str, Any] = {"retry": often, "undo_retry": often}
        waiting = {
            "timer": lambda: timer("wait", wait=WAIT),
            "approval": lambda: approval("wait", by="perm:sagas.approve_saga", **data.get("ask", {})),
            "reply": lambda: SagaStep(
                "wait", "ParcelService.Pay", "ParcelService.Refund", retry=once, undo_retry=often
            ),
        }
        return [
            SagaStep("fetch", "ParcelService.Fetch", "ParcelService.Return", **common),
            waiting[data["for"]](),
            SagaStep("post", "ParcelService.Post", **common),
        ]

    def saga_deadline(self, data: dict[str, Any]) -> float | None:
        """Return what the data says."""
        return data.get("deadline")


class Sender(SagaOrchestrator):
    """A saga that has another one fetch, or wait; or that fetches itself, if its data has nothing for another."""

    saga_type = "Sender"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the step, and perhaps one that waits for people."""
        often: dict[str, Any] = {"retry": Retry(5, WAIT), "undo_retry": Retry(5, WAIT)}
        steps = [SagaStep("fetch", "ParcelService.Fetch", "ParcelService.Return", **often)]
        if "parcel" in data:
            steps = [child("have", data.get("kind", "Sender"), data="parcel", **often)]
        return [*steps, *([approval("wait", by="perm:sagas.approve_saga")] if data.get("ask") else [])]


class Yearly:
    """A saga that the clock starts. It is no subclass, so that only the clock of its own path knows of it."""

    saga_type = "Yearly"
    every = "0 0 1 1 *"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return one step."""
        return [SagaStep("fetch", "ParcelService.Fetch", "ParcelService.Return")]

    def periodic_data(self) -> dict[str, Any]:
        """Return data."""
        return {}


class Asynchronous(SagaOrchestrator):
    """A saga whose participant is asynchronous."""

    saga_type = "Asynchronous"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return one step."""
        return [SagaStep("wait", "AsynchronousService.Wait", retry=Retry(first=WAIT))]


class ParcelRound(Choreography):
    """Fetch and pay, by events."""

    saga_type = "ParcelRound"
    first_event = "ParcelAsked"
    completed_events = ("ParcelPaid",)
    failed_events = ("ParcelReturned",)
    turning_events = ("ParcelUnpaid",)

    def define_steps(self, data: dict[str, Any]) -> list[Reaction]:
        """Return what the subscribers do."""
        wait = Retry(data.get("tries", 5), WAIT)
        return [
            Reaction("fetch", on="ParcelAsked", by="fetcher", publishes="ParcelFetched", retry=wait),
            Reaction(
                "pay", on="ParcelFetched", by="payer", publishes=("ParcelPaid", "ParcelUnpaid"), retry=wait
            ),
            Reaction(
                "return",
                on="ParcelUnpaid",
                by="fetcher",
                publishes="ParcelReturned",
                compensates="fetch",
                retry=wait,
            ),
        ]


@durable_saga("ParcelFunction", queue="parcel", retry=Retry(first=WAIT))
@participant
def parcel_function(saga: Any, data: Any) -> Any:
    """Fetch and pay at the same time, and post; without the money, post all the same."""
    retry = Retry(first=WAIT)

    def fetch() -> Any:
        return saga.step(
            "fetch", "ParcelService.Fetch", undo="ParcelService.Return", retry=retry, undo_retry=retry
        )

    def pay() -> Any:
        return saga.step(
            "pay", "ParcelService.Pay", undo="ParcelService.Refund", retry=retry, undo_retry=retry
        )

    try:
        done = saga.parallel(fetch, pay)
    except Rejected as no:
        done = [str(no)]
    saga.step("post", "ParcelService.Post", retry=retry)
    return list(done)


#: Whether handlers that hung come back now.
released = False


def _effect(sent: Any) -> Any:
    """Say no, break before anything has happened, or have the effect."""
    if _says(sent, "reject"):
        raise Rejected("not today")
    if _says(sent, "fail"):
        raise ConnectionError("the line is dead")
    _record(sent)
    if _says(sent, "later"):  # it is handed on, which is an effect, too
        return Later(within=WAIT)
    return {"by": sent.name}


def _publishing(event: str) -> Any:
    """Return a subscriber's work: an effect and an event, or the event alone that says no, or neither."""

    def react(sent: Any) -> Any:
        if _says(sent, "refuse"):
            publish("ParcelUnpaid", {"reason": "not today"})
            return None
        result = _effect(sent)
        if not _says(sent, "keep_silent"):
            publish(event, {"by": sent.step})
        return result

    return react


def _record(sent: Any) -> None:
    if isinstance(sent, SagaContext) and sent.meta.undoes:
        step = sent.meta.undoes.split(":")[1]
        Effect.objects.create(saga=sent.meta.saga_id, what=f"{step}.undo.1", key=sent.meta.key)
        return
    what = f"{sent.meta.step}.{sent.meta.direction}.{sent.meta.key.rpartition(':')[2]}"
    Effect.objects.create(saga=sent.meta.saga_id, what=what, key=sent.meta.key)


def _answering(handler: Any) -> Any:
    """Wrap a participant: it may hang, or lose its answer on the way, after all is done."""

    def answer(sent: Any) -> Any:
        if _says(sent, "hang") and not released:
            raise Hangs
        result = handler(sent)
        if _says(sent, "lose"):
            raise ConnectionError("the answer is lost")
        return result

    answer.__qualname__, answer.saga_inbox = f"answer:{handler.__name__}", True  # type: ignore[attr-defined]
    return participant(answer)


def _says(sent: Any, word: str) -> bool:
    """Whether the saga's data has the participant say this, to so many attempts of the command's first generation."""
    said, attempts = sent.get("says", {}).get(f"{sent.meta.step}.{sent.meta.direction}", ("", 0))
    return bool(said == word and sent.meta.attempt <= attempts and sent.meta.key.endswith(":1"))


for _name in ("Fetch", "Return", "Pay", "Refund", "Post"):
    _handler = _answering(once(Memory)(participant(_effect)))
    _handler.__qualname__ = f"{_name}:parcel"
    command(f"ParcelService.{_name}")(_handler)


_EVENTS = {
    ("ParcelAsked", "fetcher"): "ParcelFetched",
    ("ParcelFetched", "payer"): "ParcelPaid",
    ("ParcelUnpaid", "fetcher"): "ParcelReturned",
}
for (_event, _name), _next in _EVENTS.items():
    _handler = _answering(once(Memory)(participant(_publishing(_next))))
    _handler.__qualname__ = f"{_event}:parcel"
    subscribe(_event, name=_name, queue="parcel")(_handler)


@subscribe("ParcelPaid", name="watcher", queue="parcel", inbox=True)
async def watch(context: SagaContext) -> None:
    """Hear of it, asynchronously."""
    participant(lambda: None)()


command("ParcelService.Ask")(participant(became_of(Memory)))


@command("BareService.Pay", queue="parcel")
@participant
def pay(sent: Any) -> Any:
    """Pay, without an inbox: whether it was paid is for a person to find out."""
    raise ConnectionError("the line is dead")


@command("BareService.Refund", queue="parcel")
@participant
def refund(sent: Any) -> Any:
    """Refund; never asked for where it is not known that anything was paid."""
    return _effect(sent)


@command("AsynchronousService.Wait", queue="parcel", inbox=True)
async def wait(sent: Any) -> None:
    """Do nothing, asynchronously."""
    participant(lambda: None)()


def _hear(saga_id: str, what: str, event: Any = None) -> None:
    participant(
        lambda: Effect.objects.create(saga=saga_id, what=f"heard by {what}", key=f"{saga_id}:{what}")
    )()


#: Whether the pager can be reached.
signal = True


@participant
def page(settings: Any, notices: Sequence[Notice]) -> None:
    """Be a channel that alerts are told by."""
    if not signal:
        raise Untold("no signal")
    saga = Saga.objects.earliest("pk").pk
    for notice in notices:
        what = f"heard of an alert: {notice.what}"
        Effect.objects.create(saga=str(saga), what=what, key=f"{notice.pk}")


@subscribe("ToldParcelCompleted", name="neighbour", queue="parcel")
def neighbour(event: Any) -> None:
    """Hear of it."""
    _hear(event["saga_id"], "neighbour")


@subscribe("ToldParcelFailed", name="mourner", queue="parcel")
def mourner(event: Any) -> None:
    """Hear of it, at the second time only."""
    known = Effect.objects.filter(saga=event["saga_id"], what="heard by mourner").exists()
    _hear(event["saga_id"], "mourner")
    if not known:
        raise ConnectionError("once more, please")
