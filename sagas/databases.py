"""Options for DATABASES that sagas rely on. Settings import this, so that it imports nothing."""

from typing import Any

#: IMMEDIATE: with SQLite's own DEFERRED, most read-then-write transactions fail as soon as two processes write.
#: FULL: a commit that was acknowledged survives a power cut.
SQLITE: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}

#: A worker that is cut off must not keep a row locked: the server gives up on it, and so does its kernel.
_SERVER = {
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    # As Django has it, which else asks for it once more on each new connection.
    "TimeZone": "UTC",
}
POSTGRES: dict[str, Any] = {
    "connect_timeout": "5",
    # Statements that come again are planned once. A pooler that moves sessions between transactions needs None here.
    "prepare_threshold": 2,
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "options": " ".join(f"-c {name}={value}" for name, value in _SERVER.items()),
}
