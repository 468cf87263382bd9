"""How often pages are brought up to date: at once after a rest, and evenly in a storm."""

from collections import deque

#: Updates that a page may see in a second; a little longer than one, as they do not all travel equally fast.
MOST, SECOND = 4, 1.05


class Pace:
    """Lets two rounds begin at once after a rest, then one in so many seconds.

    What happens while nothing else does is told without delay, even if another thing has just been told. A round
    that takes long sends late: those behind it wait until what they send is not one update too many in a second.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._paid_until = 0.0
        self._sent: deque[float] = deque(maxlen=MOST)

    def wait(self, now: float) -> float:
        """Return how many seconds the next one has to wait."""
        free = self._sent[0] + SECOND if len(self._sent) == MOST else 0.0
        return max(0.0, self._paid_until - self._seconds - now, free - now)

    def take(self, now: float) -> None:
        """Let one begin."""
        self._paid_until = max(self._paid_until, now) + self._seconds

    def sent(self, now: float) -> None:
        """Hear that one has sent something."""
        self._sent.append(now)
