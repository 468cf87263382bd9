"""Hosts for workers, all on this machine: network namespaces behind one bridge, each with an address of its own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench.peers import Unavailable
from tests.servers import POSTGRES_PORT, REDIS_PORT

BRIDGE = "sagadesk-br"
SUBNET = "10.77.0"
#: Where the servers are: this machine's own place behind the bridge.
ADDRESS = f"{SUBNET}.1"


@contextmanager
def network(count: int) -> Iterator[list[Sequence[str]]]:
    """Yield what a command begins with to run on each of so many hosts, its servers being at ``ADDRESS``.

    All is removed afterwards. Raises Unavailable if this machine does not let us.
    """
    if os.geteuid() != 0:
        raise Unavailable("network namespaces are root's to make")
    if not shutil.which("ip"):
        raise Unavailable("ip is missing (Debian, Ubuntu: apt-get install iproute2)")
    servers = (
        "env",
        f"DATABASE_URL=postgresql://sagadesk@{ADDRESS}:{POSTGRES_PORT}/postgres",
        f"REDIS_URL=redis://{ADDRESS}:{REDIS_PORT}/0",
    )
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or it would end without clearing up
    try:
        with ExitStack() as stack:
            _make(stack, f"link add {BRIDGE} type bridge", f"link delete {BRIDGE}")
            _ip(f"address add {ADDRESS}/24 dev {BRIDGE}")
            _ip(f"link set {BRIDGE} up")
            hosts = [_host(stack, number) for number in range(1, count + 1)]
            yield [("ip", "netns", "exec", host, *servers) for host in hosts]
    finally:
        signal.signal(signal.SIGTERM, before)


def _host(stack: ExitStack, number: int) -> str:
    """Make a host and plug it into the bridge; return its name."""
    name, plug = f"sagadesk-{number}", f"sagadesk-v{number}"
    _make(stack, f"netns add {name}", f"netns delete {name}")
    _make(stack, f"link add {plug} type veth peer name eth0 netns {name}", f"link delete {plug}")
    _ip(f"link set {plug} master {BRIDGE} up")
    _ip(f"-n {name} address add {SUBNET}.{10 + number}/24 dev eth0")
    _ip(f"-n {name} link set eth0 up")
    return name


def _make(stack: ExitStack, made: str, removed: str) -> None:
    """Make something that is removed when the block ends, however it ends."""
    _ip(made)
    stack.callback(_ip, removed)


def _ip(words: str) -> None:
    done = subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"ip {words}: {done.stderr.strip() or done.returncode}")
