"""The typed settings: ``SAGAS = {...}`` in Django's settings, each with its default."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from sagas.core.words import AlertKind

#: Characters; a key that can be guessed protects nothing.
SHORTEST_SECRET = 16
_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
#: A column's length, and what can stand in a list of queues on the command line or in the environment.
_QUEUE = re.compile(r"[^\s,]{1,100}")
_A_QUEUE = "must be a queue's name, of 1 to 100 characters without blanks and commas, as payment"
T = TypeVar("T")


@dataclass(frozen=True)
class HttpService:
    """A participant elsewhere. Durations are seconds."""

    url: str
    """Commands are posted to this address, a slash and the command's name."""
    secrets: tuple[str, ...] = field(repr=False)
    """One key, or two while it is being changed: the first signs, both are good for signatures of theirs."""
    inbox: bool = True
    """Whether it remembers keys, so that a repeated command has no second effect."""
    private: bool = False
    """Whether it may be on a private network or this machine."""
    reply_within: float = 3600.0
    """How long a callback may take, once it has said 202."""

    def __post_init__(self) -> None:
        url = _split(self.url)
        if (
            url is None
            or url.scheme not in ("http", "https")
            or not url.hostname
            or url.query
            or url.username
        ):
            raise ValueError("url must be http(s)://host[:port]/path, without a user and a query")
        if not _has_port(url):
            raise ValueError("url must have a port between 1 and 65535, or none")
        if url.scheme == "http" and not self.private:
            raise ValueError("url must be https, unless the service is on a private network (private=True)")
        for name in ("inbox", "private"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, not {getattr(self, name)!r}")
        keys = self.secrets
        if not isinstance(keys, list | tuple) or not 1 <= len(keys) <= 2 or not all(map(_is_secret, keys)):
            raise ValueError(f"secrets must be one or two keys of at least {SHORTEST_SECRET} characters")
        if isinstance(self.reply_within, bool) or not 0 < self.reply_within <= 366 * 86_400:
            raise ValueError("reply_within must be a number of seconds, more than 0 and less than a year")
        object.__setattr__(self, "secrets", tuple(keys))


@dataclass(frozen=True)
class AlertChannel:
    """Whom alerts are told: by mail, by a webhook, or by a function; exactly one of these."""

    email: tuple[str, ...] = ()
    """Addresses; sent as Django's settings say."""
    webhook: str = field(default="", repr=False)
    """An address that JSON is posted to, with a ``text`` that chats show; it may be a secret by itself."""
    call: str = ""
    """Where a function is, as ``shop.pager.page``; it is called with what a webhook gets."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with the webhook, as an Authorization."""
    private: bool = False
    """Whether the webhook may be on a private network or this machine."""
    kinds: tuple[str, ...] = ()
    """Kinds of alerts that it is told; none: all."""
    over: bool = True
    """Whether it is told, too, when one is over."""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.email, self.webhook, self.call))) != 1:
            raise ValueError("it must have one of email, webhook and call")
        for name in ("private", "over"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False")
        for name in ("email", "kinds"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
                raise ValueError(f"{name} must be a list of texts")
            object.__setattr__(self, name, tuple(value))
        for place, each in enumerate(self.email, 1):
            if not re.fullmatch(r"[^@\s]+@[^@\s]+", each):
                raise ValueError(f"email lists something that is no address, at place {place}")
        if wrong := [each for each in self.kinds if each not in list(AlertKind)]:
            raise ValueError(f"kinds lists {wrong[0]!r}; there are {', '.join(AlertKind)}")
        if not isinstance(self.call, str) or (self.call and not re.fullmatch(r"\w+(\.\w+)+", self.call)):
            raise ValueError("call must be where a function is, as shop.pager.page")
        self._check_webhook()

    def wants(self, kind: str) -> bool:
        """Whether it is told of this kind."""
        return not self.kinds or kind in self.kinds

    def _check_webhook(self) -> None:
        if not isinstance(self.headers, Mapping) or not all(_is_header(*h) for h in self.headers.items()):
            raise ValueError("headers must map names of HTTP headers, none of them ours, to texts, in ASCII")
        if not self.webhook:
            if self.headers or self.private:
                raise ValueError("headers and private are for a webhook")
            return
        url = _split(self.webhook)
        if url is None or url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc:
            raise ValueError("webhook must be http(s)://host[:port]/path, without a user")
        if not _has_port(url):
            raise ValueError("webhook must have a port between 1 and 65535, or none")
        if not self.webhook.isascii() or not self.webhook.isprintable() or " " in self.webhook:
            raise ValueError("webhook must be written in ASCII and without blanks: as %C3%A4, %20")
        if url.scheme == "http" and not self.private:
            raise ValueError("webhook must be https, unless it is on a private network (private=True)")


def _is_header(name: Any, value: Any) -> bool:
    if not isinstance(name, str) or not isinstance(value, str):
        return False
    ours = name.lower() in {"host", "content-type", "content-length", "connection", "transfer-encoding"}
    named = re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) is not None
    return named and not ours and value.isascii() and value.isprintable() and value == value.strip()


def _split(url: Any) -> SplitResult | None:
    try:
        return urlsplit(url) if isinstance(url, str) else None
    except ValueError:  # half an address of IPv6
        return None


def _has_port(url: SplitResult) -> bool:
    try:
        return url.port != 0
    except ValueError:  # beyond 65535, or no number
        return False


def _is_secret(key: Any) -> bool:
    return isinstance(key, str) and len(key) >= SHORTEST_SECRET


class ImpossibleSetting(ImproperlyConfigured):
    """A setting that is unknown or has an impossible value. Its text says which and why."""


# Readers: each returns a setting's value as it is kept. Raises ImpossibleSetting.


def _read_as(reader: Callable[[str, Any], Any], default: Any) -> Any:
    """Say how a setting is read, and what it is unless it is given."""
    if isinstance(default, dict):
        return field(default_factory=dict, metadata={"read": reader})
    return field(default=default, metadata={"read": reader})


def _number(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ImpossibleSetting(f"SAGAS[{name!r}] must be a number above 0, not {value!r}.")
    return value


def _number_or_none(name: str, value: Any) -> float:
    return 0 if value == 0 and not isinstance(value, bool) else _number(name, value)


def _count(name: str, value: Any) -> int:
    """From the environment every number is a float; some count things."""
    if _number(name, value) != int(value):
        raise ImpossibleSetting(f"SAGAS[{name!r}] must be a whole number, not {value!r}.")
    return int(value)


def _count_or_none(name: str, value: Any) -> int:
    return _count(name, value) if _number_or_none(name, value) else 0


def _is_queue(name: Any) -> bool:
    return isinstance(name, str) and _QUEUE.fullmatch(name) is not None


def _queue(name: str, value: Any) -> str:
    if not _is_queue(value):
        raise ImpossibleSetting(f"SAGAS[{name!r}] {_A_QUEUE}, not {value!r}.")
    return str(value)


def _queues(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ImpossibleSetting(f"SAGAS[{name!r}] must list queues, as ['payment'], not {value!r}.")
    for queue in value:
        if not _is_queue(queue):
            raise ImpossibleSetting(f"SAGAS[{name!r}] names {queue!r}; each {_A_QUEUE}.")
    return tuple(value)


def _services(name: str, value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ImpossibleSetting(f"SAGAS[{name!r}] must map service names to queues, not {value!r}.")
    for service, queue in value.items():
        if not isinstance(service, str) or not service or "." in service:
            raise ImpossibleSetting(
                f"SAGAS[{name!r}] names the service {service!r}; it is what stands before the dot of a command,"
                " as PaymentService."
            )
        if not _is_queue(queue):
            raise ImpossibleSetting(f"SAGAS[{name!r}][{service!r}] {_A_QUEUE}, not {queue!r}.")
    return value


def _address(form: str) -> Callable[[str, Any], str]:
    """Read this desk's address, or none."""

    def read(name: str, value: Any) -> str:
        if not isinstance(value, str) or (value and not re.fullmatch(form, value)):
            raise ImpossibleSetting(
                f"SAGAS[{name!r}] must be this desk's address, as https://desk.example, not {value!r}."
            )
        return value

    return read


def _paths(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(path, str) for path in value):
        raise ImpossibleSetting(f"SAGAS[{name!r}] must list paths in the data, not {value!r}.")
    for path in value:
        if not _PATH.fullmatch(path):
            raise ImpossibleSetting(
                f"SAGAS[{name!r}] names {path!r}; a path is keys of letters, digits, _ and -, joined by dots."
            )
    return tuple(value)


def _named(what: str, read_one: Callable[[Any, Any], T]) -> Callable[[str, Any], dict[str, T]]:
    """Read what a name each stands for. Values are not told of: some are secret."""

    def read(setting: str, value: Any) -> dict[str, T]:
        if not isinstance(value, Mapping):
            kind = type(value).__name__
            raise ImpossibleSetting(
                f"SAGAS[{setting!r}] must map the names of {what} to their settings, not be a {kind}."
            )
        found: dict[str, T] = {}
        for name, given in value.items():
            try:
                found[name] = read_one(name, given)
            except ValueError as wrong:
                raise ImpossibleSetting(f"SAGAS[{setting!r}][{name!r}]: {wrong}.") from wrong
        return found

    return read


def _service(name: Any, given: Any) -> HttpService:
    """Return the settings of one service. Raises ValueError."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError("a service's name is letters, digits, _ and -")
    _check_names(HttpService, given)
    if missing := [each for each in ("url", "secrets") if each not in given]:
        raise ValueError(f"{' and '.join(missing)} must be set")
    return HttpService(**given)


def _channel(name: Any, given: Any) -> AlertChannel:
    """Return the settings of one channel. Raises ValueError."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name):
        raise ValueError("a channel's name is letters, digits, _ and -, at most 100")
    _check_names(AlertChannel, given)
    return AlertChannel(**given)


def _check_names(kind: type[Any], given: Any) -> None:
    known = [f.name for f in fields(kind)]
    if not isinstance(given, Mapping):
        raise ValueError(f"its settings must be a mapping of {', '.join(known)}, not {type(given).__name__}")
    if unknown := [each for each in given if each not in known]:
        raise ValueError(f"{unknown[0]!r} is not a setting; there are {', '.join(known)}")


@dataclass(frozen=True)
class Settings:
    """All of Sagadesk's settings. Durations are seconds. What says no other way is read as a number."""

    LEASE: float = 30.0
    """How long a worker may be silent before what it holds is given to another."""
    CONCURRENCY: int = _read_as(_count, 16)
    """Handlers that one worker process runs at once: more where they wait for others, fewer where they compute."""
    PREFETCH: int = _read_as(_count_or_none, 48)
    """Pieces of work that a worker takes beyond that at most, as long as its handlers are quick: they share commits."""
    BUDGET: float = 20.0
    """How long one RQ job goes on serving its queues before it makes room."""
    MAX_JOBS: int = _read_as(_count, 10_000)
    """RQ jobs after which a worker process ends, to be started afresh."""
    CLOCK: float = 1.0
    """Between two looks of the clock."""
    ALIVE: float = 10.0
    """A process that has been silent for longer counts as gone."""
    UNSERVED: float = 20.0
    """How long a command may be due on a queue of which nobody knows, until an operator is asked."""
    QUEUES: Mapping[str, str] = _read_as(_services, {})
    """Service name -> queue, where it is not the service's name in lower case without "Service"."""
    ELSEWHERE: tuple[str, ...] = _read_as(_queues, ())
    """Queues of participants in other projects, with workers of their own: their commands need no handler here."""
    RUN_QUEUES: tuple[str, ...] = _read_as(_queues, ())
    """Queues whose commands may be handled in a process that calls ``run``; none: all that it has handlers for."""
    DELIVERY_RETRY_CAP: float = 300.0
    """The longest wait between two deliveries of an event to a subscriber that fails."""
    HTTP: Mapping[str, HttpService] = _read_as(_named("services", _service), {})
    """Service name -> where it is, for participants that get their commands by HTTP."""
    CALLBACK_URL: str = _read_as(_address(r"https?://[^/?#@]+/?"), "")
    """Our own address as participants see it, as ``https://desk.example``: where they send answers that take longer."""
    RQ: str = _read_as(_queue, "default")
    """The entry of RQ_QUEUES that says which Redis is ours. Where it is another than this, our queues in RQ are called
    after it, as ``sagas-payment``: a project's own jobs keep theirs."""
    ALERTS: Mapping[str, AlertChannel] = _read_as(_named("channels", _channel), {})
    """Name of a channel -> whom it tells when something asks for a person."""
    ALERT_AFTER: float = _read_as(_number_or_none, 30.0)
    """How long something asks for a person until that is told outside; 0: at once."""
    ALERT_AGAIN: float = _read_as(_number_or_none, 3600.0)
    """After how long it is told again, if it is still there and nobody is on it; 0: never."""
    BEHIND: float = 60.0
    """How long work may be due on a queue that somebody serves, until that is an alert."""
    DESK_URL: str = _read_as(_address(r"https?://[^/?#@\s]+(/[^?#\s]*)?"), "")
    """The site's address as operators see it, as ``https://desk.example``, with the prefix that a proxy adds, if one
    does: alerts lead there."""
    SEARCHABLE: tuple[str, ...] = _read_as(_paths, ())
    """Paths in the sagas' data, as ``customer.id``, that lists may be filtered by; ``migrate`` makes their indexes."""


def read(given: Mapping[str, Any]) -> Settings:
    """Check and return the settings. Raises :class:`ImpossibleSetting`."""
    if not isinstance(given, Mapping):
        raise ImpossibleSetting(f"SAGAS must be a mapping, as {{'CONCURRENCY': 32}}, not {given!r}.")
    readers = {each.name: each.metadata.get("read", _number) for each in fields(Settings)}
    if unknown := [name for name in given if name not in readers]:
        raise ImpossibleSetting(f"SAGAS[{unknown[0]!r}] is not a setting; there are {', '.join(readers)}.")
    return Settings(**{name: readers[name](name, value) for name, value in given.items()})


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings in force."""
    return read(getattr(django_settings, "SAGAS", {}))


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "SAGAS":
        settings.cache_clear()


setting_changed.connect(_forget)
