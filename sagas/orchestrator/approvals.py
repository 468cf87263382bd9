"""Approvals: who may answer one, and which ones a person may answer now."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from sagas.core.definition import SagaStep
from sagas.core.words import Waiting
from sagas.models import IMPORT, Saga, Step
from sagas.orchestrator.asked import Asked, Forbidden

PERMISSION = "sagas.approve_saga"


@dataclass(frozen=True)
class OpenApproval:
    """A step that waits for a person's answer."""

    saga_id: UUID
    saga_type: str
    correlation_id: str
    version: int
    """The saga's, for the answer to say what was seen."""
    step: str
    by: str
    """Who may answer: ``group:name`` or ``perm:app.codename``."""
    show: Any
    """What they are asked: a text, or values by their paths. Plain; never HTML."""
    people: int
    given: tuple[dict[str, str], ...]
    """Who has approved already: ``{by, comment}`` each."""
    otherwise: str | None
    """The answer at the end, if nobody gives one; None: an operator is asked."""
    since: datetime
    until: datetime | None
    started_by: str | None


@dataclass(frozen=True)
class ApprovalPage:
    """Some of them, and where the next page begins; None on the last one."""

    items: list[OpenApproval]
    next: int | None


def approvals_for(user: Any, *, after: int | None = None, limit: int = 50) -> ApprovalPage:
    """Return the open approvals that a user may answer: what ends soonest first, what has no end last.

    ``after`` is the ``next`` of the page before. It reads open approvals only, however many sagas there are.
    """
    first = after or 0
    rows = list(_open_to(user).select_related("saga", "saga__started_by")[first : first + limit + 1])
    following = first + limit if len(rows) > limit else None
    return ApprovalPage([_opened(step) for step in rows[:limit]], following)


def approvals_count(user: Any, most: int = 100) -> int:
    """Count the open approvals that a user may answer, up to so many."""
    return len(_open_to(user).order_by().values_list("pk")[:most])


def check_answerer(saga_id: UUID, pinned: SagaStep, verb: str, asked: Asked) -> None:
    """Raise Forbidden, naming who may, unless this person may answer a step's approval."""
    approval, user = pinned.approval, asked.operator
    if approval is None:
        return  # the core says that there is nothing to answer
    if user is None:
        raise Forbidden(f"{_who(approval.by)} may {verb} {pinned.name}: say who you are, with --as.")
    if not _is(user, approval.by):
        raise Forbidden(f"Only {_who(approval.by)} may {verb} {pinned.name}; {user.get_username()} may not.")
    own = Saga.objects.filter(pk=saga_id, started_by=user.pk).exists()
    if verb == "approve" and own and not approval.self_approval:
        raise Forbidden(
            f"{user.get_username()} started this saga, and may not approve {pinned.name}: it takes another of "
            f"{_who(approval.by)}."
        )


def _who(by: str) -> str:
    kind, _, name = by.partition(":")
    return f"the group {name}" if kind == "group" else f"whoever has the permission {name}"


def _is(user: Any, by: str) -> bool:
    kind, _, name = by.partition(":")
    if kind == "perm":
        return bool(user.has_perm(name))
    return bool(user.is_superuser or user.groups.filter(name=name).exists())


def _open_to(user: Any) -> QuerySet[Step]:
    """Return the steps, in order."""
    steps = Step.objects.filter(waiting=Waiting.APPROVAL.value).exclude(saga__origin_kind=IMPORT)
    if not user.is_active or not user.has_perm(PERMISSION):
        return steps.none()
    if not user.is_superuser:
        steps = steps.filter(approver__in=sorted(_names(user)))
    own = Q(saga__started_by=user.pk) & ~Q(asked__self_approval=True)
    answered = Q(asked__given__has_key=str(user.pk))
    return steps.exclude(own).exclude(answered).order_by(F("due_at").asc(nulls_last=True), "pk")


def _names(user: Any) -> Iterator[str]:
    """Yield what an approval may call this user."""
    for name in user.groups.values_list("name", flat=True):
        yield f"group:{name}"
    for name in user.get_all_permissions():
        yield f"perm:{name}"


def _opened(step: Step) -> OpenApproval:
    saga, asked = step.saga, step.asked or {}
    assert step.waiting_since is not None  # it waits
    return OpenApproval(
        saga_id=saga.pk,
        saga_type=saga.saga_type,
        correlation_id=saga.correlation_id,
        version=saga.version,
        step=step.name,
        by=step.approver or "",
        show=asked.get("show"),
        people=asked.get("people", 1),
        given=tuple(asked.get("given", {}).values()),
        otherwise=asked.get("otherwise"),
        since=step.waiting_since,
        until=step.due_at,
        started_by=saga.started_by.get_username() if saga.started_by else None,
    )
