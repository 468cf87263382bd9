"""Participants elsewhere: what is sent, what each answer means, and where no command ever goes."""

import asyncio
import errno
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from sagas import conf, orchestrator, registry
from sagas.core.words import Attention
from sagas.engine import Pump
from sagas.models import Due, Saga, Step
from sagas.transports import faults, signing, wire
from sagas.transports.http import Http
from tests.sagas import shop
from tests.sagas.elsewhere import NEW, OLD, Asked, Elsewhere, Parcel, says, serving
from tests.sagas.running import assert_rows_are_the_fold, rest
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

STEP = "send parcel ☂"
ADDRESS = "carrier.example"


@pytest.fixture(scope="module")
def server() -> Iterator[Elsewhere]:
    with serving() as elsewhere:
        yield elsewhere


@pytest.fixture
def carrier(server: Elsewhere, settings: Any, world: shop.World) -> Elsewhere:
    """The carrier, as our settings know it."""
    server.asked.clear()
    server.behaviour = says(200, {"tracking": 7})
    configure(settings, server)
    return server


def configure(settings: Any, server: Elsewhere, **service: Any) -> None:
    settings.SAGAS = {"HTTP": {"Carrier": server.service(**service)}, "CALLBACK_URL": "https://desk.example/"}


@pytest.fixture
def pump() -> Pump:
    return Pump(("fetch", "carrier", "default", "events"), "test-worker")


def sent(pump: Pump, **data: Any) -> tuple[Saga, Step]:
    """Have a parcel sent until it rests."""
    saga = rest(pump, Parcel().start({"weight": 3, **data}, correlation_id=" ORD 7 é "))
    assert_rows_are_the_fold(saga)
    return saga, Step.objects.get(saga=saga, name=STEP)


def test_a_command_goes_out_with_its_envelope_and_is_done(carrier: Elsewhere, pump: Pump) -> None:
    saga, step = sent(pump)
    assert (saga.state, step.result) == ("completed", {"tracking": 7})
    (request,) = carrier.asked
    assert request.path == "/in/Carrier.Book"
    assert request.body == {
        "weight": 3,
        "saga_id": str(saga.pk),
        "step_name": STEP,
        "results": {"fetch": {"by": "FetchService.Fetch"}},
    }
    told = {name: value for name, value in request.headers.items() if name.startswith("saga-")}
    assert told.pop("saga-deadline").endswith("+00:00")
    assert told.pop("saga-signature").startswith("v1=")
    assert abs(time.time() - int(told.pop("saga-timestamp"))) < signing.TOLERANCE
    assert told == {
        "saga-command": "Carrier.Book",
        "saga-key": f"{saga.pk}:send parcel %E2%98%82:do:1",
        "saga-number": str(step.action_number),
        "saga-attempt": "1",
        "saga-correlation-id": "%20ORD 7 %C3%A9%20",
        "saga-id": str(saga.pk),
        "saga-step": "send parcel %E2%98%82",
        "saga-direction": "do",
        "saga-callback": f"https://desk.example/api/v1/callbacks/Carrier/{saga.pk}/{step.action_number}",
    }
    assert request.headers["traceparent"].split("-")[:2] == ["00", saga.pk.hex]


def test_an_undo_names_what_it_undoes_and_a_probe_what_it_asks_about(carrier: Elsewhere, pump: Pump) -> None:
    def answer(asked: Asked) -> Any:
        rejected = asked.path.endswith("WhatBecameOf")
        return says(409, {"reason": "never heard"})(asked) if rejected else says(500)(asked)

    carrier.behaviour = answer
    saga, _ = sent(pump, asks=True)
    assert (saga.state, saga.error) == ("failed", "never heard")
    book, ask = (request.headers for request in carrier.asked)
    assert ask["saga-probes"] == "Carrier.Book"
    assert (ask["saga-key"], ask["saga-number"]) == (book["saga-key"], book["saga-number"])
    carrier.asked.clear()
    carrier.behaviour = says(503)
    saga, _ = sent(pump)  # two attempts, two undos
    undo = carrier.asked[2].headers
    assert (undo["saga-direction"], undo["saga-undoes"]) == ("undo", carrier.asked[0].headers["saga-key"])


@pytest.mark.parametrize("key", [NEW, OLD])
def test_what_goes_out_is_signed_with_the_first_of_two_keys(carrier: Elsewhere, pump: Pump, key: str) -> None:
    sent(pump)
    (request,) = carrier.asked
    message = ("POST", request.path, request.headers, request.raw, time.time())
    if key == NEW:
        signing.verify([NEW], *message)
    else:
        with pytest.raises(signing.BadSignature):
            signing.verify([OLD], *message)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (says(409, {"reason": "too heavy"}), "too heavy"),
        (says(422, b"not so"), "not so"),
        (says(409), "rejected"),
    ],
)
def test_a_no_rolls_back(carrier: Elsewhere, pump: Pump, answer: Any, error: str) -> None:
    carrier.behaviour = answer
    saga, _ = sent(pump)
    assert (saga.state, saga.error) == ("failed", error)
    assert len(carrier.asked) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        *((says(status), f"it answered {status}") for status in (408, 425, 429, 500, 502, 599)),
        (says(0), "closed the connection without an answer"),
        (says(200, content_length="9"), "breaks off"),
        (says(200, b"<html>"), "a body that is not JSON, and begins with '<html>' (http://127.0.0.1:"),
        (says(200, b"x" * (wire.LARGEST + 1)), f"larger than {wire.LARGEST} bytes"),
    ],
)
def test_what_is_neither_yes_nor_no_is_unknown_and_tried_again(
    carrier: Elsewhere, pump: Pump, answer: Any, error: str
) -> None:
    outcomes = [answer, says(200, {"tracking": 8})]
    carrier.behaviour = lambda asked: outcomes.pop(0)(asked)
    saga, step = sent(pump)
    assert (saga.state, step.result) == ("completed", {"tracking": 8})
    first, second = (request.headers for request in carrier.asked)
    assert first["saga-key"] == second["saga-key"]
    assert (first["saga-attempt"], second["saga-attempt"]) == ("1", "2")
    rescheduled = saga.events.get(type="StepRescheduled")
    assert error in rescheduled.data["error"]


@pytest.mark.parametrize("told", ["1800", lambda: formatdate(time.time() + 1800, usegmt=True)])
def test_who_says_when_to_come_again_is_not_asked_before(carrier: Elsewhere, pump: Pump, told: Any) -> None:
    carrier.behaviour = says(503, retry_after=told if isinstance(told, str) else told())
    Parcel().start({"weight": 3})
    pump.run(budget=30)
    due = Due.objects.get()
    assert 1700 < (due.due_at - Step.objects.get(name=STEP).dispatched_at).total_seconds() < 1900


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (says(401, {"error": "bad signature"}), "it answered 401"),
        (says(401), "it refused our signature: its key has to be one of SAGAS['HTTP']['Carrier']['secrets']"),
        (says(403), "it answered 403; it, or what stands before it, does not let us in"),
        (says(404), "it answered 404; nothing is there: is SAGAS['HTTP']['Carrier']['url'] right"),
        (says(413), "it answered 413; the command is larger than it takes"),
        (says(400), "it answered 400 (http://127.0.0.1:"),
        (says(302, location="https://evil.example/"), "redirects are not followed"),
    ],
)
def test_our_own_fault_asks_a_person_and_undoes_nothing(
    carrier: Elsewhere, pump: Pump, answer: Any, error: str
) -> None:
    carrier.behaviour = answer
    saga, step = sent(pump)
    assert (saga.state, saga.attention) == ("pending", Attention.MISCONFIGURED)
    assert error in (step.error or "")
    assert f"({carrier.url}/Carrier.Book)" in (step.error or "")
    assert len(carrier.asked) == 1


@pytest.mark.parametrize("status", [201, 204, 206])
def test_another_success_asks_a_person_and_is_undone_if_that_is_wanted(
    carrier: Elsewhere, pump: Pump, asked: Any, status: int
) -> None:
    answers = [says(status), says(200), says(200)]
    carrier.behaviour = lambda asked: answers.pop(0)(asked)
    saga, step = sent(pump)
    assert (saga.state, saga.attention, step.outcome) == ("pending", Attention.MISCONFIGURED, "unknown")
    assert f"it answered {status}, which is neither 200, done, nor 202, later" in (step.error or "")
    orchestrator.act(saga.pk, "compensate", asked())
    saga = rest(pump, saga)
    assert saga.state == "failed"
    assert [request.path.rpartition(".")[2] for request in carrier.asked] == ["Book", "Cancel"]


def test_a_probe_may_say_that_nothing_has_arrived(carrier: Elsewhere, pump: Pump) -> None:
    answers = [says(500), says(404, {"no_such_command": True}), says(200, {"tracking": 8})]
    carrier.behaviour = lambda asked: answers.pop(0)(asked)
    saga, _ = sent(pump, asks=True)
    assert saga.state == "completed"
    assert [request.path.rpartition(".")[2] for request in carrier.asked] == ["Book", "WhatBecameOf", "Book"]


def test_nobody_there_is_no_answer(carrier: Elsewhere, pump: Pump, settings: Any) -> None:
    configure(settings, carrier, url="http://127.0.0.1:1/in")
    saga, step = sent(pump)
    assert (saga.state, saga.attention) == ("compensating", Attention.COMPENSATION_FAILED)
    assert step.error == (
        "nobody listens at 127.0.0.1:1: is the service running, and is the port right?"
        " (http://127.0.0.1:1/in/Carrier.Cancel)"
    )


def test_who_does_not_speak_tls_is_told_of_so(carrier: Elsewhere, pump: Pump, settings: Any) -> None:
    configure(settings, carrier, url=carrier.url.replace("http:", "https:"))
    _, step = sent(pump)
    assert "TLS with 127.0.0.1:" in (step.error or "")
    assert "does it speak https at that port?" in (step.error or "")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            socket.gaierror(-2, "Name or service not known"),
            "the address of x:1 cannot be found (Name or service",
        ),
        (UnicodeError("label too long"), "the address of x:1 cannot be found (it is no name of a host)"),
        (TimeoutError(), "x:1 took no connection within 10 s"),
        (
            ConnectionResetError(errno.ECONNRESET, "?"),
            "the connection to x:1 failed: Connection reset by peer",
        ),
        (ConnectionError("its answer is not HTTP"), "its answer is not HTTP"),
    ],
)
def test_what_kept_a_command_from_its_answer_is_told_in_a_sentence(fault: Any, says: str) -> None:
    assert faults.unanswered(fault, "x:1").startswith(says)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "10.0.0.1", "100.64.0.1", "169.254.169.254"),
        *("[::ffff:127.0.0.1]", "[64:ff9b::10.0.0.1]", "[2002:7f00:1::]"),
    ],
)
def test_a_private_address_is_only_for_who_is_listed_as_private(
    carrier: Elsewhere, pump: Pump, settings: Any, host: str
) -> None:
    configure(settings, carrier, url=f"https://{host}/in", private=host.startswith("169"))
    saga, step = sent(pump)
    assert saga.attention == Attention.MISCONFIGURED
    assert "has no address that commands may be sent to" in (step.error or "")
    assert not carrier.asked


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    carrier: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means another address at the second look would lead inside."""
    looks = iter(["93.184.215.14", "127.0.0.1"])

    async def resolve(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", (next(looks), port))]

    connected: list[str] = []

    async def connect(address: str, *_: Any, **__: Any) -> Any:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    monkeypatch.setattr(asyncio, "open_connection", connect)
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(
            wire.post(wire.SplitResult("https", ADDRESS, "/in", "", ""), "/in", [], b"", private=False)
        )
    assert connected == ["93.184.215.14"]


def test_the_environments_proxy_has_no_say(
    carrier: Elsewhere, pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert sent(pump)[0].state == "completed"


def test_sixty_four_wait_in_one_worker(carrier: Elsewhere, pump: Pump, settings: Any) -> None:
    settings.SAGAS = {**settings.SAGAS, "CONCURRENCY": 64}
    import threading

    together = threading.Barrier(64, timeout=60)

    def answer(asked: Asked) -> Any:
        together.wait()
        return says(200)(asked)

    carrier.behaviour = answer
    sagas = [Parcel().start({"weight": 3}) for _ in range(64)]
    until(lambda: pump.run(budget=30) or not Due.objects.exists())
    assert Saga.objects.filter(pk__in=[saga.pk for saga in sagas], state="completed").count() == 64


def test_services_elsewhere_have_queues_and_pass_the_checks(carrier: Elsewhere) -> None:
    assert "carrier" in registry.queues()
    found = registry.handler("Carrier.Anything")
    assert found is not None
    assert (found.queue, found.inbox, found.is_async) == ("carrier", True, True)
    assert Http.handler("Stranger.Anything") is None


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"url": "ftp://x", "secrets": [NEW]}, "url must be http"),
        ({"url": "http://x/in", "secrets": [NEW]}, "must be https, unless"),
        ({"url": "https://u:p@x/in", "secrets": [NEW]}, "without a user"),
        ({"url": "https://x/in", "secrets": []}, "one or two keys"),
        ({"url": "https://x/in", "secrets": ["short"]}, "at least 16 characters"),
        ({"url": "https://x/in", "secrets": NEW}, "one or two keys"),
        ({"url": "https://x/in", "secrets": [NEW], "reply_within": 0}, "reply_within"),
        (
            {"url": "https://x/in", "secrets": [NEW], "colour": 1},
            "'colour' is not a setting; there are url, secrets",
        ),
        ({"url": "https://x/in", "secrets": [NEW], "private": "no"}, "private must be True or False"),
        ({"url": "https://x:99999/in", "secrets": [NEW]}, "a port between"),
        ({"url": "https://[x/in", "secrets": [NEW]}, "url must be http"),
        ({"url": "https://x/in"}, "secrets must be set"),
        ("https://x/in", "must be a mapping of url, secrets"),
        ({"secrets": [NEW]}, "url"),
        (None, "mapping"),
    ],
)
def test_a_service_that_cannot_be_is_refused_with_its_name(wrong: Any, why: str) -> None:
    with pytest.raises(conf.ImpossibleSetting, match=r"SAGAS\['HTTP'\]\['Carrier'\]") as refused:
        conf.read({"HTTP": {"Carrier": wrong}})
    assert why in str(refused.value)


def test_our_own_address_is_one() -> None:
    assert conf.read({"CALLBACK_URL": "https://desk.example"}).CALLBACK_URL
    with pytest.raises(conf.ImpossibleSetting, match="CALLBACK_URL"):
        conf.read({"CALLBACK_URL": "desk.example"})
