"""The figures for Prometheus: a table of gauges, and how they are written."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import Count
from django.utils import timezone

from sagas.alerts import failing
from sagas.core.words import AlertKind, SagaState
from sagas.dashboard.overview import counts
from sagas.health import health
from sagas.models import Alert, Batch, Due, Saga
from sagas.undelivered import undelivered

#: Open alerts that are read for the figures; there is one of each kind for each cause, so they are few.
MOST_ALERTS = 1_000


class Read:
    """What is read for one answer, each of it once."""

    @cached_property
    def health(self) -> dict[str, Any]:
        """How the processes and the servers are."""
        return health()

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many sagas are in each state, and paused."""
        return {name: each.count for name, each in counts().items()}

    @cached_property
    def alerts(self) -> list[tuple[str, str]]:
        """The kind of each open alert, and who is on it."""
        return list(Alert.objects.filter(resolved_at=None).values_list("kind", "taken_name")[:MOST_ALERTS])


class Gauge(NamedTuple):
    """A figure; or several, that a label tells apart."""

    name: str
    text: str
    label: str
    """Empty: it is one figure."""
    read: Callable[[Read], Any]
    """Returns the figure; with a label, each by the label's value."""


def _by_state(read: Read) -> Mapping[str, int]:
    return {state.value: read.counts[state.value] for state in SagaState}


def _attention(_: Read) -> Mapping[str, int]:
    asking = Saga.objects.at_attention().values_list("attention")
    return dict(asking.annotate(n=Count("pk")).order_by())


def _due(_: Read) -> Mapping[str, int]:
    due = Due.objects.filter(due_at__lte=timezone.now(), paused=False, lease_token__isnull=True)
    return dict(due.values_list("queue").annotate(n=Count("pk")).order_by())


def _batches(_: Read) -> Mapping[str, int]:
    going = Batch.objects.filter(ended_at=None, state__in=[Batch.RUNNING, Batch.PAUSED])
    return Counter(going.values_list("state", flat=True))


def _alerts(read: Read) -> Mapping[str, int]:
    kinds = Counter(kind for kind, _ in read.alerts)
    return {kind.value: kinds[kind] for kind in AlertKind}


GAUGES = (
    Gauge("sagadesk_sagas", "Sagas by state; 10001 means more than 10000.", "state", _by_state),
    Gauge("sagadesk_sagas_paused", "Paused sagas.", "", lambda read: read.counts["paused"]),
    Gauge("sagadesk_attention", "Sagas that need a person.", "code", _attention),
    Gauge("sagadesk_due", "Work that is due.", "queue", _due),
    Gauge(
        "sagadesk_queue_paused",
        "1 for each queue that an operator has paused.",
        "queue",
        lambda read: {pause.queue: 1 for pause in read.health["queues_paused"]},
    ),
    Gauge("sagadesk_batches", "Batches that run, and that are paused.", "state", _batches),
    Gauge(
        "sagadesk_undelivered",
        "Deliveries to hooks and subscribers that keep failing; of 1000 that are read.",
        "called",
        lambda _: {each.called: each.count for each in undelivered()},
    ),
    Gauge("sagadesk_alerts_open", "Alerts that are not over; of 1000 that are read.", "kind", _alerts),
    Gauge(
        "sagadesk_alerts_untaken",
        "Those of them that nobody is on.",
        "",
        lambda read: sum(not taken for _, taken in read.alerts),
    ),
    Gauge(
        "sagadesk_alert_channel_failing",
        "1 for each channel that does not take what it is told.",
        "channel",
        lambda _: dict.fromkeys(failing(), 1),
    ),
    Gauge(
        "sagadesk_oldest_due_seconds",
        "How long the oldest work has been due, on queues that are not paused.",
        "",
        lambda read: read.health["oldest_due_seconds"] or 0,
    ),
    Gauge("sagadesk_workers_alive", "Workers.", "", lambda read: read.health["workers_alive"]),
    Gauge("sagadesk_clock_alive", "1 if a clock is alive.", "", lambda read: int(read.health["clock"])),
    Gauge(
        "sagadesk_database_full",
        "1 if the database's disk is full.",
        "",
        lambda read: int(read.health["full"]),
    ),
    Gauge("sagadesk_redis_up", "1 if Redis answers.", "", lambda read: int(read.health["redis"])),
)


def lines() -> Iterator[str]:
    """Yield the figures in Prometheus' text format."""
    read = Read()
    for gauge in GAUGES:
        yield f"# HELP {gauge.name} {gauge.text}"
        yield f"# TYPE {gauge.name} gauge"
        if not gauge.label:
            yield f"{gauge.name} {gauge.read(read)}"
            continue
        for value, figure in gauge.read(read).items():
            yield f"{gauge.name}{label(gauge.label, value)} {figure}"


def label(name: str, value: str) -> str:
    """Write a label as Prometheus reads it."""
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{{{name}="{escaped}"}}'
