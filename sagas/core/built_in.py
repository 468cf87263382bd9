"""The steps that call no participant, as authors write them: a timer, an approval, a child."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sagas.core.definition import SagaStep
from sagas.core.waits import APPROVAL, CHILD, TIMER, UNDO_CHILD, Approval, Child, Timer, seconds


def timer(
    name: str,
    *,
    wait: timedelta | float | None = None,
    until: datetime | str | None = None,
    **options: Any,
) -> SagaStep:
    """Return a step that waits: for a while from its dispatch, or until a moment.

    ``wait`` is a timedelta or seconds; ``until`` is a moment, or where in the data one stands:
    ``"contract.ends_at"``. A moment that has gone by goes on at once. Options are those of
    :class:`SagaStep` that make sense without an action, such as ``needs``.
    """
    at = until.isoformat() if isinstance(until, datetime) else None
    path = until if isinstance(until, str) else None
    return SagaStep(name, action=TIMER, timer=Timer(seconds(wait), at, path), **options)


def approval(
    name: str,
    *,
    by: str,
    people: int = 1,
    show: Iterable[str] | str = (),
    deadline: timedelta | float | None = None,
    otherwise: str | None = None,
    self_approval: bool = False,
    **options: Any,
) -> SagaStep:
    """Return a step that waits for people: as many different ones as ``people``, who are all ``by``.

    ``by`` is ``"group:managers"`` or ``"perm:app.codename"``. They see what ``show`` names: paths in the
    data, or a text with paths in braces; ``results.step.key`` is there as well. At the ``deadline`` the answer
    is ``otherwise``, approve or reject; None asks an operator. A rejection rolls the saga back, or with
    ``hold=True`` waits for an operator. Its result is ``{"approved": true, "by": [...], "comment": ...}``.
    """
    seen = show if isinstance(show, str) else tuple(show)
    asked = Approval(by, people, seen, seconds(deadline), otherwise, self_approval)
    return SagaStep(name, action=APPROVAL, approval=asked, **options)


def child(
    name: str, saga_type: str, *, data: Mapping[str, Any] | str | None = None, **options: Any
) -> SagaStep:
    """Return a step that starts a saga of another type, once, and waits for its end.

    ``data`` is what the child is started with: plain values, or a text that says where in this saga's data they
    stand, or in the results of the steps it needs: ``"parcel"``, ``"results.pack.parcel"``. The child has this saga's
    correlation id, and whoever started this one has started that.

    Its result is ``{"saga_id": …, "state": "completed", "results": {step: result}}``; a child that fails is a
    rejection, with its error. Undoing the step undoes the child: one under way is rolled back, of one that is
    completed another saga undoes every effect; where that cannot be, a person is asked (``cannot_undo``).
    Options are those of :class:`SagaStep`; at the step's ``deadline`` the child is told to roll back.
    """
    options.setdefault("compensation", UNDO_CHILD)
    given = Child(saga_type, {} if data is None else data)
    return SagaStep(name, action=CHILD, child=given, **options)
