"""The drill of participants elsewhere: called over real HTTP, at the addresses that are named, and nowhere else."""

import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from participants.carrier.saga_participant import Command, Inbox, Reply, callback
from participants.sagas import OrderFulfillment
from sagas import SagaOrchestrator, SagaStep
from sagas.testing import CannotDrill, drill
from sagas.testing.report import Report
from tests.participants.carrying import carrying
from tests.sagas.elsewhere import NEW, Asked, Elsewhere, says, serving
from tests.shell import Run
from tests.testing.broken import Booking

pytestmark = pytest.mark.django_db

#: What differs between the databases is the drill's, and the others show it.
only_on_sqlite = pytest.mark.only_on("sqlite")


class Parcel(SagaOrchestrator):
    """Charge, and have the post bring something."""

    saga_type = "DrilledParcel"
    sample_data: Any = {"to": "Ada"}
    delivered = False
    """Whether there is a post; for who only checks there is none, and nobody would serve it."""

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the chain; the post can be asked what became of a parcel."""
        ask = "PostService.WhatBecameOf"
        send = SagaStep("send", "PostService.Send", "PostService.CallBack", probe=ask, undo_probe=ask)
        mail = SagaStep("mail", "BookingService.Mail")
        charge = SagaStep("charge", "BookingService.Charge", "BookingService.Refund")
        return [charge, send, mail] if self.delivered else [charge, mail]

    def drill_setup(self) -> None:
        Booking().drill_setup()


class Post:
    """A post that runs beside: its parcels and its inbox are in a file of its own."""

    def __init__(self, server: Elsewhere, folder: Path) -> None:
        self.url = server.url
        self.inbox = Inbox(str(folder / "post.sqlite3"), "CREATE TABLE parcel (key TEXT, saga TEXT)")
        self.later = self.forgets = self.keeps_all = False
        server.behaviour = self._serve

    def _serve(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        command = Command.read([NEW], "POST", asked.path, asked.headers, asked.raw)
        status, document = self.inbox.became_of(command) if command.probes else self._do(command)
        if self.later and not command.probes and command.callback:
            threading.Thread(target=self._call_back, args=(command, status, document)).start()
            status, document = 202, {}
        return says(status, document)(asked)

    def _call_back(self, command: Command, status: int, document: Any) -> None:
        urlopen(callback(command, status, document, NEW), timeout=10).close()  # noqa: S310 - ours

    def _do(self, command: Command) -> Reply:
        if not self.forgets:
            return self.inbox.once(command, self._effect)
        with self.inbox.transaction() as books:
            return 200, self._effect(books, command)

    def _effect(self, books: sqlite3.Connection, command: Command) -> dict[str, int]:
        if not command.undoes:
            books.execute("INSERT INTO parcel VALUES (?, ?)", [command.key, command.input["saga_id"]])
        elif not self.keeps_all:
            books.execute("DELETE FROM parcel WHERE key = ?", [command.undoes])
        return {"number": books.execute("SELECT count(*) FROM parcel").fetchone()[0]}

    def is_right(self, ending: Any) -> str | None:
        """Say what is wrong with the parcels of a saga."""
        with self.inbox.transaction() as books:
            found = books.execute("SELECT count(*) FROM parcel WHERE saga = ?", [ending.saga_id]).fetchone()[
                0
            ]
        should = int(ending.steps["send"].status == "completed")  # also where an operator lets it stand
        return None if found == should else f"there are {found} parcels, and should be {should}"


@pytest.fixture
def post(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    monkeypatch.setattr(Parcel, "delivered", True)
    with serving() as server:
        settings.SAGAS = {"HTTP": {"PostService": {**server.service(), "url": "https://post.example"}}}
        yield Post(server, tmp_path)


def drilled(post: Post, **more: Any) -> Report:
    there = {"PostService": post.url}
    return drill(Parcel, invariants=[post.is_right], only="send", elsewhere=there, check=False, **more)


def verdicts(report: Report) -> Mapping[str, str]:
    assert report.ok, str(report)
    return {each.point.name: each.verdict for each in report.drilled}


def test_a_participant_elsewhere_is_drilled_over_http(post: Post) -> None:
    became = verdicts(drilled(post))
    assert became["send: unknown, without effect"] == became["send: overtaken by its undo"] == "restored"
    assert became["send: duplicate reply"] == became["undo send: crash after the commit"] == "restored"
    assert "send: callback late" not in became


@only_on_sqlite
def test_what_it_has_taken_on_and_calls_back_may_come_late_and_twice(post: Post) -> None:
    post.later = True
    became = verdicts(drilled(post))
    assert became["send: callback late"] == became["send: callback twice"] == "restored"


@only_on_sqlite
def test_a_participant_that_does_not_remember_is_found(post: Post) -> None:
    post.forgets = True
    report = drilled(post)
    assert re.search(
        r"PostService.Send answered completed, .* and then completed, .* under one key", str(report)
    )
    assert "PostService.Send was done, though it arrived after its own undo" in str(report)
    assert "send: duplicate reply" in {each.point.name for each in report.failing}


@only_on_sqlite
def test_an_undo_elsewhere_that_does_nothing_is_found_by_an_invariant(post: Post) -> None:
    post.keeps_all = True
    assert "is_right: there are 1 parcels, and should be 0" in str(drilled(post))


@only_on_sqlite
def test_one_that_is_not_there_is_told_of_before_anything_is_played(post: Post) -> None:
    away = {"PostService": "http://127.0.0.1:9"}
    with pytest.raises(
        CannotDrill, match=r"PostService cannot be reached at http://127\.0\.0\.1:9.*Start it"
    ):
        drill(Parcel, elsewhere=away)


@only_on_sqlite
def test_one_whose_keys_are_others_is_told_of(post: Post) -> None:
    strange = {
        "PostService": {"url": post.url, "private": True, "secrets": ["the-key-of-somebody-else-there"]}
    }
    with pytest.raises(CannotDrill, match="does not complete with this data"):
        drill(Parcel, elsewhere=strange)


@only_on_sqlite
@pytest.mark.parametrize(
    ("named", "says"),
    [
        (None, r"calls participants elsewhere \(PostService\.CallBack, .*Name the address"),
        ({"CarService": "http://127.0.0.1:9"}, 'CarService is no service that SAGAS\\["HTTP"\\] names'),
        ({"PostService": {"url": "post"}}, r"SAGAS\['HTTP'\]\['PostService'\]: url must be"),
    ],
)
def test_nothing_is_called_that_is_not_named_rightly(post: Post, named: Any, says: str) -> None:
    with pytest.raises(CannotDrill, match=says):
        drill(Parcel, elsewhere=named)


@only_on_sqlite
def test_the_command_line_names_it_too(post: Post, run: Run) -> None:
    ended = run("DrilledParcel", "--only", "send", "--elsewhere", f"PostService={post.url}")
    assert ended.code == 0, ended.err
    assert "overtaken" in ended.out
    ended = run("DrilledParcel", "--elsewhere", "PostService")
    assert ended.code == 2
    assert "'PostService' is not SERVICE=URL, as CarrierService=http://127.0.0.1:8001" in ended.err


@only_on_sqlite
def test_the_shops_order_is_carried_or_taken_back_by_the_express_carrier(tmp_path: Path) -> None:
    data = {**OrderFulfillment.sample_data, "carrier": "express"}
    with carrying(tmp_path) as carrier:

        def carried(ending: Any) -> str | None:
            with sqlite3.connect(carrier.database, timeout=20) as books:
                rows = books.execute(
                    "SELECT cancelled FROM pickup WHERE saga = ?", [ending.saga_id]
                ).fetchall()
            standing = [row for row in rows if row == (0,)]
            right = len(standing) == (ending.steps["create_shipment"].status == "completed")
            return None if right else f"its pickups are {rows}"

        there = {"CarrierService": carrier.service()}
        report = drill(OrderFulfillment, data, [carried], only="create_shipment", elsewhere=there)
    assert {"restored", "completed"} <= {each.verdict for each in report.drilled}
