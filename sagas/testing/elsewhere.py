"""Participants elsewhere that a drill may call: at the addresses that its author names, and nowhere else."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.test.utils import override_settings

from sagas.conf import ImpossibleSetting, Settings, read, settings
from sagas.core import messages as m
from sagas.engine.work import Work
from sagas.testing.refusals import CannotDrill
from sagas.transports import signing

#: Seconds in which a participant has to be there, and in which it has to call back what it has taken on.
THERE, CALLBACK = 5.0, 10.0


class Elsewhere:
    """The services that may be called, and what they call back.

    ``named`` maps a service to the address at which it is drilled, or to settings as ``SAGAS["HTTP"]`` has them;
    what is not said is taken from there. Raises CannotDrill.
    """

    def __init__(self, named: Mapping[str, Any] | None) -> None:
        self._given = {service: _given(service, told) for service, told in (named or {}).items()}
        try:
            self._settings: Settings = read({"HTTP": self._given})
        except ImpossibleSetting as wrong:
            raise CannotDrill(str(wrong)) from wrong
        self._called_back: dict[tuple[str, int], m.Reply] = {}
        self._rings = threading.Condition()

    def __bool__(self) -> bool:
        return bool(self._given)

    def serves(self, command: str) -> bool:
        """Whether a command goes to one of them."""
        return command.partition(".")[0] in self._given

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Have commands go to them, and be there for what they call back. Raises CannotDrill for one that is away."""
        if not self:
            yield
            return
        for name, service in self._settings.HTTP.items():
            _reach(name, service.url)
        with _listening(self._take) as address:
            present = getattr(django_settings, "SAGAS", {})
            http = {**present.get("HTTP", {}), **self._given}
            with override_settings(SAGAS={**present, "HTTP": http, "CALLBACK_URL": address}):
                yield

    def answer_to(self, work: Work) -> m.Reply | None:
        """Wait for what its participant calls back; None if nothing comes."""
        key = (str(work.saga_id), work.number)
        with self._rings:
            self._rings.wait_for(lambda: key in self._called_back, CALLBACK)
            return self._called_back.get(key)

    def _take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Take a callback; return the status with which it is answered. The first for a command counts."""
        *_, name, saga_id, number = path.split("/")
        service = self._settings.HTTP.get(name)
        try:
            signing.verify(service.secrets if service else (), "POST", path, headers, body, time.time())
            told = json.loads(body)
        except (signing.BadSignature, ValueError):
            return 401
        inbox = service is not None and service.inbox
        reply: m.Reply = m.Completed(int(number), told.get("result"), inbox)
        if told.get("outcome") != "completed":
            reply = m.Rejected(int(number), str(told.get("reason") or "rejected"), inbox)
        with self._rings:
            self._called_back.setdefault((saga_id, int(number)), reply)
            self._rings.notify_all()
        return 200


def _given(service: str, told: Any) -> dict[str, Any]:
    configured = settings().HTTP.get(service)
    known = asdict(configured) if configured is not None else {}
    if not isinstance(told, str):
        return {**known, **told}
    if configured is None:
        raise CannotDrill(
            f'{service} is no service that SAGAS["HTTP"] names, so its keys are not known; '
            f'give its settings instead of an address: {{"url": {told!r}, "secrets": […], "private": True}}.'
        )
    return {**known, "url": told, "private": True}


def _reach(service: str, url: str) -> None:
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=THERE).close()
    except OSError as away:
        raise CannotDrill(
            f"{service} cannot be reached at {url}: {away}. Start it, or name the address at which it runs."
        ) from away


@contextmanager
def _listening(take: Any) -> Iterator[str]:
    """Be a web server that callbacks can be sent to, until the block ends; yield its address."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(take(self.path, dict(self.headers), body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing: what was called back is told in the traces."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
