"""Listens for hints in Redis, and begins anew whenever the connection breaks, for ever."""

import asyncio
import logging
import random
from collections.abc import Callable
from uuid import UUID

from redis.exceptions import RedisError

from sagas import broker
from sagas.live import channel
from sagas.live.ending import heed

log = logging.getLogger(__name__)

#: Seconds between two tries to connect, at most.
LONGEST_REST = 3.0
#: Seconds between two questions whether Redis is still there.
ASK = 5.0


class Ears:
    """Hears hints while ``listen`` runs."""

    def __init__(self, heard: Callable[[dict[UUID, int]], None]) -> None:
        self._heard = heard
        self.hearing = False
        """Whether hints can be expected to arrive."""

    async def listen(self) -> None:
        """Hear hints until cancelled."""
        rest = 0.1
        while True:
            try:
                await self._listen()
            except (RedisError, OSError, TimeoutError) as no:
                heed()
                log.info("No live hints are heard: %s", no)
            rest = 0.1 if self.hearing else min(rest * 2, LONGEST_REST)
            self.hearing = False
            await asyncio.sleep(rest * random.uniform(0.5, 1))

    async def _listen(self) -> None:
        redis = await asyncio.to_thread(broker.listening, socket_connect_timeout=2, health_check_interval=ASK)
        try:
            async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(channel.CHANNEL)
                heed()
                self.hearing = True
                self._heard({})  # whatever was said meanwhile: look
                while True:
                    await self._next(subscription)
        finally:
            await redis.aclose()

    async def _next(self, subscription) -> None:  # type: ignore[no-untyped-def]  # redis types it vaguely
        message = await subscription.get_message(timeout=ASK)
        heed()
        if message is not None:
            self._heard(channel.unpack(message["data"]))
