"""How often pages are brought up to date: at once after a rest, and evenly in a storm."""


class Pace:
    """Lets two pass at once after a rest, then one in so many seconds.

    What happens while nothing else does is told without delay, even if another thing has just been told.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._paid_until = 0.0

    def wait(self, now: float) -> float:
        """Return how many seconds the next one has to wait."""
        return max(0.0, self._paid_until - self._seconds - now)

    def take(self, now: float) -> None:
        """Let one pass."""
        self._paid_until = max(self._paid_until, now) + self._seconds
