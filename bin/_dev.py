"""Sets Sagadesk up and runs all of it: Redis, web, two workers, the clock. Ctrl-C stops it, and data survives."""

import contextlib
import fcntl
import http.client
import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from _setup import (
    ROOT,
    RUNTIME,
    VENV,
    VENV_PYTHON,
    data_folder,
    environment,
    fail,
    prepare_data,
    say,
    virtual_environment,
)

from sagaproject.data import redis_socket
from sagaproject.processes import DAPHNE_OPTIONS, die_with, free_port, redis_command

#: Long enough for a slow machine; what goes wrong for good is in the logs by then.
READY_WITHIN = 90

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DAPHNE = (
    f"-m daphne --bind 127.0.0.1 --port {{port}} --verbosity 0 {DAPHNE_OPTIONS} sagaproject.asgi:application"
)

CARRIER = "-m daphne --bind 127.0.0.1 --port {port} --verbosity 0 participants.carrier.app:application"

# Redis is no member of the group, and of lower priority: so it starts before those who use it, and stops after them.
SUPERVISOR = """\
[supervisord]
nodaemon=true
silent=true
{user}logfile={logs}/supervisor.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile={data}/supervisor.pid
childlogdir={logs}

{programs}
[group:sagadesk]
programs=web,worker,clock,carrier
"""
# autorestart with startsecs=0: whatever ends is started again at once, for ever, however soon it ended.
PROGRAM = """\
[program:{name}]
command={command}
directory={root}
process_name=%(program_name)s-%(process_num)d
numprocs={count}
priority={priority}
autorestart=true
startsecs=0
stopwaitsecs=8
killasgroup=true
redirect_stderr=true
stdout_logfile={log}-%(process_num)d.log
stdout_logfile_maxbytes=1MB
stdout_logfile_backups=1

"""


def main() -> None:
    began = time.monotonic()
    for number in SIGNALS:
        signal.signal(number, _end)
    print("Sagadesk", flush=True)
    port, data = _port(), data_folder()
    _only_one(data)
    virtual_environment(RUNTIME)
    env = environment()
    # A database or apps of your own may have changed unseen, and a given password is to be set.
    unseen = ("DATABASE_URL", "SAGADESK_APPS", "SAGADESK_OPERATOR_PASSWORD")
    prepare_data(env, only_if_needed=not any(os.environ.get(name) for name in unseen))
    if os.environ.get("SAGADESK_APPS"):
        _check_sagas(env)
    env |= _elsewhere(env, data, port)
    _write_config(data, port, carrier=int(env["CARRIER_PORT"]))
    say("starting", "web, 2 workers, clock, carrier" + ("" if os.environ.get("REDIS_URL") else ", redis"))
    supervisor = _start(data, env)
    try:
        _wait_until_ready(supervisor, port, data)
        _greet(port, data, time.monotonic() - began)
        while True:
            supervisor.wait()
            say("restarting", "supervisord had ended, and everything with it")
            time.sleep(1)
            supervisor = _start(data, env)
    finally:
        _stop(supervisor, data)


def _check_sagas(env: dict[str, str]) -> None:
    """Refuse sagas that could not run before anything is started for them: the workers would, one after the other."""
    words = [VENV_PYTHON, ROOT / "manage.py", "check", "--tag", "sagas", "--database", "default"]
    done = subprocess.run(words, env=env, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        fail("The apps of SAGADESK_APPS cannot be served: the message above says why.")


def _end(*_: object) -> None:
    sys.exit(0)  # through every `finally` on the way


def _port() -> int:
    """Return the port to listen on, having seen that it is free."""
    text = os.environ.get("PORT") or "8000"
    if not text.isdigit() or not 0 < int(text) < 65536:
        fail(f"PORT={text} is not a port number.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError as error:
            fail(
                f"Port {text} cannot be used: {error.strerror}. Choose another one: PORT={int(text) + 1} bin/dev"
            )
    return int(text)


def _only_one(data: Path) -> None:
    """Lock the data folder itself, for as long as this process lives."""
    folder = os.open(data, os.O_RDONLY)  # never closed: that would unlock it
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fail(
            f"Another bin/dev is using {data}. Stop it, or give this one a folder of its own: SAGADESK_DATA=/some/where"
        )


def _elsewhere(env: dict[str, str], data: Path, port: int) -> dict[str, str]:
    """Return what the demo's carrier has to know, and what the others have to know of it."""
    secret = secrets.token_urlsafe(32)
    with socket.socket() as web:
        web.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        web.bind(("127.0.0.1", port))  # or the free one might be the web's
        place = free_port()
    carrier = {"url": f"http://127.0.0.1:{place}", "secrets": [secret], "private": True, "reply_within": 20}
    try:
        services = {"CarrierService": carrier, **json.loads(env.get("SAGADESK_HTTP") or "{}")}
    except (ValueError, TypeError) as wrong:
        fail(f"SAGADESK_HTTP is not a JSON object: {wrong}")
    return {
        "CARRIER_PORT": str(place),
        "CARRIER_SECRETS": json.dumps([secret]),
        "CARRIER_DATABASE": str(data / "carrier.sqlite3"),
        "SAGADESK_HTTP": json.dumps(services),
        "SAGADESK_CALLBACK_URL": env.get("SAGADESK_CALLBACK_URL") or f"http://127.0.0.1:{port}",
    }


def _write_config(data: Path, port: int, carrier: int) -> None:
    python = str(VENV_PYTHON)
    saga = [python, str(ROOT / "manage.py"), "saga"]
    programs = [
        _program(data, "web", [python, *DAPHNE.format(port=port).split()]),
        _program(data, "worker", [*saga, "worker"], count=2),
        _program(data, "clock", [*saga, "clock"]),
        _program(data, "carrier", [python, *CARRIER.format(port=carrier).split()]),
    ]
    if not os.environ.get("REDIS_URL"):
        try:
            redis = redis_command(VENV, _redis_socket(data))
        except FileNotFoundError as none:
            fail(str(none))
        programs.append(_program(data, "redis", redis, priority=1))
    user = "user=root\n" if os.geteuid() == 0 else ""  # else supervisord warns that nobody said so
    text = SUPERVISOR.format(
        user=user, data=_literal(data), logs=_literal(_logs(data)), programs="".join(programs)
    )
    (data / "supervisor.conf").write_text(text)


def _program(data: Path, name: str, command: list[str], count: int = 1, priority: int = 9) -> str:
    return PROGRAM.format(
        name=name,
        command=_literal(shlex.join(command)),
        count=count,
        priority=priority,
        root=_literal(ROOT),
        log=_literal(_literal(_logs(data) / name)),  # which it reads twice
    )


def _literal(text: object) -> str:
    """Keep supervisord from reading a path's % as one of its variables."""
    return str(text).replace("%", "%%")


def _logs(data: Path) -> Path:
    (data / "logs").mkdir(exist_ok=True)
    return data / "logs"


def _redis_socket(data: Path) -> Path:
    path = redis_socket(data)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.parent.stat().st_uid != os.geteuid():
        fail(
            f"{path.parent} belongs to someone else. Choose a data folder with a shorter path: SAGADESK_DATA=…"
        )
    return path


def _start(data: Path, env: dict[str, str]) -> subprocess.Popen:
    """Start supervisord in a session of its own: Ctrl-C is for us, who stop it in good order."""
    me = os.getpid()
    return subprocess.Popen(
        [VENV_PYTHON, ROOT / "bin" / "_supervisor.py", "--configuration", data / "supervisor.conf"],
        env=env,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: die_with(me),
    )


def _stop(supervisor: subprocess.Popen, data: Path) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # once is enough
    say("stopping", "")
    supervisor.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        supervisor.wait(timeout=30)
    supervisor.kill()
    _tidy(data)


def _tidy(data: Path) -> None:
    path = redis_socket(data)
    path.unlink(missing_ok=True)
    if path.parent != data:
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _wait_until_ready(supervisor: subprocess.Popen, port: int, data: Path) -> None:
    began, answer = time.monotonic(), "no answer"
    hint = began + 15
    while supervisor.poll() is None and time.monotonic() < began + READY_WITHIN:
        with contextlib.suppress(OSError, http.client.HTTPException):
            ready, answer = _readyz(port)
            if ready:
                return
        if time.monotonic() > hint:
            say("waiting", f"/readyz: {answer.strip()}. The logs are in {_logs(data)}")
            hint += READY_WITHIN
        time.sleep(0.1)
    for log in sorted(_logs(data).glob("*.log")):
        tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-15:])
        print(f"\n--- {log}\n{tail}", file=sys.stderr)
    fail(
        f"Sagadesk did not become ready within {READY_WITHIN} s (/readyz: {answer}). The logs' ends are above."
    )


def _readyz(port: int) -> tuple[bool, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status == 200, f"{response.status} {response.read(500).decode(errors='replace')}"
    finally:
        connection.close()


def _greet(port: int, data: Path, seconds: float) -> None:
    given = os.environ.get("SAGADESK_OPERATOR_PASSWORD")
    password = "given" if given else "shown when it was made (SAGADESK_OPERATOR_PASSWORD sets another)"
    say("logs", str(_logs(data)))
    print(f"\n  http://127.0.0.1:{port}/  user: operator, password: as {password}\n")
    print(f"ready  (after {seconds:.1f} s; Ctrl-C stops)", flush=True)


if __name__ == "__main__":
    main()
