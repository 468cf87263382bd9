"""A participant elsewhere, for tests: a real server in a thread, whose answers a test scripts."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from sagas import Retry, SagaOrchestrator, SagaStep

OLD, NEW = "the-old-key-of-the-carrier", "the-new-key-of-the-carrier"
QUICK = Retry(max_attempts=2, first=0.0)


class Asked(NamedTuple):
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """The input."""
        return json.loads(self.raw)


#: Status, headers and body.
Answer = tuple[int, dict[str, str], bytes]


def says(status: int, body: Any = None, **headers: str) -> Callable[[Asked], Answer]:
    """Return a behaviour that always answers this."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return lambda _: (status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


class Elsewhere:
    """What a test says to the server, and hears of it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/in"
        self.asked: list[Asked] = []
        self.behaviour: Callable[[Asked], Answer] = says(200, {"tracking": 7})

    def service(self, **more: Any) -> dict[str, Any]:
        """Return the settings that make it a service of ours."""
        return {"url": self.url, "secrets": [NEW, OLD], "private": True, **more}


@contextmanager
def serving() -> Iterator[Elsewhere]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            named = {name.lower(): value for name, value in self.headers.items()}
            request = Asked(self.path, named, self.rfile.read(length))
            elsewhere.asked.append(request)
            status, headers, body = elsewhere.behaviour(request)
            if not status:  # not a word
                return
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None:
            """Say nothing of clients that hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        elsewhere = Elsewhere(server.server_port)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield elsewhere
        server.shutdown()


class Parcel(SagaOrchestrator):
    """Have a carrier elsewhere fetch a parcel; it can be asked, if the data says so."""

    saga_type = "ParcelElsewhere"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return a step here and one elsewhere; without data, for who only checks, none that nobody serves."""
        ask = "Carrier.WhatBecameOf" if data.get("asks") else None
        common: dict[str, Any] = {"retry": QUICK, "undo_retry": QUICK, "probe_retry": QUICK}
        fetch = SagaStep("fetch", "FetchService.Fetch", "FetchService.Return", **common)
        send = SagaStep("send parcel ☂", "Carrier.Book", "Carrier.Cancel", timeout=20, probe=ask, **common)
        return [fetch, send] if data else [fetch]
