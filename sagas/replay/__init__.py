"""Running a durable function against what is recorded of its saga, as far as that goes.

A step whose result is recorded is answered with it. At one whose result is missing the run ends: nothing is waited
for here. What the function asks for then, and is not recorded yet, are the saga's next steps. So a function is run
from its top each time there is news, and has to do the same each time it is told the same.

A step is found again by its place: the branch in which it was asked for, its name, and how often the branch had used
that name before. What the record has at a place and what the function asks for there have to agree, and all that is
recorded has to be asked for: otherwise the function is not the one that made the record, and nothing is done.
"""

from sagas.replay.record import Record as Record
from sagas.replay.running import check_outside as check_outside
from sagas.replay.running import run as run
