"""A small saga type for tests: three services whose behaviour a test scripts."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sagas import CANNOT_UNDO, Later, Rejected, Retry, SagaOrchestrator, SagaStep, command

QUICK = Retry(max_attempts=3, first=0.0)


class Errand(SagaOrchestrator):
    """Fetch, pay and post; its data says which variant."""

    saga_type = "Errand"
    sample_data = {"item": "book"}

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the chain, or two branches and a join."""
        hold = bool(data.get("hold"))
        undo = CANNOT_UNDO if data.get("cannot_undo") else "FetchService.Return"
        item = data["item"]
        assert item
        common: dict[str, Any] = {"retry": QUICK, "undo_retry": QUICK, "hold": hold}
        branch = {"needs": ()} if data.get("branches") else {}
        join = {"needs": data.get("join", ("fetch", "pay"))} if data.get("branches") else {}
        return [
            SagaStep("fetch", "FetchService.Fetch", undo, **common),
            SagaStep("pay", "PayService.Pay", "PayService.Refund", **common, **branch),
            SagaStep("post", "PostService.Post", pivot=bool(data.get("pivot")), **common, **join),
        ]


class World:
    """What happens when a command arrives, and how often it did."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.behaviour: dict[str, Callable[[Any], Any]] = {}

    def __call__(self, name: str, sent: Any) -> Any:
        self.calls.append(sent)
        return self.behaviour.get(name, lambda _: {"by": name})(sent)

    @property
    def names(self) -> list[str]:
        """The commands that arrived, in order."""
        return [sent.name for sent in self.calls]

    @property
    def count(self) -> Counter[str]:
        """How often each command arrived."""
        return Counter(self.names)


_world = World()

ACTIONS = (
    "FetchService.Fetch",
    "FetchService.Return",
    "PayService.Pay",
    "PayService.Refund",
    "PostService.Post",
)


def _handler(name: str) -> Callable[[Any], Any]:
    def handle(sent: Any) -> Any:
        return _world(name, sent)

    handle.__qualname__ = f"handle:{name}"
    return handle


for _name in ACTIONS:
    command(_name, inbox=True)(_handler(_name))


@contextmanager
def world() -> Iterator[World]:
    """Give a test a world of its own."""
    global _world
    _world = World()
    yield _world


def reject(reason: str = "no") -> Callable[[Any], Any]:
    """Return a behaviour that rejects."""

    def behave(_: Any) -> Any:
        raise Rejected(reason)

    return behave


def later(within: float = 60.0) -> Callable[[Any], Any]:
    """Return a behaviour that promises a reply from outside."""
    return lambda _: Later(within)


def fail(times: int | None = None) -> Callable[[Any], Any]:
    """Return a behaviour that raises an error of its own, so many times or for ever."""
    left = [times]

    def behave(_: Any) -> Any:
        if left[0] is not None:
            if left[0] == 0:
                return {"at last": True}
            left[0] -= 1
        raise ConnectionError("the line is dead")

    return behave
