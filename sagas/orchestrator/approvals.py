"""Approvals: who may answer one, and which ones a person may answer now."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.contrib.auth import get_backends, get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission
from django.db.models import Count, F, Q, QuerySet

from sagas.core.definition import SagaStep
from sagas.core.telling import approver_text
from sagas.core.words import Attention, Waiting
from sagas.counted import Counts
from sagas.models import CHILD, IMPORT, RESTART, Saga, Step
from sagas.orchestrator.asked import Asked, Forbidden

PERMISSION = "sagas.approve_saga"

Bars = frozenset[tuple[str, str, str]]
"""Answers that somebody may not give: (verb, step, why)."""


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
    missed: bool
    """Nobody has answered in time: an operator is asked as well, and it can be answered all the same."""
    started_by: str | None
    unanswerable: str | None
    """Why nobody but a superuser can answer it; None: somebody can."""


@dataclass(frozen=True)
class ApprovalPage:
    """Some of them, and where the next page begins; None on the last one."""

    items: list[OpenApproval]
    next: int | None


def approvals_for(user: Any, *, after: int | None = None, limit: int = 50) -> ApprovalPage:
    """Return the open approvals that a user may answer: missed ones first, then what ends soonest, then the rest.

    ``after`` is the ``next`` of the page before. It reads open approvals only, however many sagas there are.
    """
    first = after or 0
    rows = list(_open_to(user).select_related("saga", "saga__started_by")[first : first + limit + 1])
    following = first + limit if len(rows) > limit else None
    # Whoever is no superuser is shown nothing but what they can answer themselves.
    nobody = unanswerable(step.approver or "" for step in rows) if user.is_superuser else {}
    return ApprovalPage([_opened(step, nobody.get(step.approver or "")) for step in rows[:limit]], following)


def approvals_count(user: Any, most: int = 100) -> int:
    """Count the open approvals that a user may answer, up to so many."""
    names = _answers_for(user)
    return 0 if names == () else _counting(most, user.pk, names)()[0]


@lru_cache(maxsize=1024)
def _counting(most: int, user: Any, names: tuple[str, ...] | None) -> Counts:
    return Counts(most, lambda: [_asking(user, names)])


def unanswered() -> Mapping[str, int]:
    """Count the open approvals that nobody but a superuser can answer, by what is the matter."""
    waiting = Step.objects.filter(waiting=Waiting.APPROVAL.value).exclude(saga__origin_kind=IMPORT)
    asked = dict(waiting.order_by().values_list("approver").annotate(count=Count("pk")))
    return {why: asked[by] for by, why in unanswerable(by or "" for by in asked).items()}


def unanswerable(approvers: Iterable[str]) -> Mapping[str, str]:
    """Return of these approvers those whom nobody can be, and what is the matter.

    They are ``group:name`` or ``perm:app.codename`` each. It is at most three queries, however many they are.
    """
    asked = frozenset(approvers)
    groups = _group_names(asked)
    users = get_user_model()._default_manager.filter(is_active=True, groups__name__in=groups.values())
    peopled = set(users.values_list("groups__name", flat=True).distinct()) if groups else set()
    empty = {by: f"nobody is in the group {name}" for by, name in groups.items() if name not in peopled}
    kinds = {by: "group" if by in groups else "permission" for by in missing_approvers(asked)}
    return empty | {by: f"there is no {kind} {by.partition(':')[2]}" for by, kind in kinds.items()}


def missing_approvers(approvers: Iterable[str]) -> frozenset[str]:
    """Return of these approvers the groups and permissions that are not there."""
    asked = frozenset(approvers)
    groups, permissions = _group_names(asked), _permission_names(asked)
    there = Group.objects.filter(name__in=groups.values()).values_list("name", flat=True) if groups else ()
    present = set(there)
    missing = {by for by, name in groups.items() if name not in present}
    if permissions:
        sought = Permission.objects.filter(codename__in={codename for _, codename in permissions.values()})
        known = set(sought.values_list("content_type__app_label", "codename"))
        missing |= {by for by, name in permissions.items() if name not in known}
    return frozenset(missing)


def _group_names(approvers: Iterable[str]) -> dict[str, str]:
    return {by: by.removeprefix("group:") for by in approvers if by.startswith("group:")}


def _permission_names(approvers: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return app and codename of those that are permissions; none where a backend may know more than the tables."""
    split = {by: by.removeprefix("perm:").partition(".") for by in approvers if by.startswith("perm:")}
    if not split or any(map(_knows_more, get_backends())):
        return {}
    return {by: (app, codename) for by, (app, _, codename) in split.items()}


def _knows_more(backend: Any) -> bool:
    """Whether a backend answers for permissions in a way of its own; one that answers for none knows nothing."""
    asked = ("has_perm", "get_all_permissions", "get_user_permissions", "get_group_permissions")
    hidden = ("_get_user_permissions", "_get_group_permissions")
    own = ((getattr(type(backend), name, None), getattr(ModelBackend, name)) for name in (*asked, *hidden))
    return any(found not in (None, usual) for found, usual in own)


def check_answerer(saga_id: UUID, pinned: SagaStep, verb: str, asked: Asked) -> None:
    """Raise Forbidden, naming who may, unless this person may answer a step's approval."""
    approval, user = pinned.approval, asked.operator
    if approval is None:
        return  # the core says that there is nothing to answer
    if user is None:
        raise Forbidden(f"{approver_text(approval.by)} may {verb} {pinned.name}: say who you are, with --as.")
    own = not approval.self_approval and _began(user, Saga.objects.get(pk=saga_id))
    groups = _groups(user)
    why = _obstacle(user, groups, user.get_username(), verb, pinned.name, approval.by, own=own)
    if why is not None:
        raise Forbidden(why)


def bars(users: Iterable[Any], saga_ids: Iterable[UUID]) -> Mapping[tuple[Any, UUID], Bars]:
    """Return, by a user's key and a saga's, which answers that user may not give there, and why: none, no entry.

    It is one query where nobody is asked, and one more for each user where somebody is.
    """
    asking = Step.objects.filter(saga_id__in=list(saga_ids), approver__isnull=False).select_related("saga")
    found: dict[tuple[Any, UUID], Bars] = {}
    of_saga = ("saga__started_by", "saga__origin_id", "saga__origin_kind")
    steps = list(asking.only("name", "approver", "asked", *of_saga))
    for user in users if steps else ():
        groups = _groups(user)
        for step in steps:
            barred = frozenset(_barred(user, groups, step))
            if barred:
                found[user.pk, step.saga_id] = found.get((user.pk, step.saga_id), frozenset()) | barred
    return found


def _barred(user: Any, groups: Collection[str], step: Step) -> Iterator[tuple[str, str, str]]:
    asked, by = step.asked or {}, step.approver or ""
    own = not asked.get("self_approval") and _began(user, step.saga)
    for verb in ("approve", "reject"):
        why = _obstacle(user, groups, "you", verb, step.name, by, own=own)
        if why is None and verb == "approve" and str(user.pk) in (asked.get("given") or {}):
            why = (
                f"you have approved {step.name} already, and it takes another person of {approver_text(by)}."
            )
        if why is not None:
            yield verb, step.name, why[0].upper() + why[1:]


def _began(user: Any, saga: Saga) -> bool:
    """Whether a user has started a saga, or what it is a restart or a child of: it is the same matter."""
    while saga.started_by_id != user.pk:
        origin = saga.origin_id if saga.origin_kind in _SAME else None
        before = Saga.objects.filter(pk=origin).first() if origin is not None else None
        if before is None:
            return False
        saga = before
    return True


def _obstacle(
    user: Any, groups: Collection[str], name: str, verb: str, step: str, by: str, *, own: bool
) -> str | None:
    """Return why a user, called so, may not answer a step; ``own`` if that takes somebody else than who started it."""
    if not _is(user, groups, by):
        return f"Only {approver_text(by)} may {verb} {step}; {name} may not."
    if verb == "approve" and own:
        return (
            f"{name} started this saga, and may not approve {step}: it takes another of {approver_text(by)}."
        )
    return None


def _is(user: Any, groups: Collection[str], by: str) -> bool:
    kind, _, name = by.partition(":")
    if kind == "perm":
        return bool(user.has_perm(name))
    return bool(user.is_superuser or name in groups)


def _groups(user: Any) -> Collection[str]:
    return frozenset(user.groups.values_list("name", flat=True))


#: Each has an index, however many steps there are.
#: A saga of these kinds is the same matter as its origin: who started that has started this.
_SAME = (RESTART, CHILD)
_WAITS = Q(waiting=Waiting.APPROVAL.value)
_MISSED = Q(attention=Attention.EXPECTATION_MISSED.value, approver__isnull=False)


def _open_to(user: Any) -> QuerySet[Step]:
    """Return the steps that a user may answer, in order."""
    missed_first = F("waiting").asc(nulls_first=True)
    return _asking(user.pk, _answers_for(user)).order_by(missed_first, F("due_at").asc(nulls_last=True), "pk")


def _answers_for(user: Any) -> tuple[str, ...] | None:
    """Return what an approval may call this user, if they may answer any; None: they may answer for everybody."""
    if not user.is_active or not user.has_perm(PERMISSION):
        return ()
    return None if user.is_superuser else tuple(sorted(_names(user)))


def _asking(user: Any, names: tuple[str, ...] | None) -> QuerySet[Step]:
    """Return the steps that ask a user of this key, who answers to these names."""
    # Put together of both, each found by its own index: SQLite would read all steps for what is either.
    waits, missed = (Step.objects.filter(each).order_by().values("pk") for each in (_WAITS, _MISSED))
    steps = Step.objects.filter(pk__in=waits.union(missed)).exclude(saga__origin_kind=IMPORT)
    if names is not None:
        steps = steps.filter(approver__in=names)
    began = Q(saga__started_by=user) | Q(saga__origin_kind__in=_SAME, saga__origin__started_by=user)
    own = began & ~Q(asked__self_approval=True)
    answered = Q(asked__given__has_key=str(user))
    return steps.exclude(own).exclude(answered)


def _names(user: Any) -> Iterator[str]:
    """Yield what an approval may call this user."""
    for name in _groups(user):
        yield f"group:{name}"
    for name in user.get_all_permissions():
        yield f"perm:{name}"


def _opened(step: Step, nobody: str | None) -> OpenApproval:
    saga, asked = step.saga, step.asked or {}
    since = step.waiting_since or step.dispatched_at
    assert since is not None  # they are asked
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
        since=since,
        until=step.due_at,
        missed=step.waiting is None,
        started_by=saga.started_by.get_username() if saga.started_by else None,
        unanswerable=nobody,
    )
