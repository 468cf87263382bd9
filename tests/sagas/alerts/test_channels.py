"""What a mail, a webhook and a function get, and what they are said to have failed with."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail

from sagas.alerts import Untold, channels, try_out
from sagas.conf import AlertChannel
from sagas.models import Alert, Notice
from tests.sagas.alerts import listening
from tests.sagas.alerts.conftest import Time
from tests.sagas.alerts.listening import LISTEN, heard
from tests.sagas.elsewhere import Elsewhere, says, serving

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server() -> Iterator[Elsewhere]:
    with serving() as elsewhere:
        yield elsewhere


@pytest.fixture
def chat(server: Elsewhere) -> Elsewhere:
    server.asked.clear()
    server.behaviour = says(200)
    return server


@pytest.fixture
def notices(time: Time, told: Any) -> list[Notice]:
    """Make two of them."""
    made = []
    for number, what in ((1, Notice.BEGUN), (2, Notice.OVER)):
        alert = Alert.objects.create(
            key=f"{number}",
            kind="attention",
            about={"attention": "held", "type": "Ordre\n", "step": f"step {number}"},
            title=f"step {number} of Ordre\n: held",
            hint="retry",
            count=number,
            opened_at=time.now,
        )
        made.append(Notice(alert=alert, channel="x", what=what, number=1, made_at=time.now, due_at=time.now))
    return made


def test_a_mail_says_what_and_where(notices: list[Notice]) -> None:
    channels.send(AlertChannel(email=("a@desk.example", "b@desk.example")), notices)
    [sent] = mail.outbox
    assert sent.to == ["a@desk.example", "b@desk.example"]
    assert sent.subject.startswith("[Sagadesk] 2 alerts, the first: step 1 of Ordre")
    assert "\n" not in sent.subject
    assert "https://desk.example/sagas/?attention=held&step=step+1&type=Ordre%0A" in sent.body
    assert "Over: step 2" in sent.body


def test_a_webhook_gets_a_text_and_the_alerts(notices: list[Notice], chat: Elsewhere) -> None:
    channel = AlertChannel(webhook=f"{chat.url}?key=1", headers={"Authorization": "Bearer x"}, private=True)
    channels.send(channel, notices)
    [asked] = chat.asked
    assert asked.path == "/in?key=1"
    assert asked.headers["authorization"] == "Bearer x"
    assert asked.headers["content-type"] == "application/json"
    document = json.loads(asked.raw)
    assert document["text"].startswith("step 1 of Ordre")
    assert [alert["what"] for alert in document["alerts"]] == ["begun", "over"]
    assert "taken_note" not in document["alerts"][0], "that is for the desk"
    assert document["alerts"][0]["url"].startswith("https://desk.example/sagas/?")


@pytest.mark.parametrize(
    ("answer", "says_so"),
    [
        (says(500, b"not now"), "127.0.0.1 answered 500: not now"),
        (says(302, location="/elsewhere"), "127.0.0.1 answered 302"),
        (says(0), "closed the connection"),
    ],
)
def test_a_webhook_that_does_not_take_it(
    notices: list[Notice], chat: Elsewhere, answer: Any, says_so: str
) -> None:
    chat.behaviour = answer
    with pytest.raises(Untold, match=says_so):
        channels.send(AlertChannel(webhook=chat.url, private=True), notices)


SECRET = "T0B0SECRET"


@pytest.mark.parametrize(
    "answer",
    [
        says(404, f"Cannot POST /in/{SECRET}?k=K3Y-OF-US".encode()),
        says(401, f"bad Bearer {SECRET}".encode()),
        says(403, f"K3Y-OF-US and {'x' * 170} {SECRET}".encode()),
    ],
)
def test_no_secret_of_a_channel_is_in_what_went_wrong(
    notices: list[Notice], chat: Elsewhere, answer: Any
) -> None:
    chat.behaviour = answer
    channel = AlertChannel(
        webhook=f"{chat.url}/{SECRET}?a=b&k=K3Y-OF-US&c=d",
        headers={"Authorization": f"Bearer {SECRET}"},
        private=True,
    )
    with pytest.raises(Untold) as raised:
        channels.send(channel, notices)
    assert SECRET not in str(raised.value)
    assert "K3Y" not in str(raised.value)
    assert "127.0.0.1 answered 40" in str(raised.value)


def test_no_address_of_a_mail_is_in_what_went_wrong(
    notices: list[Notice], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("refused ceo.private@home.example")

    monkeypatch.setattr(channels.EmailMessage, "send", refuse)
    with pytest.raises(Untold, match=r"OSError: refused …"):
        channels.send(AlertChannel(email=("ceo.private@home.example",)), notices)


def test_a_mail_server_that_takes_none_of_it(notices: list[Notice], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels.EmailMessage, "send", lambda self: 0)
    with pytest.raises(Untold, match="the mail server took none of it"):
        channels.send(AlertChannel(email=("a@desk.example",)), notices)


@pytest.mark.parametrize("text", ["a\rb", "a\nCRITICAL: b", "a\u2028b"])
def test_a_title_is_one_line(time: Time, told: Any, text: str) -> None:
    alert = Alert.objects.create(key="k", kind="behind", about={"queue": "x"}, title=text, opened_at=time.now)
    channels.send(
        AlertChannel(email=("a@desk.example",)),
        [Notice(alert=alert, channel="oncall", what=Notice.BEGUN, number=1, made_at=time.now)],
    )
    [sent] = mail.outbox
    assert " b, since" in sent.subject
    assert f"Take it: https://desk.example/alerts/{alert.pk}/take/" in sent.body


def test_a_private_address_has_to_be_allowed(notices: list[Notice], chat: Elsewhere) -> None:
    with pytest.raises(Untold, match="private=True"):
        channels.send(AlertChannel(webhook=chat.url.replace("http:", "https:")), notices)
    assert not chat.asked


def test_a_function_that_is_not_there(notices: list[Notice]) -> None:
    with pytest.raises(Untold, match=r"ImportError: .*nowhere"):
        channels.send(AlertChannel(call="tests.sagas.alerts.listening.nowhere"), notices)


def test_a_mail_server_that_is_not_there(notices: list[Notice], settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    with pytest.raises(Untold, match="ConnectionRefusedError"):
        channels.send(AlertChannel(email=("a@desk.example",)), notices)


def test_a_webhook_that_takes_its_time(
    notices: list[Notice], chat: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def slowly(_: Any) -> Any:
        answered.wait(30)
        return says(200)(_)

    chat.behaviour = slowly
    monkeypatch.setattr(channels, "PATIENCE", 0.2)
    with pytest.raises(Untold, match=r"it did not answer within 0\.2 s"):
        channels.send(AlertChannel(webhook=chat.url, private=True), notices)
    answered.set()


def test_a_trial_says_that_it_is_one(told: Any, time: Time) -> None:
    try_out("pager")
    [message] = heard
    assert message["text"].startswith("A trial of the channel pager")
    [trial] = message["alerts"]
    assert trial["what"] == "trial"
    alert = Alert.objects.create(key="k", kind="clock", title="t", opened_at=time.now)
    channels.send(
        AlertChannel(call=LISTEN),
        [Notice(alert=alert, channel="pager", what=Notice.BEGUN, number=1, made_at=time.now)],
    )
    told_of = {"notice", "what", "text", "title", "kind", "count", "url", "take_url", "id"}
    assert told_of <= trial.keys() & heard[1]["alerts"][0].keys(), "whoever reads one can read the other"


@pytest.mark.parametrize("fault", [SystemExit(3), asyncio.CancelledError()])
def test_whatever_a_function_raises_is_not_taken(
    notices: list[Notice], monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    def leave(_: Any) -> None:
        raise fault

    monkeypatch.setattr(listening, "listen", leave)
    with pytest.raises(Untold, match=type(fault).__name__):
        channels.send(AlertChannel(call=LISTEN), notices)
