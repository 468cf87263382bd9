"""Where the embedded data lives: database, Redis socket, secret key, logs.

Standard library only, and no Django: ``bin/`` asks before anything is installed.
"""

import contextlib
import hashlib
import os
import re
import secrets
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent

#: A unix socket's path must fit into 108 bytes, its closing zero included.
LONGEST_SOCKET_PATH = 107


class Unusable(Exception):
    """A data folder that cannot be one. Its text says which, why, and what to do."""

    def __init__(self, data: Path, why: str) -> None:
        remedy = "name a folder of yours, as SAGADESK_DATA=/some/where"
        super().__init__(f"{data} cannot be the data folder: {why}; {remedy}.")


def data_dir() -> Path:
    """Return the data folder, made at first use and closed to other users. Raises :class:`Unusable`."""
    data = Path(os.environ.get("SAGADESK_DATA") or ROOT / ".sagadesk").absolute()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as fault:
        raise Unusable(data, "it is a file") from fault
    except (OSError, ValueError) as fault:
        raise Unusable(data, getattr(fault, "strerror", None) or str(fault)) from fault
    return data


def redis_socket(data: Path) -> Path:
    """Name the embedded Redis' socket: in the data folder, unless that lies too deep, or RQ could not read its name.

    RQ takes apart what Redis lists of its clients, at each blank and each =.
    Not under TMPDIR then: two shells may disagree about it, and must meet at one socket.
    """
    socket = data / "redis.sock"
    if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH or re.search(r"[\s=]", str(socket)):
        digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
        socket = Path("/tmp", f"sagadesk-{os.getuid()}-{digest}", "redis.sock")  # noqa: S108 - bin/dev checks its owner
    return socket


def redis_url(data: Path) -> str:
    """Return the URL of the Redis to use: REDIS_URL, else the embedded one."""
    return os.environ.get("REDIS_URL") or "unix://" + quote(str(redis_socket(data)))


def secret_key(data: Path) -> str:
    """Return the key that signs sessions: SAGADESK_SECRET_KEY, else one kept in the data folder."""
    key = os.environ.get("SAGADESK_SECRET_KEY") or _read(data / "secret_key")
    return key or _made_once(data / "secret_key")


def _read(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    return ""


def _made_once(path: Path) -> str:
    """Write a new key under a name of our own, then link it: of several processes, one wins whole."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(64))
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    return _read(path)
