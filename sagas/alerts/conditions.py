"""What asks for a person at this moment. Each is found by what the desk shows of it, and by no other rule."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sagas import orchestrator
from sagas.alerts import telling
from sagas.conf import settings
from sagas.core.words import AlertKind
from sagas.health import NO_CLOCK, NO_WORKER, health
from sagas.models import Batch
from sagas.orchestrator import Group
from sagas.undelivered import Undelivered, delivering, undelivered

log = logging.getLogger(__name__)

#: Seconds for which deliveries may be due until it is not to be seen any more whether they still fail; much less than
#: an alert has to be gone.
PROMPT = 60.0


@dataclass(frozen=True)
class Condition:
    """One thing that asks for a person."""

    kind: AlertKind
    about: Mapping[str, Any]
    """What of its kind: with the kind, what tells it from all others."""
    title: str
    hint: str
    count: int = 1

    @property
    def key(self) -> str:
        """The same for the same thing."""
        return _key(self.kind, self.about)


@dataclass
class Seen:
    """What was found, and what could not be looked for."""

    found: list[Condition] = field(default_factory=list)
    unsure: set[AlertKind] = field(default_factory=set)
    """Kinds of which what was not found need not be gone."""


Finder = Callable[[Mapping[str, Any], Seen], Iterator[Condition]]


def conditions() -> Seen:
    """Look for everything. A kind that cannot be looked for is unsure, and no other's affair."""
    seen, processes = Seen(), health()
    for kinds, find in _FINDERS.items():
        try:
            seen.found += find(processes, seen)
        except Exception:  # of an author's code, or a statement that took too long
            log.exception("looking for %s failed", ", ".join(kinds))
            seen.unsure.update(kinds)
    return seen


def _key(kind: AlertKind, about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([kind, about], sort_keys=True).encode()).hexdigest()


def key_of(shown: Group | Undelivered) -> str:
    """Return the key of the alert for something that the overview shows."""
    if isinstance(shown, Undelivered):
        return _key(AlertKind.UNDELIVERED, {"called": shown.called})
    return _key(AlertKind.ATTENTION, _about(shown))


def _attention(_: Mapping[str, Any], seen: Seen) -> Iterator[Condition]:
    groups = orchestrator.attention_groups(by_type=True)
    if len(groups) >= orchestrator.GROUPED:  # those after them are not seen
        seen.unsure.add(AlertKind.ATTENTION)
    for group in groups:
        where = group.saga_type if group.grown else f"{group.step} of {group.saga_type}"
        yield Condition(AlertKind.ATTENTION, _about(group), f"{where}: {group.text}", group.hint, group.count)


def _about(group: Group) -> dict[str, Any]:
    """Say which sagas these are. A durable function names its steps as it runs, maybe by what it was given."""
    step = {} if group.grown else {"step": group.step}
    return {"attention": group.code, "type": group.saga_type, **step}


def _processes(processes: Mapping[str, Any], seen: Seen) -> Iterator[Condition]:
    """Find what is due and is not done. One cause is one alert: without workers, no queue is served."""
    if not processes["redis"]:
        title = "Redis does not answer: sagas go on more slowly, and pages are behind"
        yield Condition(AlertKind.REDIS, {}, title, "start it again; nothing is lost with it")
    if not processes["clock"]:
        yield Condition(AlertKind.CLOCK, {}, NO_CLOCK.rstrip("."), "start one: manage.py saga clock")
    if not processes["workers_alive"]:
        seen.unsure |= {AlertKind.UNSERVED, AlertKind.BEHIND, AlertKind.UNDELIVERED}
        yield Condition(AlertKind.WORKERS, {}, NO_WORKER.rstrip("."), "start one: manage.py saga worker")
        return
    for queue, seconds in sorted(processes["queues_due"].items()):
        if queue in processes["queues_unserved"]:
            hint = f"start one: manage.py saga worker {queue}"
            yield Condition(AlertKind.UNSERVED, {"queue": queue}, f"No worker serves {queue}", hint)
        elif seconds > settings().BEHIND:
            title = f"Workers do not keep up with {queue}: work has been due there for long"
            hint = "look at what takes its time there, or start more workers"
            yield Condition(AlertKind.BEHIND, {"queue": queue}, title, hint)


def _deliveries(processes: Mapping[str, Any], seen: Seen) -> Iterator[Condition]:
    """Find what keeps failing. What is due and not tried may, too, and is not among what is found."""
    found = undelivered()
    late = {queue for queue, seconds in processes["queues_due"].items() if seconds > PROMPT}
    late |= {pause.queue for pause in processes["queues_paused"]}
    if late & set(delivering()) or any(each.more for each in found):
        seen.unsure.add(AlertKind.UNDELIVERED)
    for each in found:
        title = f"Deliveries to {each.called} keep failing"
        hint = "read the error on the page of queues, and deploy what mends it"
        yield Condition(AlertKind.UNDELIVERED, {"called": each.called}, title, hint, each.count)


def _batches(_: Mapping[str, Any], __: Seen) -> Iterator[Condition]:
    paused = Batch.objects.filter(state=Batch.PAUSED, ended_at=None, note__isnull=False).order_by("pk")
    for pk in paused.values_list("pk", flat=True):
        title = f"Batch {pk} has paused itself"
        yield Condition(AlertKind.BATCH, {"batch": pk}, title, "its page says why: resume or cancel it")


def _channels(_: Mapping[str, Any], __: Seen) -> Iterator[Condition]:
    for channel in telling.failing():
        title = f"The channel {channel} does not take what it is told"
        hint = f"the page of alerts says why; once it is mended, manage.py saga alert try {channel}"
        yield Condition(AlertKind.CHANNEL, {"channel": channel}, title, hint)


#: What is found by what.
_FINDERS: Mapping[tuple[AlertKind, ...], Finder] = {
    (AlertKind.ATTENTION,): _attention,
    (
        AlertKind.REDIS,
        AlertKind.CLOCK,
        AlertKind.WORKERS,
        AlertKind.UNSERVED,
        AlertKind.BEHIND,
    ): _processes,
    (AlertKind.UNDELIVERED,): _deliveries,
    (AlertKind.BATCH,): _batches,
    (AlertKind.CHANNEL,): _channels,
}
