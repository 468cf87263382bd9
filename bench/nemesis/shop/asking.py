"""How the shop's participants ask the ledger, and how patient everybody is."""

import os
from datetime import timedelta
from typing import Any

from sagas import Rejected, Retry

LEDGER = int(os.environ.get("CHAOS_LEDGER", "0"))
#: Seconds that an attempt may take; a participant gives up on the ledger before that.
TIMEOUT = 6.0
QUICK = Retry(max_attempts=5, first=0.2, cap=2.0)
STUBBORN = Retry(max_attempts=10, first=0.2, cap=2.0)
ONCE = Retry(max_attempts=1)
#: How a step asks its service, unless it says otherwise.
USUAL: dict[str, Any] = {"retry": QUICK, "undo_retry": STUBBORN, "timeout": TIMEOUT}


def question(given: Any, *, plain: bool, refusable: bool) -> dict[str, Any]:
    meta = given.meta
    return {
        "ask": "call",
        "key": meta.key,
        "undoes": meta.undoes,
        "saga": meta.saga_id,
        "step": meta.step,
        "attempt": meta.attempt,
        "pid": os.getpid(),
        "claimed_at": (meta.deadline - timedelta(seconds=TIMEOUT)).isoformat(),
        "plain": plain,
        "refusable": refusable,
    }


def result(answer: dict[str, Any]) -> Any:
    match answer.get("verdict"):
        case "completed":
            return answer["result"]
        case "rejected":
            raise Rejected(answer["reason"])
        case _:
            raise ConnectionError(f"the ledger says {answer}")
