"""How a message reaches people: by mail, by a webhook that chats understand, or by a function of the project's own."""

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from django.conf import settings as django_settings
from django.core.mail import EmailMessage, get_connection
from django.utils.module_loading import import_string

from sagas.alerts.documents import alert_documents
from sagas.conf import AlertChannel, settings
from sagas.core.plain import printable
from sagas.models import Notice
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


def send(channel: AlertChannel, notices: Sequence[Notice]) -> None:
    """Send notices as one message. Raises :class:`Untold`, whatever goes wrong."""
    with _told_of(channel):
        documents = alert_documents(notice.alert for notice in notices)
        _deliver(
            channel,
            [_told(notice, document) for notice, document in zip(notices, documents, strict=True)],
        )


def try_out(name: str, channel: AlertChannel) -> None:
    """Send a message that says that it is a trial. Raises :class:`Untold`."""
    text = f"A trial of the channel {name}: whoever reads this will be told when something asks for a person."
    empty = dict.fromkeys(("notice", "id", "kind", "take_url"))
    trial = {**empty, "what": "trial", "text": text, "title": text, "count": 1}
    with _told_of(channel):
        _deliver(channel, [{**trial, "url": settings().DESK_URL or None}])


def _told(notice: Notice, document: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of an alert; what an operator wrote about it is for the desk."""
    del document["taken_note"]
    return {"what": notice.what, "notice": notice.pk, "text": line(notice.what, document), **document}


@contextmanager
def _told_of(channel: AlertChannel) -> Iterator[None]:
    """Turn whatever is raised into what people are told of it, which has no secret in it."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as fault:  # what the project's function, or a mail server's library, raises
        text = str(fault) if isinstance(fault, Untold) else f"{type(fault).__name__}: {fault}"
        raise Untold(_scrubbed(text, channel)) from None


def line(what: str, alert: dict[str, Any]) -> str:
    """Say it in a line: what, how many, since when, how often, and what a person can do."""
    title = " ".join(alert["title"].split())
    since = f"since {datetime.fromisoformat(alert['opened_at']).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if what == Notice.OVER:
        return f"Over: {title} (it was there {since})"
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
        said = answer.body[:4096].decode("utf-8", "replace").strip()
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


def _scrubbed(text: str, channel: AlertChannel) -> str:
    """Return it as whoever may see the desk may read it: answers like to repeat what they were sent."""
    for secret in sorted(_secrets(channel), key=len, reverse=True):
        if len(secret) >= _LEAST:
            text = text.replace(secret, "…")
    return printable(" ".join(text.split()), SHOWN)


def _secrets(channel: AlertChannel) -> Iterator[str]:
    yield from channel.email
    yield from (getattr(django_settings, f"EMAIL_HOST_{name}", None) or "" for name in ("USER", "PASSWORD"))
    for value in channel.headers.values():
        yield from (value, value.rpartition(" ")[2])
    url = urlsplit(channel.webhook)
    for part in (_path(url), url.path, url.query, *url.path.split("/"), *re.split("[=&]", url.query)):
        yield from (part, unquote(part))
