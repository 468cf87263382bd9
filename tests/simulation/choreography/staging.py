"""Sets the scene for a case that is a choreography."""

from functools import partial

from ..case import Case
from ..staging import Staged
from . import subscribers
from .bus import Bus
from .clicks import applies
from .conductor import Conductor
from .ending import settled
from .score import Score


def stage(case: Case) -> Staged:
    """Return its world, and the oracle's books about it."""
    score = Score(case.definition.document(), {name: mind.inbox for name, mind in case.minds.items()})
    world = Bus(case.definition, subscribers.of(case))
    world.judge = partial(applies, score)
    return Staged(world, score, Conductor(score), partial(settled, world, score))
