"""The file that participants copy in: it agrees with Sagadesk about signatures; its inbox gives one effect a key."""

import re
import sqlite3
import sys
import threading
import time
from contextlib import closing
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings as django_settings

from participants.carrier import saga_participant
from participants.carrier.saga_participant import BadSignature, Command, Inbox, Rejected, callback
from sagas import SagaOrchestrator, SagaStep
from sagas.engine import Pump
from sagas.models import Saga
from sagas.transports import signing
from tests.sagas.elsewhere import NEW, OLD

PAGE = Path(django_settings.BASE_DIR) / "docs" / "participants.md"
ENVELOPE = {"saga-command": "S.Do", "saga-key": "k%3A1", "saga-attempt": "1"}


def read(keys: list[str], headers: dict[str, str], path: str = "/S.Do", body: bytes = b'{"a": 1}') -> Command:
    return Command.read(keys, "POST", path, headers, body)


def signed(key: str = NEW, now: float | None = None) -> dict[str, str]:
    return signing.signed(key, "POST", "/S.Do", ENVELOPE, b'{"a": 1}', time.time() if now is None else now)


@pytest.mark.parametrize("key", [OLD, NEW])
def test_it_takes_what_sagadesk_signs_with_either_key(key: str) -> None:
    command = read([OLD, NEW], {name.title(): value for name, value in signed(key).items()})
    assert (command.name, command.key, command.attempt, command.input) == ("S.Do", "k:1", 1, {"a": 1})
    assert (command.undoes, command.probes, command.callback) == (None, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": [OLD]},
        {"path": "/S.Undo"},
        {"body": b'{"a": 2}'},
        {"headers": {**ENVELOPE, "saga-key": "k%3A2"}},
        {"headers": {**ENVELOPE, "saga-undoes": "k%3A1"}},
        {"headers": {"saga-timestamp": "1", "saga-signature": ""}},
    ],
)
def test_it_refuses_what_was_changed_on_the_way(wrong: dict[str, Any]) -> None:
    headers = signed() | wrong.pop("headers", {})
    with pytest.raises(BadSignature, match="bad signature"):
        read(**{"keys": [NEW], "headers": headers, **wrong})


@pytest.mark.parametrize("age", [-400, 400])
def test_it_refuses_what_is_stale(age: float) -> None:
    with pytest.raises(BadSignature, match="stale"):
        read([NEW], signed(now=time.time() - age))


def test_sagadesk_takes_its_callbacks() -> None:
    command = Command("S.Do", "k", 1, None, None, "https://desk.example/api/v1/callbacks/S/7/2", {})
    request = callback(command, 409, {"reason": "no"}, NEW)
    assert isinstance(request.data, bytes)
    path = "/api/v1/callbacks/S/7/2"
    signing.verify([OLD, NEW], "POST", path, dict(request.headers), request.data, time.time())
    assert request.data == b'{"outcome": "rejected", "reason": "no"}'


def test_the_page_has_a_signature_to_compare_with() -> None:
    text = PAGE.read_text()
    envelope = {"saga-key": "k:1", "saga-command": "CarrierService.BookPickup"}
    path = "/commands/CarrierService.BookPickup"
    right = signing.signature("0123456789abcdef", "POST", path, "1750000000", envelope, b'{"a":1}')
    assert f"saga-signature: {right}\n" in text


# The inbox


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(str(tmp_path / "books.sqlite3"), "CREATE TABLE effect (key TEXT)")


def effects(inbox: Inbox) -> list[str]:
    with closing(sqlite3.connect(inbox.path)) as books:
        return [key for (key,) in books.execute("SELECT key FROM effect")]


def do(books: sqlite3.Connection, command: Command) -> dict[str, str]:
    books.execute("INSERT INTO effect VALUES (?)", [command.key])
    return {"did": command.key}


def undo(books: sqlite3.Connection, command: Command) -> None:
    books.execute("DELETE FROM effect WHERE key = ?", [command.undoes])


def refuse(books: sqlite3.Connection, command: Command) -> None:
    do(books, command)
    raise Rejected("no")


def command(key: str, undoes: str | None = None) -> Command:
    return Command("S.Do", key, 1, undoes, None, None, {})


def test_a_command_has_one_effect_and_one_answer(inbox: Inbox) -> None:
    answers = [inbox.once(command("k"), do) for _ in range(2)]
    assert answers == [(200, {"did": "k"})] * 2
    assert effects(inbox) == ["k"]


def test_a_rejection_leaves_nothing_and_is_remembered(inbox: Inbox) -> None:
    assert inbox.once(command("k"), refuse) == (409, {"reason": "no"})
    assert inbox.once(command("k"), do) == (409, {"reason": "no"})
    assert effects(inbox) == []


def test_an_undo_undoes_once(inbox: Inbox) -> None:
    inbox.once(command("k"), do)
    assert [inbox.once(command("u", "k"), undo) for _ in range(2)] == [(200, None)] * 2
    assert effects(inbox) == []


def test_an_undo_that_overtakes_its_action_leaves_a_tombstone(inbox: Inbox) -> None:
    status, told = inbox.once(command("u", "k"), undo)
    assert (status, told["undone"]) == (200, False)
    assert inbox.once(command("k"), do) == (409, {"reason": "cancelled"})
    assert inbox.became_of(command("k")) == (409, {"reason": "cancelled"})
    assert effects(inbox) == []


def test_a_fault_leaves_nothing_not_even_a_memory(inbox: Inbox) -> None:
    def fail(books: sqlite3.Connection, sent: Command) -> None:
        do(books, sent)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        inbox.once(command("k"), fail)
    assert effects(inbox) == []
    assert inbox.became_of(command("k")) == (404, {"no_such_command": True})
    assert inbox.once(command("k"), do)[0] == 200
    assert inbox.became_of(command("k")) == (200, {"did": "k"})


# The page's example


class Bouquet(SagaOrchestrator):
    """Flowers from a florist elsewhere, and then something that goes wrong if it is told to."""

    saga_type = "Bouquet"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the florist's step, and another one of his."""
        chosen, more = {"flowers": data["flowers"]}, {"flowers": data.get("more", "roses")}
        probe = "Florist.WhatBecameOf"
        return [
            SagaStep("flowers", "Florist.Bind", "Florist.Unbind", probe=probe, input=chosen),
            SagaStep("more", "Florist.Bind", input=more),
        ]


@pytest.mark.django_db(transaction=True)
def test_the_participant_of_the_page_works_as_it_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any
) -> None:
    (code,) = [c for c in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "Florist" in c]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLORIST_KEYS", NEW)
    monkeypatch.setitem(sys.modules, "saga_participant", saga_participant)
    florist = ModuleType("florist")
    exec(code, florist.__dict__)  # noqa: S102 - our own page
    florist.Florist.log_message = lambda *_: None
    with ThreadingHTTPServer(("127.0.0.1", 0), florist.Florist) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        settings.SAGAS = {"HTTP": {"Florist": {"url": url, "secrets": [NEW], "private": True}}}
        happy = Bouquet().start({"flowers": "lilies"})
        sad = Bouquet().start({"flowers": "lilies", "more": "tulips"})
        Pump(("florist", "events"), "docs").run(20)
        server.shutdown()
    assert Saga.objects.get(pk=happy.pk).state == "completed"
    ended = Saga.objects.get(pk=sad.pk)
    assert (ended.state, ended.error) == ("failed", "no tulips in autumn")
    with closing(sqlite3.connect("florist.sqlite3")) as books:
        assert [flowers for (flowers,) in books.execute("SELECT flowers FROM bouquet")] == ["lilies", "roses"]
