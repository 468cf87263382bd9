"""What must hold of a choreography once the faults have stopped, and an honest operator has settled what asks."""

from collections import Counter
from typing import TYPE_CHECKING

from ..books import demand
from ..ending import check_keys, over
from .score import Score

if TYPE_CHECKING:
    from .bus import Bus


def settled(world: "Bus", score: Score) -> None:
    """Check a choreography of which nobody is asked any more."""
    over(world, score.ended)
    demand(not world.published, "I6: what was published is taken in", world.published)
    check_keys(world)
    sent = Counter(request.step for request in world.sent)
    for step in score.parts:
        allowed = score.attempts[step] * (1 + score.retries[step])
        demand(sent[step] <= allowed, "C8: retries end with their budget", (step, sent[step]))
        heard = step in score.generations
        demand(heard or not sent[step], "only what is told is delivered", step)
        if step in score.delivered and step not in score.lied:
            _taken(world, score, step)


def _taken(world: "Bus", score: Score, step: str) -> None:
    """Check that a subscriber that said so has acted: once, if it remembers."""
    count = score.changes[world.key(world.progress.steps[step])]
    demand(
        count == 1 if score.inbox[step] else count >= 1, "I2: what is delivered is acted upon", (step, count)
    )
