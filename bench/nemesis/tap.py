"""The tap: all that Redis is told, searched for what a saga carries (I12)."""

import threading

from redis.exceptions import RedisError

from bench.nemesis.journal import Journal
from bench.nemesis.plan import CANARY
from bench.nemesis.world import World

#: Seconds without a word from Redis after which it is asked anew.
PAUSE = 0.2


class Tap:
    """A thread that listens to Redis, anew as often as it is cut off, and writes down where it heard the canary."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.journal = Journal(world.folder / "tap.jsonl")
        self.over = threading.Event()
        threading.Thread(target=self._run, name="tap", daemon=True).start()

    def _run(self) -> None:
        while not self.over.wait(PAUSE):
            heard = 0
            try:
                with self.world.redis().monitor() as monitor:
                    while not self.over.is_set():
                        told = monitor.next_command()
                        heard += 1
                        if CANARY in told["command"]:
                            self.journal.write("leaked", command=told["command"][:200])
            except (RedisError, OSError, ValueError):  # it is down, silent, or cut in the middle of a word
                pass
            self.journal.write("listened", commands=heard)
