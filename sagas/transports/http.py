"""Participants elsewhere: services that ``SAGAS["HTTP"]`` names get their commands by HTTP.

What an answer means is decided here alone. Only a status that says so is a yes or a no; whatever may have reached the
participant and says neither is unknown.
"""

import hashlib
import json
import time
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

from django.urls import reverse

from sagas import registry
from sagas.conf import HttpService, settings
from sagas.core.answers import Later, Misconfigured, NoSuchCommand, Rejected, Unavailable
from sagas.core.plain import printable
from sagas.transports import faults, signing, wire

#: Answers that say: not now, and nobody knows whether it was begun.
_NOT_NOW = {408, 425, 429}


class Http:
    """The transport, as the registry knows it."""

    @staticmethod
    def handler(name: str) -> registry.Command | None:
        """Return how a command of one of the services is sent; None for any other."""
        service = service_of(name)
        if service is None:
            return None
        return registry.Command(name, send, registry.service_queue(name), service.inbox, is_async=True)

    @staticmethod
    def queues() -> Iterable[str]:
        """Return the queues of all services."""
        return {registry.service_queue(f"{service}.") for service in settings().HTTP}


registry.add_transport(Http)


def service_of(command: str) -> HttpService | None:
    """Return the service elsewhere that a command belongs to, or None."""
    return settings().HTTP.get(command.partition(".")[0])


async def send(command: Any) -> Any:
    """Send a command, and return or raise what its participant's answer amounts to."""
    service = service_of(command.name)
    if service is None:
        raise Misconfigured(f"SAGAS['HTTP'] no longer names the service of {command.name}")
    url = urlsplit(service.url)
    path = f"{url.path.rstrip('/')}/{quote(command.name)}"
    address = f"{url.scheme}://{url.netloc}{path}"
    body = json.dumps(dict(command), separators=(",", ":")).encode()
    headers = signing.signed(service.secrets[0], "POST", path, envelope(command), body, time.time())
    more = {"content-type": "application/json", "traceparent": _traceparent(command.meta)}
    try:
        answer = await wire.post(url, path, [*headers.items(), *more.items()], body, private=service.private)
    except wire.NotAllowed as no:
        raise Misconfigured(f"{no} ({address})") from no
    except (OSError, UnicodeError) as fault:
        raise Unavailable(f"{faults.unanswered(fault, url.netloc)} ({address})") from fault
    return meaning(answer, service, command, address)


def envelope(command: Any) -> dict[str, str]:
    """Return what is to be known of a command beside its input, as headers."""
    meta = command.meta
    values = {
        "saga-command": command.name,
        "saga-key": meta.key,
        "saga-number": meta.number,
        "saga-attempt": meta.attempt,
        "saga-deadline": meta.deadline.isoformat(),
        "saga-correlation-id": meta.correlation_id,
        "saga-id": meta.saga_id,
        "saga-step": meta.step,
        "saga-direction": meta.direction,
        "saga-undoes": meta.undoes,
        "saga-probes": meta.probes,
        "saga-callback": _callback(command),
    }
    return {name: signing.escaped(value) for name, value in values.items() if value is not None}


def _callback(command: Any) -> str | None:
    base, service = settings().CALLBACK_URL, command.name.partition(".")[0]
    meta = command.meta
    path = reverse("api-callback", args=[service, meta.saga_id, meta.number]) if base else ""
    return base.rstrip("/") + path or None


def _traceparent(meta: Any) -> str:
    """Return the W3C trace context: a saga is a trace, an attempt a span of it."""
    span = hashlib.sha256(f"{meta.key} {meta.probes} {meta.attempt}".encode()).hexdigest()[:16]
    return f"00-{meta.saga_id.replace('-', '')}-{span}-01"


def meaning(answer: wire.Answer, service: HttpService, command: Any, address: str) -> Any:
    """Return a participant's result, or raise what else its answer means."""
    match answer.status:
        case 200:
            return _result(answer, address)
        case 202:
            return Later(service.reply_within)
        case 409 | 422:
            raise Rejected(_reason(answer))
        case 404 if command.meta.probes is not None and _document(answer).get("no_such_command") is True:
            raise NoSuchCommand
        case status if status in _NOT_NOW or status >= 500:
            raise Unavailable(f"it answered {_said(answer)} ({address})", retry_after=_retry_after(answer))
        case status if 200 <= status < 300:
            # It may well have been done: nobody must take it for a command that never arrived.
            raise Misconfigured(
                f"it answered {status}, which is neither 200, done, nor 202, later ({address})", arrived=True
            )
        case status if 300 <= status < 400:
            where = printable(answer.headers.get("location", "nowhere"), 200)
            raise Misconfigured(
                f"it answered {status} and points to {where}; redirects are not followed ({address})"
            )
        case status:
            hint = faults.refused(status, command.name.partition(".")[0])
            raise Misconfigured(f"it answered {_said(answer)}{hint} ({address})")


def _result(answer: wire.Answer, address: str) -> Any:
    if not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except ValueError as wrong:
        told = (
            f"it answered 200 with a body that is not JSON, and begins with {_text(answer)!r:.80} ({address})"
        )
        raise Unavailable(told) from wrong


def _document(answer: wire.Answer) -> dict[str, Any]:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _reason(answer: wire.Answer) -> str:
    return printable(str(_document(answer).get("reason") or _text(answer) or "rejected"))


def _said(answer: wire.Answer) -> str:
    text = _text(answer)
    return f"{answer.status}: {text}" if text else str(answer.status)


def _text(answer: wire.Answer) -> str:
    return printable(answer.body[:500].decode("utf-8", "replace"), 200).strip()


def _retry_after(answer: wire.Answer) -> float | None:
    """Read seconds, or a date; None for what is neither."""
    told = answer.headers.get("retry-after", "")
    if told.isascii() and told.isdigit():
        return float(told[:9])
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
