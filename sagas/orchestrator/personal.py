"""A saga as one person may act on it: the same snapshot, its verbs being those of who asks."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sagas.core.words import Waiting
from sagas.orchestrator.approvals import Bars, bars
from sagas.orchestrator.asked import VERBS
from sagas.orchestrator.operators import permission


def permitted(user: Any) -> frozenset[str]:
    """Return the verbs that a user has the permission for."""
    return frozenset(verb for verb in VERBS if user.has_perm(permission(verb)))


def seen_by(user: Any, sagas: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return snapshots with the verbs as this user may use them.

    It asks the database only where an approval is waited for.
    """
    listed, allowed = list(sagas), permitted(user)
    asking = [UUID(saga["id"]) for saga in listed if "approve" in allowed and _asks(saga)]
    barred = bars([user], asking) if asking else {}
    return [personal(saga, allowed, barred.get((user.pk, UUID(saga["id"])), frozenset())) for saga in listed]


def personal(saga: Mapping[str, Any], allowed: frozenset[str], barred: Bars) -> dict[str, Any]:
    """Return a snapshot for somebody who may use the ``allowed`` verbs, but for the answers that are ``barred``.

    A verb that is not for them does not apply, and says so; it does not help them either.
    """
    reasons = {(verb, step): why for verb, step, why in barred}
    verbs = [_verb(entry, allowed, reasons) for entry in saga["verbs"]]
    usable = {(entry["verb"], entry["step"]) for entry in verbs if entry["applies"]}
    helpful = [each for each in saga["why"]["verbs"] if (each["verb"], each["step"]) in usable]
    return {**saga, "verbs": verbs, "why": {**saga["why"], "verbs": helpful}}


def _verb(
    entry: Mapping[str, Any], allowed: frozenset[str], reasons: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    verb = entry["verb"]
    why = reasons.get((verb, entry["step"]))
    if verb not in allowed:
        why = f"Your account lacks the permission {permission(verb)}."
    if why is None or not entry["applies"]:
        return {**entry, "allowed": True}
    return {**entry, "applies": False, "allowed": False, "reason": why}


def _asks(saga: Mapping[str, Any]) -> bool:
    return any(step["waiting"] == Waiting.APPROVAL for step in saga["steps"])
