"""The broker: which Redis carries nudges and hints, and what our queues are called in it.

One entry of ``RQ_QUEUES`` says so, ``default`` as a rule. A project with RQ jobs of its own gives Sagadesk another
entry: our queues are called after it then, so that nobody's workers take the other's jobs.
"""

import inspect
from typing import Any

import django_rq
from redis import asyncio
from redis.connection import SSLConnection
from redis.sentinel import SentinelConnectionPool

from sagas import registry
from sagas.conf import settings

#: What an asynchronous client is told of a connection; the rest (clients' time-outs, say) is each client's own.
_OF_A_SERVER = ("host", "port", "db", "username", "password")
_OF_TLS = {name for name in inspect.signature(asyncio.Redis).parameters if name.startswith("ssl_")}


def queue(name: str) -> str:
    """Return what RQ calls one of our queues."""
    entry = settings().RQ
    if entry == registry.DEFAULT_QUEUE:
        return name
    return entry if name == registry.DEFAULT_QUEUE else f"{entry}-{name}"


def connection() -> Any:
    """Return a new client of our Redis."""
    return django_rq.get_connection(settings().RQ)


def listening(**options: Any) -> asyncio.Redis:
    """Return a new asynchronous client of the same Redis. Asks sentinels, where there are any, which it is."""
    pool = connection().connection_pool
    known = pool.connection_kwargs
    where = {name: known[name] for name in _OF_A_SERVER if name in known}
    if "path" in known:
        where["unix_socket_path"] = known["path"]
    if isinstance(pool, SentinelConnectionPool):
        sentinels: Any = pool
        where["host"], where["port"] = sentinels.get_master_address()
    if issubclass(pool.connection_class, SSLConnection):
        where |= {"ssl": True, **{name: known[name] for name in _OF_TLS if name in known}}
    return asyncio.Redis(**where, **options)
