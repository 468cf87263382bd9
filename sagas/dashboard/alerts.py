"""Alerts as the desk shows them: what is the matter, who is on it, and whom that was told."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Case, Max, Q, QuerySet, When
from django.db.models import Count as Counted

from sagas.alerts import alert_path, key_of
from sagas.conf import settings
from sagas.core.words import URGENCY, AlertKind
from sagas.models import Alert, Notice
from sagas.orchestrator import ALERT_VERBS, Group
from sagas.undelivered import Undelivered

S = TypeVar("S", Group, Undelivered)

#: Open alerts that are shown, at most.
SHOWN = 200
#: What the overview has lines for that it makes by itself.
GROUPED = (AlertKind.ATTENTION, AlertKind.UNDELIVERED)


#: What asks for a person, the most urgent first: what keeps all sagas from moving, then what each of them asks.
KINDS = (
    *(AlertKind.WORKERS, AlertKind.CLOCK, AlertKind.REDIS, AlertKind.UNSERVED, AlertKind.ATTENTION),
    *(AlertKind.UNDELIVERED, AlertKind.BATCH, AlertKind.BEHIND, AlertKind.CHANNEL),
)


def open_alerts() -> list[Alert]:
    """Return what asks for a person; the most urgent comes first, of that what nobody is on, of that the newest."""
    return list(_urgent_first(Alert.objects.filter(resolved_at=None))[:SHOWN])


def _urgent_first(found: QuerySet[Alert]) -> QuerySet[Alert]:
    kind = Case(*(When(kind=kind, then=rank) for rank, kind in enumerate(KINDS)), default=len(KINDS))
    asked = (When(about__attention=code, then=-rank) for code, rank in URGENCY.items())
    taken = Case(When(taken_name="", then=0), default=1)
    return found.order_by(kind, Case(*asked, default=0), taken, "-pk")


@dataclass(frozen=True)
class Count:
    """How many alerts are open, and how many of them somebody is on."""

    open: int
    taken: int

    @classmethod
    def now(cls) -> "Count":
        """Count them, in one query."""
        taken = ~Q(taken_name="")
        found = Alert.objects.filter(resolved_at=None)
        return cls(**found.aggregate(open=Counted("pk"), taken=Counted("pk", filter=taken)))


def others(most: int) -> list[Alert]:
    """Return so many of those that the overview has no line of its own for, and that are there at this moment."""
    found = Alert.objects.filter(resolved_at=None, gone_at=None).exclude(kind__in=GROUPED)
    return list(_urgent_first(found)[:most])


def with_alerts(shown: Sequence[S]) -> list[tuple[S, Alert | None]]:
    """Return what the overview shows, each with its alert: there is none until somebody has looked."""
    keys = [key_of(each) for each in shown]
    known = {alert.key: alert for alert in Alert.objects.filter(resolved_at=None, key__in=keys)}
    return [(each, known.get(key)) for each, key in zip(shown, keys, strict=True)]


@dataclass(frozen=True)
class Told:
    """The latest that a channel was told of an alert, or was to be."""

    notice: Notice

    @property
    def text(self) -> str:
        """How it went."""
        notice = self.notice
        if notice.sent_at:
            return f"{notice.channel}: told"
        if notice.channel not in settings().ALERTS:
            return f"{notice.channel}: not set up here"
        if notice.given_up:
            return f"{notice.channel}: not told any more"
        if not notice.error:
            return f"{notice.channel}: about to be told"
        return f"{notice.channel}: does not take it, in {notice.attempt} attempt{'s' if notice.attempt > 1 else ''}"


@dataclass(frozen=True)
class Shown:
    """An alert with what stands beside it."""

    alert: Alert
    told: list[Told]

    @classmethod
    def of(cls, alerts: Iterable[Alert]) -> list["Shown"]:
        """Find whom alerts were told, in one query."""
        listed = list(alerts)
        latest: Mapping[int, dict[str, Told]] = defaultdict(dict)
        of_these = Notice.objects.filter(alert__in=[alert.pk for alert in listed]).order_by()
        last = of_these.values("alert", "channel").annotate(last=Max("pk")).values("last")
        for notice in Notice.objects.filter(pk__in=last).order_by("channel"):
            latest[notice.alert_id][notice.channel] = Told(notice)
        return [cls(alert, [*latest[alert.pk].values()]) for alert in listed]

    @property
    def path(self) -> str:
        """Where what is the matter is seen."""
        return alert_path(self.alert)

    @property
    def will_be_told(self) -> bool:
        """Whether somebody will hear of it for the first time, unless it ends."""
        alert = self.alert
        wanted = any(channel.wants(alert.kind) for channel in settings().ALERTS.values())
        return bool(alert.tell_at and wanted and not (alert.told or alert.taken_name or alert.gone_at))

    @property
    def verbs(self) -> list[tuple[str, str]]:
        """What can be done to it, with its label."""
        if self.alert.resolved_at is not None:
            return []
        possible = ("give_back", "take") if self.alert.taken_name else ("take",)
        return [(verb, ALERT_VERBS[verb]) for verb in possible]

    @property
    def seconds(self) -> float | None:
        """For how long it lasted; None while it does."""
        alert = self.alert
        return (alert.resolved_at - alert.opened_at).total_seconds() if alert.resolved_at else None


def channels() -> list[tuple[str, str]]:
    """Return the channels that are set up, each with what it is: no address, which may be a secret."""
    kinds: list[tuple[str, Any]] = [*settings().ALERTS.items()]
    return [(name, "mail" if c.email else "webhook" if c.webhook else "function") for name, c in kinds]
