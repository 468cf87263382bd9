"""The participants' tables, read and compared: what a call changed, and what was not restored."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import models, router

from sagas.inbox import Inbox

Key = Any
Row = Mapping[str, Any]
#: Model's label -> its rows by their keys.
Snapshot = Mapping[str, Mapping[Key, Row]]
#: How a table is read: the name of a queryset's method, or a function from queryset to queryset.
Reading = str | Callable[[Any], Any]


class UnknownBooks(ValueError):
    """A saga type's drill settings name a model or field that does not exist. Its text says which."""


class Change(NamedTuple):
    """A row that came, went, or a field of one that changed."""

    label: str
    key: Key
    field: str | None
    """None: the whole row."""
    was: Any
    now: Any

    def __str__(self) -> str:
        row = f"{self.label.partition('.')[2]} {self.key}"
        if self.field is not None:
            return f"{row}: {self.field} {_short(self.was)} → {_short(self.now)}"
        if self.was is None:
            return f"+ {row}{_told(self.now)}"
        return f"− {row}{_told(self.was)}"


def _told(row: Row) -> str:
    """Return the few values of a row that tell which it is."""
    told = [f"{name}={_short(value)}" for name, value in row.items() if is_amount(value)]
    return f" ({', '.join(told[:3])})" if told else ""


def _short(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = str(value) if is_amount(value) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def is_amount(value: Any) -> bool:
    """Whether a value can be added up."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


@dataclass(frozen=True)
class _Table:
    """How one model's rows are read."""

    model: type[models.Model]
    fields: tuple[str, ...]
    amounts: frozenset[str]
    """Those of the fields that can be added up."""
    read: Callable[[Any], Any]

    def rows(self) -> dict[Key, Row]:
        found = self.read(self.model._default_manager.using(router.db_for_write(self.model)).order_by())
        if not issubclass(getattr(found, "_iterable_class", object), models.query.ModelIterable):
            return _summed(found)
        columns = found.values_list("pk", *self.fields)
        return {key: dict(zip(self.fields, values, strict=True)) for key, *values in columns}

    def amounts_in(self, *those: Mapping[Key, Row]) -> set[str]:
        """Return what can be added up in these rows; in summed ones, all can."""
        names = {name for rows in those for row in rows.values() for name in row}
        return {name for name in names if name in self.amounts or name not in self.fields}


def _summed(rows: Any) -> dict[Key, Row]:
    """Key the rows of a ``values(…).annotate(…)`` queryset by its values; sums of nothing are as no row."""
    amounts = tuple(rows.query.annotation_select)
    found: dict[Key, Row] = {}
    for row in rows:
        if any(row[name] for name in amounts):
            key = ", ".join(str(value) for name, value in row.items() if name not in amounts)
            found[key] = {name: row[name] or 0 for name in amounts}
    return found


class Books:
    """The tables that count."""

    def __init__(
        self,
        app_labels: Collection[str],
        ignores: Iterable[str] = (),
        reads: Mapping[str, Reading] | None = None,
    ) -> None:
        """Count all models of these apps but inboxes.

        ``ignores`` names models, as ``shop.Visit``, and fields, as ``shop.Order.seen_at``. ``reads`` says for a
        model which of its rows count. Raises UnknownBooks.
        """
        self._reads = {_model(label)._meta.label: reading for label, reading in (reads or {}).items()}
        self._models, self._fields = _ignored(ignores)
        self._tables: dict[str, _Table] = {}
        self._labels: dict[str, str] = {}
        for label in app_labels:
            self._add(apps.get_app_config(label).get_models(include_auto_created=True))
        self._add(apps.get_model(label) for label in self._reads)

    def widen(self, tables: Collection[str]) -> bool:
        """Count these tables from now on, too; False if all that count did so already."""
        known = len(self._tables)
        self._add(m for m in _others() if m._meta.db_table in tables and m._meta.db_table not in self._labels)
        return len(self._tables) > known

    def _add(self, models: Iterable[type[models.Model]]) -> None:
        for model in models:
            table = self._table(model)
            if table is not None:
                self._tables[model._meta.label] = table
                self._labels[model._meta.db_table] = model._meta.label

    def _table(self, model: type[models.Model]) -> _Table | None:
        label = model._meta.label
        if model._meta.proxy or issubclass(model, Inbox) or label in self._models:
            return None
        fields = [f for f in model._meta.concrete_fields if self._counts(label, f)]
        amounts = frozenset(f.attname for f in fields if isinstance(f, _AMOUNTS) and not f.is_relation)
        return _Table(model, tuple(f.attname for f in fields), amounts, self._reading(model))

    def _counts(self, label: str, field: Any) -> bool:
        """Whether a field says something of its row's meaning: its key does not, nor when it was last saved."""
        ignored = f"{label}.{field.name}" in self._fields
        return not (ignored or field.primary_key or getattr(field, "auto_now", False))

    def _reading(self, model: type[models.Model]) -> Callable[[Any], Any]:
        reading = self._reads.get(model._meta.label)
        if reading is None:
            return lambda rows: rows
        if not isinstance(reading, str):
            return reading
        if not hasattr(model._default_manager.none(), reading):
            raise UnknownBooks(f"drill_reads: the queryset of {model._meta.label} has no method {reading!r}.")
        return lambda rows: getattr(rows, reading)()

    def snapshot(self) -> Snapshot:
        """Read everything."""
        return {label: table.rows() for label, table in self._tables.items()}

    def again(self, before: Snapshot, tables: Collection[str], everything: bool = False) -> Snapshot:
        """Read again what was written to."""
        written = self._tables if everything else {self._labels[t] for t in tables if t in self._labels}
        return {**before, **{label: self._tables[label].rows() for label in written}}

    def effect(self, before: Snapshot, after: Snapshot) -> dict[str, Any]:
        """Sum up what happened, whatever the rows' keys: how many rows came, and each amount's growth."""
        grown: dict[str, Any] = {}
        for label, table in self._tables.items():
            if before[label] is after[label]:
                continue
            grown[f"{label}: rows"] = len(after[label]) - len(before[label])
            for name in table.amounts_in(after[label], before[label]):
                grown[f"{label}: {name}"] = _total(after[label], name) - _total(before[label], name)
        return {what: by for what, by in grown.items() if by}


def _others() -> Iterator[type[models.Model]]:
    """Yield every model that is not Sagadesk's own."""
    return (m for m in apps.get_models(include_auto_created=True) if m._meta.app_label != "sagas")


def aliases() -> tuple[str, ...]:
    """Return the databases in which there are tables of anybody."""
    return tuple(sorted({router.db_for_write(model) for model in apps.get_models()}))


_AMOUNTS = (models.IntegerField, models.DecimalField, models.FloatField)


def _total(rows: Mapping[Key, Row], name: str) -> Any:
    return sum(row[name] for row in rows.values() if row.get(name) is not None)


def _model(label: str) -> type[models.Model]:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        raise UnknownBooks(f"There is no model {label!r}; write it as app_label.Model.") from None


def _ignored(names: Iterable[str]) -> tuple[set[str], set[str]]:
    """Sort names into models and fields."""
    whole, fields = set(), set()
    for name in names:
        parts = name.split(".")
        model = _model(".".join(parts[:2]))
        if len(parts) == 2:
            whole.add(model._meta.label)
            continue
        try:
            fields.add(f"{model._meta.label}.{model._meta.get_field(parts[2]).name}")
        except (FieldDoesNotExist, IndexError):
            raise UnknownBooks(
                f"drill_ignores: {model._meta.label} has no field {'.'.join(parts[2:])!r}."
            ) from None
    return whole, fields


def changes(before: Snapshot, after: Snapshot) -> list[Change]:
    """Return what is different, row by row and field by field."""
    return [
        change
        for label in after
        if before[label] is not after[label]
        for change in _changed(label, before[label], after[label])
    ]


def _changed(label: str, before: Mapping[Key, Row], after: Mapping[Key, Row]) -> Iterator[Change]:
    for key in before.keys() | after.keys():
        was, now = before.get(key), after.get(key)
        if was is None or now is None:
            yield Change(label, key, None, was, now)
            continue
        for name in now:
            if was.get(name) != now[name]:
                yield Change(label, key, name, was.get(name), now[name])


def with_changes(before: Snapshot, made: Iterable[Change]) -> Snapshot:
    """Return a snapshot as it would be if these changes, and no others, had been made to it."""
    after = {label: dict(rows) for label, rows in before.items()}
    for change in made:
        rows = after[change.label]
        if change.field is None:
            rows.pop(change.key, None)
            if change.now is not None:
                rows[change.key] = change.now
        elif change.key in rows:
            rows[change.key] = {**rows[change.key], change.field: _applied(rows[change.key], change)}
    return after


def _applied(row: Row, change: Change) -> Any:
    """Amounts add up, whoever else changed them; anything else is replaced."""
    if is_amount(change.was) and is_amount(change.now) and change.field is not None:
        return row[change.field] + change.now - change.was
    return change.now
