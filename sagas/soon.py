"""Hints in a burst go out together: the first at once, those behind it a moment later, as one."""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Soon(Generic[K]):
    """Gathers values by key, the highest of each, and hands them over at most once per so many seconds.

    What waits when the process ends is lost: it is for hints only.
    """

    def __init__(self, pace: float, act: Callable[[dict[K, int]], None]) -> None:
        """Call ``act``, which must not raise, in whatever thread comes, or in one of our own."""
        self._pace = pace
        self._act = act
        self._waiting: dict[K, int] = {}
        self._again_at = 0.0
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, values: Mapping[K, int]) -> None:
        """Hand over these values, now or soon."""
        with self._news:
            for key, value in values.items():
                self._waiting[key] = max(value, self._waiting.get(key, value))
            if time.monotonic() < self._again_at:
                self._leave_it_to_the_thread()
                return
            taken = self._take()
        self._act(taken)

    def _take(self) -> dict[K, int]:
        taken, self._waiting = self._waiting, {}
        self._again_at = time.monotonic() + self._pace
        return taken

    def _leave_it_to_the_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():  # there is none after a fork
            self._thread = threading.Thread(target=self._serve, name="saga-soon", daemon=True)
            self._thread.start()
        self._news.notify()

    def _serve(self) -> None:
        while True:
            with self._news:
                while not self._waiting:
                    self._news.wait()
                wait = self._again_at - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            with self._news:
                taken = self._take()
            if taken:
                self._act(taken)
