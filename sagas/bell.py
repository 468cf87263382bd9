"""The doorbell: how whoever makes work due wakes a worker that serves its queue, by way of Redis.

A worker that stays is woken by an entry in a list, which costs a tenth of a millisecond; one that does
not is nudged by an RQ job. Both carry no state: a lost ring costs a second, until the clock rings.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from functools import cache
from typing import Any

from redis.exceptions import RedisError

from sagas import broker
from sagas.fuse import Fuse

log = logging.getLogger(__name__)

#: A bell that nobody answered may ring again after so many milliseconds.
RING_AGAIN = 1000
#: Milliseconds for which a worker counts as listening after it last said so.
LISTENS = 2500
#: Seconds after which it says so again; it waits as long for a ring, so that twice as many may pass.
SIGN = 0.8
#: Seconds that a ring may take: whoever makes work due must not wait for a Redis that does not answer.
PATIENCE = 0.5

#: For each queue: if somebody listens, one entry in the list, and no second one until it is heard; else
#: the number of the queue, from 1, is returned, once per while.
_RING = """
local deaf = {}
for n = 2, #ARGV do
    local name = ARGV[n]
    if redis.call('EXISTS', 'sagadesk:listens:' .. name) == 1 then
        local bell = 'sagadesk:ring:' .. name
        if redis.call('EXISTS', bell) == 0 then
            redis.call('LPUSH', bell, 1)
            redis.call('PEXPIRE', bell, ARGV[1])
        end
    elseif redis.call('SET', 'sagadesk:bell:' .. name, 1, 'NX', 'PX', ARGV[1]) then
        table.insert(deaf, n - 1)
    end
end
return deaf
"""


@cache
def connection() -> Any:
    """Return this process' Redis client; it has a pool, and any thread may use it."""
    return broker.connection()


#: For what must not wait; RQ's jobs and those who listen have clients of their own.
brief = Fuse(broker.connection, PATIENCE)


@cache
def _script() -> Any:
    return connection().register_script(_RING)


def ring(queues: Iterable[str]) -> list[str]:
    """Ring for these queues, each at most once until it is answered; return those that nobody listens to.

    Raises RedisError, and is quick about it.
    """
    names = list(queues)
    if not names:
        return []
    deaf = brief(lambda redis: _script()(args=[RING_AGAIN, *names], client=redis))
    return [names[n - 1] for n in deaf]


def answer(queue: str) -> None:
    """Before looking at what is due, after a job: who makes something due from now on asks for another."""
    try:
        brief(lambda redis: redis.delete(f"sagadesk:bell:{queue}"))
    except RedisError:
        log.info("the bell of %s could not be taken down", queue)


#: There while the database has no room; it goes by itself once nobody says so any more.
_FULL = "sagadesk:full"
_FULL_FOR = 10


def say_full(full: bool) -> None:
    """Tell every process, by way of Redis, whether the database has room. Raises RedisError."""
    brief(lambda redis: redis.set(_FULL, 1, ex=_FULL_FOR) if full else redis.delete(_FULL))


def heard_full() -> bool:
    """Whether some process has met a full disk a moment ago. Raises RedisError."""
    return bool(brief(lambda redis: redis.exists(_FULL)))


class Listener:
    """A thread that hears the bells of some queues while somebody stays to answer them.

    Without Redis there are none to hear: it says then, about once a second, that somebody may have rung.
    """

    def __init__(self, queues: Collection[str], staying: threading.Event, heard: Callable[[], None]) -> None:
        self._queues = sorted(queues)
        self._staying = staying
        self._heard = heard
        self._closed = threading.Event()
        threading.Thread(target=self._listen, name="saga-bell", daemon=True).start()

    def close(self) -> None:
        """Listen no more; the thread ends by itself."""
        self._closed.set()

    def _listen(self) -> None:
        lists = [f"sagadesk:ring:{name}" for name in self._queues]
        said = -SIGN
        while not self._closed.is_set():
            if not self._staying.wait(SIGN):
                continue
            try:
                if (
                    time.monotonic() - said >= SIGN
                ):  # not after each bell: who is woken wants the processor now
                    self._say_so()
                    said = time.monotonic()
                rung = connection().blpop(lists, timeout=SIGN)
            except (RedisError, OSError) as fault:
                log.info("no bell is heard for a while: %s", fault)
                self._closed.wait(SIGN)
                self._heard()  # nobody can ring: look
                continue
            if rung:
                self._heard()

    def _say_so(self) -> None:
        signs = connection().pipeline(transaction=False)
        for name in self._queues:
            signs.set(f"sagadesk:listens:{name}", 1, px=LISTENS)
        signs.execute()
