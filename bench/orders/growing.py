"""A durable function with as many steps as its data says, each of which returns a small dict."""

from collections.abc import Mapping
from typing import Any

from sagas import command, durable_saga


@command("CountService.Count", inbox=True)
def count(given: Mapping[str, Any]) -> dict[str, Any]:
    """Do nothing but answer."""
    return {"counted": given["step_name"]}


@durable_saga("BenchFunction")
def bench_function(saga: Any, data: Mapping[str, Any]) -> None:
    """Ask for one step after the other."""
    for number in range(data["steps"]):
        saga.step(f"count-{number}", "CountService.Count")
