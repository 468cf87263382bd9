"""Restate: its server, and a Python service in two processes, whose steps are ``ctx.run`` in one bidirectional stream.

Settings: few partitions – the default of 24 suits machines with many cores –, HTTP/2 between server and service, and
coroutines as steps: the SDK runs plain functions in threads.
"""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import restate

from bench.engines import driver
from bench.engines.order import COMPENSATING, HAPPY, STEPS, UNDONE, Refused, act, undo
from sagaproject.processes import free_port

PROCESSES = driver.option("processes", 2)
STARTERS = driver.option("starters", 64)
LOOP = driver.option("loop", "uvloop")
PARTITIONS = driver.option("partitions", 2)
#: The binary itself: npm's wrapper around it would not pass signals on.
SERVER = next(driver.ROOT.glob(".bench/restate/node_modules/@restatedev/restate-server-*/bin/restate-server"))
#: Said once: the SDK would look it up in the function's signature each time.
RESULT = restate.RunOptions(type_hint=dict)
ENDS = {HAPPY: "completed", COMPENSATING: "failed"}

orders = restate.Service("Orders")


@orders.handler()
async def run(ctx: restate.Context, order: dict[str, str]) -> str:
    try:
        for step in STEPS:
            await ctx.run_typed(step, do, RESULT, step=step, **order)
    except restate.TerminalError:
        for step in UNDONE:
            await ctx.run_typed(f"undo {step}", take_back, RESULT, step=step, order=order["order"])
        return "failed"
    return "completed"


async def do(step: str, order: str, variant: str) -> dict[str, Any]:
    try:
        return act(step, order, variant)
    except Refused as no:
        raise restate.TerminalError(str(no)) from no


async def take_back(step: str, order: str) -> dict[str, Any]:
    return undo(step, order)


app = restate.app([orders], "bidi")


def main() -> None:
    driver.tell(
        "settings",
        versions=f"restate-server {_server_version()}, restate-sdk {version('restate-sdk')}",
        durable="each step",
        text=f"{PARTITIONS} partitions, {PROCESSES} service processes over HTTP/2, steps as coroutines, "
        f"{STARTERS} starters",
    )
    ingress, admin, node, service = (free_port() for _ in range(4))
    environment = {
        "RESTATE_BASE_DIR": f"{driver.task().folder}/restate",
        "RESTATE_DEFAULT_NUM_PARTITIONS": str(PARTITIONS),
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "warn",
        "DO_NOT_TRACK": "1",
    }
    served = (sys.executable, "-m", "hypercorn", "bench.engines.restate:app", "--config", _hypercorn(service))
    with driver.running(served), driver.running((SERVER,), **environment):
        _register(admin, service)
        client = Client(ingress)
        driver.measure(client.many)


class Client:
    """Calls the saga through the ingress; a call returns at the saga's end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._local = threading.local()

    def many(self, variant: str, count: int) -> None:
        ticket = driver.Ticket()
        driver.concurrently(lambda: self.one(ticket(), variant), count, STARTERS)

    def one(self, order: str, variant: str) -> None:
        end = self._post("/Orders/run", {"order": order, "variant": variant})
        assert end == ENDS[variant], end

    def _post(self, path: str, document: dict[str, str]) -> Any:
        if not hasattr(self._local, "connection"):
            self._local.connection = _connected(self._port)
        return _post(self._local.connection, path, document)


def _hypercorn(port: int) -> Path:
    """Configure the service's web server: it would close its few connections after 1,000 requests each."""
    settings = {
        "bind": f"127.0.0.1:{port}",
        "workers": PROCESSES,
        "worker_class": LOOP,
        "keep_alive_max_requests": 10**9,
        "h2_max_concurrent_streams": 1000,
    }
    file = Path(driver.task().folder) / "hypercorn.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    return file


def _register(admin: int, service: int) -> None:
    """Tell the server where the service is, as soon as both are up."""

    def registered() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException, RuntimeError):
            _post(_connected(admin), "/deployments", {"uri": f"http://127.0.0.1:{service}"})
            return True
        return False

    driver.until(registered, 0)


def _connected(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=driver.PATIENCE)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _post(connection: http.client.HTTPConnection, path: str, document: dict[str, str]) -> Any:
    connection.request("POST", path, json.dumps(document), {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{path}: {answer.status} {text!r}")
    return json.loads(text)


def _server_version() -> str:
    said = subprocess.run([SERVER, "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[-1]


if __name__ == "__main__":
    main()
