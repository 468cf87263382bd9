"""How a message reaches people: by mail, by a webhook that chats understand, or by a function of the project's own."""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from django.core.mail import EmailMessage, get_connection
from django.utils.module_loading import import_string

from sagas.conf import AlertChannel, settings
from sagas.core.plain import printable
from sagas.models import Notice
from sagas.orchestrator import alert_documents
from sagas.transports import faults, wire

#: Seconds within which a mail server and a webhook have to answer.
PATIENCE = 20.0
#: Characters of what went wrong that are kept.
SHOWN = 500
#: Characters of a secret that is looked for in what went wrong: shorter ones stand there by chance.
_LEAST = 6
#: How what has happened is said before a title.
_SAYS = {Notice.BEGUN: "", Notice.AGAIN: "Still: ", Notice.OVER: "Over: "}


class Untold(Exception):
    """A channel did not take what it was told; the text says why, without the channel's secrets."""


def send(name: str, channel: AlertChannel, notices: Sequence[Notice]) -> None:
    """Send notices as one message. Raises :class:`Untold`, whatever goes wrong."""
    try:
        documents = alert_documents(notice.alert for notice in notices)
        told = [
            {"what": notice.what, "notice": notice.pk, "text": line(notice.what, document), **document}
            for notice, document in zip(notices, documents, strict=True)
        ]
        _deliver(channel, told)
    except Untold as no:
        raise Untold(_told(str(no), channel)) from None
    except Exception as fault:  # whatever a mail server's library, or the project's function, raises
        raise Untold(_told(f"{type(fault).__name__}: {fault}", channel)) from None


def try_out(name: str, channel: AlertChannel) -> None:
    """Send a message that says that it is a trial. Raises :class:`Untold`."""
    text = f"A trial of the channel {name}: whoever reads this will be told when something asks for a person."
    trial = {"what": "trial", "text": text, "title": text, "url": settings().DESK_URL or None}
    try:
        _deliver(channel, [trial])
    except Untold as no:
        raise Untold(_told(str(no), channel)) from None
    except Exception as fault:
        raise Untold(_told(f"{type(fault).__name__}: {fault}", channel)) from None


def line(what: str, alert: dict[str, Any]) -> str:
    """Say it in a line: what, how many, since when, how often, and what a person can do."""
    title = " ".join(alert["title"].split())
    since = f"since {datetime.fromisoformat(alert['opened_at']).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if what == Notice.OVER:
        return f"Over: {title} ({since})"
    count = f" ({alert['count']})" if alert["count"] > 1 else ""
    often = f"; {alert['earlier'] + 1} times within a day" if alert["earlier"] else ""
    taken = f"; {alert['taken_by']} is on it" if alert["taken_by"] else ""
    hint = f"; {alert['hint']}" if alert["hint"] else ""
    return f"{_SAYS[what]}{title}{count}, {since}{often}{taken}{hint}"


def _deliver(channel: AlertChannel, told: list[dict[str, Any]]) -> None:
    if channel.email:
        _mail(channel, told)
    elif channel.webhook:
        _post(channel, told)
    else:
        answer = import_string(channel.call)(_message(told))
        if inspect.isawaitable(answer):
            asyncio.run(_awaited(answer))


def _message(told: list[dict[str, Any]]) -> dict[str, Any]:
    lines = (f"{each['text']} {each['url']}" if each["url"] else each["text"] for each in told)
    return {"text": "\n".join(lines), "alerts": told}


def _mail(channel: AlertChannel, told: list[dict[str, Any]]) -> None:
    first = told[0]["text"] if len(told) == 1 else f"{len(told)} alerts, the first: {told[0]['text']}"
    body = "\n\n".join("\n".join(_paragraph(each)) for each in told) + "\n"
    with get_connection(timeout=PATIENCE) as connection:
        mail = EmailMessage(f"[Sagadesk] {first}"[:150], body, to=list(channel.email), connection=connection)
        if not mail.send():
            raise Untold("the mail server took none of it")


def _paragraph(alert: dict[str, Any]) -> Iterator[str]:
    yield alert["text"]
    if alert["url"]:
        yield alert["url"]
    if alert.get("take_url") and alert["what"] != Notice.OVER:
        yield f"Take it: {alert['take_url']}"


def _post(channel: AlertChannel, told: list[dict[str, Any]]) -> None:
    url = urlsplit(channel.webhook)
    body = json.dumps(_message(told)).encode()
    headers = [("content-type", "application/json"), *channel.headers.items()]
    try:
        posting = wire.post(url, _path(url), headers, body, private=channel.private)
        answer = asyncio.run(_in_time(posting))
    except wire.NotAllowed as no:
        raise Untold(str(no)) from no
    except (OSError, UnicodeError) as fault:
        raise Untold(faults.unanswered(fault, url.hostname or "")) from fault
    if not 200 <= answer.status < 300:
        said = answer.body[:200].decode("utf-8", "replace").strip()
        raise Untold(f"{url.hostname} answered {answer.status}{f': {said}' if said else ''}")


def _path(url: SplitResult) -> str:
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


async def _awaited(answer: Awaitable[Any]) -> None:
    await answer


async def _in_time(posting: Awaitable[wire.Answer]) -> wire.Answer:
    try:
        async with asyncio.timeout(PATIENCE) as limit:
            return await posting
    except TimeoutError as late:
        if limit.expired():
            raise Untold(f"it did not answer within {PATIENCE:g} s") from late
        raise


def _told(text: str, channel: AlertChannel) -> str:
    """Return what went wrong, to be read by whoever may see the desk: answers like to repeat what they were sent."""
    for secret in sorted(_secrets(channel), key=len, reverse=True):
        if len(secret) >= _LEAST:
            text = text.replace(secret, "…")
    return printable(" ".join(text.split()), SHOWN)


def _secrets(channel: AlertChannel) -> Iterator[str]:
    yield from channel.email
    for value in channel.headers.values():
        yield from (value, *value.split())
    url = urlsplit(channel.webhook)
    for part in (_path(url), url.path, url.query, *url.path.split("/"), *url.query.split("=")):
        yield from (part, unquote(part))
