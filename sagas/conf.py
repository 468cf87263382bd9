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


@dataclass(frozen=True)
class Settings:
    """All of Sagadesk's settings. Durations are seconds."""

    LEASE: float = 30.0
    """How long a worker may be silent before what it holds is given to another."""
    CONCURRENCY: int = 16
    """Handlers that one worker process runs at once: more where they wait for others, fewer where they compute."""
    PREFETCH: int = 48
    """Pieces of work that a worker takes beyond that at most, as long as its handlers are quick: they share commits."""
    BUDGET: float = 20.0
    """How long one RQ job goes on serving its queues before it makes room."""
    MAX_JOBS: int = 10_000
    """RQ jobs after which a worker process ends, to be started afresh."""
    CLOCK: float = 1.0
    """Between two looks of the clock."""
    ALIVE: float = 10.0
    """A process that has been silent for longer counts as gone."""
    UNSERVED: float = 20.0
    """How long a command may be due on a queue of which nobody knows, until an operator is asked."""
    QUEUES: Mapping[str, str] = field(default_factory=dict)
    """Service name -> queue, where it is not the service's name in lower case without "Service"."""
    ELSEWHERE: tuple[str, ...] = ()
    """Queues of participants in other projects, with workers of their own: their commands need no handler here."""
    RUN_QUEUES: tuple[str, ...] = ()
    """Queues whose commands may be handled in a process that calls ``run``; none: all that it has handlers for."""
    DELIVERY_RETRY_CAP: float = 300.0
    """The longest wait between two deliveries of an event to a subscriber that fails."""
    HTTP: Mapping[str, HttpService] = field(default_factory=dict)
    """Service name -> where it is, for participants that get their commands by HTTP."""
    CALLBACK_URL: str = ""
    """Our own address as participants see it, as ``https://desk.example``: where they send answers that take longer."""
    RQ: str = "default"
    """The entry of RQ_QUEUES that says which Redis is ours. Where it is another than this, our queues in RQ are called
    after it, as ``sagas-payment``: a project's own jobs keep theirs."""
    ALERTS: Mapping[str, AlertChannel] = field(default_factory=dict)
    """Name of a channel -> whom it tells when something asks for a person."""
    ALERT_AFTER: float = 30.0
    """How long something asks for a person until that is told outside; 0: at once."""
    ALERT_AGAIN: float = 3600.0
    """After how long it is told again, if it is still there and nobody is on it; 0: never."""
    BEHIND: float = 60.0
    """How long work may be due on a queue that somebody serves, until that is an alert."""
    DESK_URL: str = ""
    """The site's address as operators see it, as ``https://desk.example``, with the prefix that a proxy adds, if one
    does: alerts lead there."""
    SEARCHABLE: tuple[str, ...] = ()
    """Paths in the sagas' data, as ``customer.id``, that lists may be filtered by; ``migrate`` makes their indexes."""


_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
#: A column's length, and what can stand in a list of queues on the command line or in the environment.
_QUEUE = re.compile(r"[^\s,]{1,100}")
#: What is counted, and not measured.
_COUNTS = ("CONCURRENCY", "PREFETCH", "MAX_JOBS")
#: What may be none at all.
_MAY_BE_NONE = ("PREFETCH", "ALERT_AFTER", "ALERT_AGAIN")


class ImpossibleSetting(ImproperlyConfigured):
    """A setting that is unknown or has an impossible value. Its text says which and why."""


def read(given: Mapping[str, Any]) -> Settings:
    """Check and return the settings. Raises :class:`ImpossibleSetting`."""
    if not isinstance(given, Mapping):
        raise ImpossibleSetting(f"SAGAS must be a mapping, as {{'CONCURRENCY': 32}}, not {given!r}.")
    known = [f.name for f in fields(Settings)]
    for name, value in given.items():
        if name not in known:
            raise ImpossibleSetting(f"SAGAS[{name!r}] is not a setting; there are {', '.join(known)}.")
        if name == "QUEUES":
            _check_services(value)
        elif name == "HTTP":
            given = {**given, name: _named(name, value, "services", _service)}
        elif name == "ALERTS":
            given = {**given, name: _named(name, value, "channels", _channel)}
        elif name == "CALLBACK_URL":
            _check_url(name, value, r"https?://[^/?#@]+/?")
        elif name == "DESK_URL":
            _check_url(name, value, r"https?://[^/?#@\s]+(/[^?#\s]*)?")
        elif name == "SEARCHABLE":
            _check_paths(value)
        elif name == "RQ":
            if not _is_queue(value):
                raise ImpossibleSetting(f"SAGAS['RQ'] {_A_QUEUE}, not {value!r}.")
        elif name in ("ELSEWHERE", "RUN_QUEUES"):
            _check_queues(name, value)
        else:
            _check_number(name, value)
    # From the environment every number is a float; some count things.
    counts = {name: int(given[name]) for name in _COUNTS if name in given}
    lists = {name: tuple(given[name]) for name in ("SEARCHABLE", "ELSEWHERE", "RUN_QUEUES") if name in given}
    return Settings(**{**given, **counts, **lists})


def _check_number(name: str, value: Any) -> None:
    if name in _MAY_BE_NONE and value == 0 and not isinstance(value, bool):
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ImpossibleSetting(f"SAGAS[{name!r}] must be a number above 0, not {value!r}.")
    if name in _COUNTS and value != int(value):
        raise ImpossibleSetting(f"SAGAS[{name!r}] must be a whole number, not {value!r}.")


def _check_services(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ImpossibleSetting(f"SAGAS['QUEUES'] must map service names to queues, not {value!r}.")
    for service, queue in value.items():
        if not isinstance(service, str) or not service or "." in service:
            raise ImpossibleSetting(
                f"SAGAS['QUEUES'] names the service {service!r}; it is what stands before the dot of a command,"
                " as PaymentService."
            )
        if not _is_queue(queue):
            raise ImpossibleSetting(f"SAGAS['QUEUES'][{service!r}] {_A_QUEUE}, not {queue!r}.")


def _is_queue(name: Any) -> bool:
    return isinstance(name, str) and _QUEUE.fullmatch(name) is not None


_A_QUEUE = "must be a queue's name, of 1 to 100 characters without blanks and commas, as payment"


def _named(setting: str, value: Any, what: str, read_one: Callable[[Any, Any], T]) -> dict[str, T]:
    """Read what a name each stands for. Values are not told of: some are secret."""
    if not isinstance(value, Mapping):
        raise ImpossibleSetting(
            f"SAGAS[{setting!r}] must map the names of {what} to their settings, not be a {type(value).__name__}."
        )
    found: dict[str, T] = {}
    for name, given in value.items():
        try:
            found[name] = read_one(name, given)
        except ValueError as wrong:
            raise ImpossibleSetting(f"SAGAS[{setting!r}][{name!r}]: {wrong}.") from wrong
    return found


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


def _check_url(name: str, value: Any, form: str) -> None:
    if not isinstance(value, str) or (value and not re.fullmatch(form, value)):
        raise ImpossibleSetting(
            f"SAGAS[{name!r}] must be this desk's address, as https://desk.example, not {value!r}."
        )


def _check_paths(value: Any) -> None:
    if not isinstance(value, list | tuple) or not all(isinstance(path, str) for path in value):
        raise ImpossibleSetting(f"SAGAS['SEARCHABLE'] must list paths in the data, not {value!r}.")
    for path in value:
        if not _PATH.fullmatch(path):
            raise ImpossibleSetting(
                f"SAGAS['SEARCHABLE'] names {path!r}; a path is keys of letters, digits, _ and -, joined by dots."
            )


def _check_queues(name: str, value: Any) -> None:
    if not isinstance(value, list | tuple):
        raise ImpossibleSetting(f"SAGAS[{name!r}] must list queues, as ['payment'], not {value!r}.")
    for queue in value:
        if not _is_queue(queue):
            raise ImpossibleSetting(f"SAGAS[{name!r}] names {queue!r}; each {_A_QUEUE}.")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings in force."""
    return read(getattr(django_settings, "SAGAS", {}))


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "SAGAS":
        settings.cache_clear()


setting_changed.connect(_forget)
