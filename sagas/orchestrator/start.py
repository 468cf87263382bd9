"""Starting sagas: check the data, pin the definition, record it all; one saga or a thousand."""

import gc
import hashlib
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, IntegrityError, OperationalError, router, transaction
from pydantic import BaseModel, ValidationError

from sagas import registry
from sagas.core import messages as m
from sagas.core.definition import InvalidDefinition, SagaDefinition, SagaStep
from sagas.core.ids import uuid7
from sagas.core.plain import NotPlain
from sagas.core.plain import plain as as_plain
from sagas.core.problems import input_problem
from sagas.core.reactions import Reaction
from sagas.core.waits import NoMoment, moment, seconds, wake_at
from sagas.core.words import OWN_KEYS
from sagas.models import Saga
from sagas.orchestrator import choreographed, ledger, loading, pins, shapes
from sagas.orchestrator.asked import Invalid, KeyTaken, NotFound
from sagas.orchestrator.company import Company
from sagas.replay import check_outside
from sagas.rows import DEADLOCKED, LOCKED, TOO_LARGE

_Part = TypeVar("_Part", SagaStep, Reaction)


#: How the key of a saga begins that the clock starts: the tick follows. Nobody can take it in advance.
TICK = "every "
#: Of a saga that a step starts, the key is that of the step's command.
_COMMANDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:.+:do:[0-9]+", re.DOTALL)


@dataclass(frozen=True)
class Started:
    """A saga that is recorded, and whether this call recorded it."""

    saga: Saga
    created: bool
    claimed: Sequence[ledger.Claimed] = ()
    """Its first commands, if whoever starts it leased them."""


@dataclass(frozen=True)
class Opening:
    """All that is needed to record one saga."""

    pin: SagaDefinition
    data: Mapping[str, Any]
    correlation_id: str | None = None
    idempotency_key: str | None = None
    origin: UUID | None = None
    origin_kind: str = ""
    at: datetime | None = None
    started_by: Any = None
    claim: ledger.Claim | None = None
    """Leases its first commands as they are recorded, to whoever starts it."""


def start(
    saga_type: str,
    data: Mapping[str, Any],
    *,
    correlation_id: str | None = None,
    idempotency_key: str | None = None,
    at: datetime | None = None,
    started_by: Any = None,
    claim: ledger.Claim | None = None,
) -> Started:
    """Record a saga and make its first steps due; when this returns, and the caller commits, it is durable.

    With ``at``, an aware datetime, nothing of it is due before then. ``started_by`` is the user who starts it,
    and may not approve what it asks; None: code does. With ``claim``, whoever starts it leases its first commands
    with the start, and has to see to them. The same idempotency key again returns the same saga.
    Raises NotFound for an unknown type, Invalid for data that the type does not accept, KeyTaken if the key was
    used with other data.
    """
    check_outside("start()")
    at = _in_utc(at)
    _check_user(started_by)
    author = _author(saga_type)
    checked = check_data(author, data)
    _check_text("correlation_id", correlation_id)
    _check_text("idempotency_key", idempotency_key)
    if idempotency_key is not None:
        if started_by is not None:
            _check_free(idempotency_key)
        present = _present(saga_type, idempotency_key, checked)
        if present:
            return Started(present, created=False)
    pinned = definition_for(author, checked)
    check_names(pinned, checked)
    if at is not None and pinned.flow is not None:
        raise Invalid("at", "a choreography begins at once: start it when it is to begin")
    opening = Opening(
        pinned, checked, correlation_id, idempotency_key, at=at, started_by=started_by, claim=claim
    )
    try:
        return _record(opening)
    except IntegrityError:
        present = _present(saga_type, idempotency_key, checked) if idempotency_key is not None else None
        if present is None:
            raise
        return Started(present, created=False)


def start_many(saga_type: str, datas: Sequence[Mapping[str, Any]]) -> list[Saga]:
    """Record many sagas of a type in one transaction: all, or none. Raises as :func:`start` does."""
    check_outside("start_many()")
    author = _author(saga_type)
    with _uncollected():
        checked = [check_data(author, data) for data in datas]
        openings = [Opening(definition_for(author, data), data) for data in checked]
        for opening in openings:
            check_names(opening.pin, opening.data)
        with transaction.atomic():
            return [started.saga for started in record(openings)]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for circles meanwhile: what many sagas are made of stays until it is written.

    Looking through all of it again and again took a third of the time, and could find nothing.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _record(opening: Opening) -> Started:
    """Write a new saga: in the caller's transaction, or together with others that are started at this moment."""
    if not transaction.get_autocommit():
        with transaction.atomic(savepoint=opening.idempotency_key is not None):
            return record([opening])[0]
    try:
        return (_company if opening.idempotency_key is None else _keyed)(opening)
    except (DatabaseError, TypeError, ValueError, RecursionError) as fault:
        if isinstance(fault, OperationalError) and getattr(fault.__cause__, "sqlstate", None) not in _ITS_OWN:
            raise
        return record([opening])[0]  # one of those that were written together was at fault: this one?


def record(openings: Sequence[Opening]) -> list[Started]:
    """Write new sagas with their first steps due: all or none, in the caller's transaction if there is one."""
    for pinned in {opening.pin.digest: opening.pin for opening in openings}.values():
        pins.pin(pinned)
    group = ledger.Group()
    held = []
    for opening in openings:
        saga_id = uuid7()
        each = group.add(
            saga_id,
            opening.correlation_id or correlation_of(opening) or str(saga_id),
            opening.pin,
            opening.origin_kind,
            opening.claim,
        )
        group.decide(each, m.Start(opening.data, opening.at))
        held.append(each)
    values = [_saga_values(each, opening) for each, opening in zip(held, openings, strict=True)]
    group.batch.insert(Saga, _COLUMNS, values)
    group.write()
    claimed: dict[UUID, list[ledger.Claimed]] = {}
    for command in group.claimed:
        claimed.setdefault(command.held.id, []).append(command)
    return [Started(_saga(row), created=True, claimed=claimed.get(row[0], ())) for row in values]


def _record_in_order(openings: Sequence[Opening]) -> list[Started]:
    """Write sagas with keys, in the order of those: two processes that start the same ones never wait in a circle."""
    order = sorted(
        range(len(openings)), key=lambda n: (openings[n].pin.saga_type, openings[n].idempotency_key)
    )
    started = dict(zip(order, record([openings[n] for n in order]), strict=True))
    return [started[n] for n in range(len(openings))]


_company: Company[Opening, Started] = Company(record, most=64)
#: Who starts with a key may have to wait for somebody's transaction that has it, too; others are not to wait with them.
_keyed: Company[Opening, Started] = Company(_record_in_order, most=64)
#: What the database says when one of several that are written together is at fault.
_ITS_OWN = (TOO_LARGE, LOCKED, DEADLOCKED)

_COLUMNS = (
    "id", "saga_type", "definition_id", "correlation_id", "idempotency_key", "fingerprint", "origin_id",
    "origin_kind", "started_by_id", "created_at", *(c.rstrip("=") for c in shapes.SAGA_COLUMNS),
)  # fmt: skip
_FIELDS = [field.attname for field in Saga._meta.concrete_fields]


def _saga_values(held: loading.Held, opening: Opening) -> tuple[Any, ...]:
    return (
        held.id, held.saga_type, opening.pin.digest, held.correlation_id, opening.idempotency_key,
        fingerprint(opening.data), opening.origin, opening.origin_kind,
        opening.started_by.pk if opening.started_by else None, held.progress.created_at,
        *shapes.saga_values(held.progress),
    )  # fmt: skip


def _saga(row: Sequence[Any]) -> Saga:
    """Return a new row as if it were read: that makes an object in half the time."""
    values = dict(zip(_COLUMNS, row, strict=True))
    return Saga.from_db(router.db_for_write(Saga), _FIELDS, [values[name] for name in _FIELDS])


def as_it_stands(saga: Saga, held: loading.Held) -> Saga:
    """Return a saga's row with what was written of it since, without reading it anew."""
    for column, value in zip(shapes.SAGA_COLUMNS, shapes.saga_values(held.progress), strict=True):
        setattr(saga, column.rstrip("="), value)
    return saga


def _author(saga_type: str) -> Any:
    author = registry.saga_type(saga_type) if isinstance(saga_type, str) else None
    if author is None:
        known = ", ".join(sorted(registry.saga_types())) or "none"
        raise NotFound(f"There is no saga type {saga_type!r}; defined are: {known}.")
    return author


def definition_for(author: Any, data: Mapping[str, Any]) -> SagaDefinition:
    """Ask an author's class for its steps. Raises Invalid if they do not make a saga, or the data does not do."""
    try:
        steps = author.define_steps(deepcopy(dict(data)))
    except KeyError as missing:
        raise Invalid(f"data.{missing.args[0] if missing.args else '?'}", "is required") from missing
    except Invalid:
        raise
    except (TypeError, ValueError, AttributeError) as wrong:
        raise Invalid("data", f"{author.saga_type} cannot be defined with it: {wrong}") from wrong
    try:
        pinned = make_definition(author, steps, saga_deadline(author, data))
    except InvalidDefinition as wrong:
        raise Invalid("type", str(wrong)) from wrong
    _check_timers(pinned, data)
    return pinned


def sample_definition(author: Any) -> SagaDefinition:
    """Return the definition of a type's sample data, or of none; raises whatever its author's code does."""
    sample = getattr(author, "sample_data", None)
    if sample is not None:
        sample = check_data(author, sample)
    steps = author.define_steps(dict(sample or {}))
    made = make_definition(author, steps, saga_deadline(author, sample or {}))
    check_names(made, sample or {})
    return made


def saga_deadline(author: Any, data: Mapping[str, Any]) -> Any:
    """Return the saga's deadline in seconds: what the author computes from the data, or the class says."""
    compute = getattr(author, "saga_deadline", None)
    return seconds(compute(deepcopy(dict(data))) if compute else getattr(author, "deadline", None))


def _check_timers(pinned: SagaDefinition, data: Mapping[str, Any]) -> None:
    """Raise Invalid if the data does not say until when a timer waits: it would be found out only then."""
    for step in pinned.steps:
        if step.timer is not None and step.timer.path is not None:
            try:
                wake_at(step.timer, data, datetime.now(UTC))
            except NoMoment as wrong:
                raise Invalid(
                    f"data.{step.timer.path}", f"{wrong}; step {step.name} waits until then"
                ) from wrong


def make_definition(author: Any, steps: Any, deadline: float | None = None) -> SagaDefinition:
    """Check what ``define_steps`` returned. Raises InvalidDefinition."""
    if getattr(author, "first_event", None) is not None:
        return choreographed.definition(author, _listed(author, steps, Reaction))
    listed = _listed(author, steps, SagaStep)
    for problem in filter(None, map(input_problem, listed)):
        raise InvalidDefinition(f"{author.saga_type}: {problem}")
    if getattr(author, "hold_on_failure", False):
        listed = [replace(step, hold=True) for step in listed]
    limit = seconds(getattr(author, "default_timeout", None))
    if limit is not None:
        listed = [_limited(step, limit) for step in listed]
    growing = getattr(author, "growing", False)
    try:
        return _known_definition(author.saga_type, tuple(listed), deadline, growing)
    except TypeError:  # a step with an input of its own has no hash
        return SagaDefinition(author.saga_type, tuple(listed), deadline, growing=growing)


def _listed(author: Any, steps: Any, kind: type[_Part]) -> list[_Part]:
    """Return what ``define_steps`` returned as a list, if it is one of what the author's style is made of."""
    returned = f"{author.saga_type}: define_steps must return {kind.__name__} objects"
    if inspect.iscoroutine(steps):
        steps.close()
        raise InvalidDefinition(f"{returned}; it cannot be an async def.")
    if steps is not None and not isinstance(steps, Iterable):
        raise InvalidDefinition(f"{returned}, in a list; not {steps!r:.80}.")
    listed = list(steps or ())
    for each in listed:
        if isinstance(each, Reaction) and kind is SagaStep:
            raise InvalidDefinition(
                f"{author.saga_type}: it has Reactions, so it must be a Choreography with a first_event."
            )
        if not isinstance(each, kind):
            raise InvalidDefinition(f"{returned}, not {each!r:.80}.")
    return listed


def _limited(step: SagaStep, limit: float) -> SagaStep:
    """Give a step that calls a participant a deadline, unless it has its own."""
    waits = step.timer is not None or step.approval is not None or step.child is not None
    return step if waits or step.deadline is not None else replace(step, deadline=limit)


@lru_cache(maxsize=1024)
def _known_definition(
    saga_type: str, steps: tuple[SagaStep, ...], deadline: float | None, growing: bool
) -> SagaDefinition:
    """Check steps once: nearly all sagas of a type have the same."""
    return SagaDefinition(saga_type, steps, deadline, growing=growing)


def check_data(author: Any, data: Any) -> dict[str, Any]:
    """Return the data as it is stored: plain JSON. Raises Invalid with the field and the reason."""
    if not isinstance(data, Mapping):
        raise Invalid("data", f"must be an object, not {type(data).__name__}")
    model: type[BaseModel] | None = getattr(author, "data_model", None)
    if model is not None:
        try:
            data = model.model_validate(dict(data)).model_dump(mode="json", exclude_unset=True)
        except ValidationError as wrong:
            first = wrong.errors(include_url=False)[0]
            where = ".".join(str(part) for part in ("data", *first["loc"]))
            raise Invalid(where, first["msg"]) from wrong
    return dict(plain(data))


def check_names(pinned: SagaDefinition, data: Mapping[str, Any]) -> None:
    """Raise Invalid for data of a new saga that its handlers would never see: commands bring such names themselves.

    Only a start is refused: a saga under way, its restart and its children go on with what they have.
    Choreographies are spared: an event's data is laid over all else.
    """
    covered = [name for name in OWN_KEYS if name in data]
    if covered and pinned.flow is None:
        raise Invalid(
            f"data.{covered[0]}",
            "would be hidden from handlers, whose commands bring a value of that name themselves; give it another name",
        )


def plain(data: Any, field: str = "data") -> Any:
    """Return data as it is stored. Raises Invalid for what JSON, or PostgreSQL, has no room for."""
    try:
        return as_plain(data, field)
    except NotPlain as wrong:
        raise Invalid(field, f"cannot be stored: {wrong}") from wrong


def _check_text(field: str, value: str | None) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise Invalid(field, "must be a text of 1 to 200 characters")
    plain(value, field)


def _check_free(key: str) -> None:
    """Raise Invalid for a key that a user would take from a saga that is yet to come."""
    if key.startswith(TICK):
        raise Invalid("idempotency_key", f"must not begin with {TICK!r}: such keys are the clock's own")
    if _COMMANDS.fullmatch(key):
        raise Invalid(
            "idempotency_key", "must not have the form of a command's: such keys are the steps' own"
        )


def _check_user(started_by: Any) -> None:
    if started_by is not None and not isinstance(started_by, get_user_model() | AnonymousUser):
        raise Invalid("started_by", f"must be a user, or None, not {started_by!r:.80}")


def _in_utc(at: Any) -> datetime | None:
    """Return a moment as it is stored and told, whatever zone it was given in. Raises Invalid."""
    if at is None:
        return None
    try:
        return moment(at.isoformat() if isinstance(at, datetime) else None)
    except NoMoment as wrong:
        raise Invalid("at", "must be a datetime with a time zone") from wrong


def correlation_of(opening: Opening) -> str | None:
    """Return the correlation id that the data itself brings, if any."""
    value = opening.data.get("correlation_id")
    return value if isinstance(value, str) and 0 < len(value) <= 200 else None


def fingerprint(data: Mapping[str, Any]) -> str:
    """Return what tells whether data is what a saga was started with."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _present(saga_type: str, key: str, data: Mapping[str, Any]) -> Saga | None:
    saga = Saga.objects.filter(saga_type=saga_type, idempotency_key=key).first()
    if saga and saga.fingerprint != fingerprint(data):
        raise KeyTaken(f"The key {key!r} already started saga {saga.id}, with other data.", saga.id)
    return saga
