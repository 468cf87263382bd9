"""Every path, and the places that none has to pass, with the reason."""

from collections.abc import Mapping

from tests.crashpoints import (
    alerting,
    awaiting,
    choreographing,
    growing,
    minding,
    operating,
    parenting,
    starting,
    telling,
)
from tests.crashpoints.paths import Path
from tests.crashpoints.places import Place, places

PATHS: Mapping[str, Path] = (
    starting.path
    | operating.path
    | alerting.path
    | telling.path
    | minding.path
    | awaiting.path
    | choreographing.path
    | parenting.path
    | growing.path
)

#: The beginning of a place's name -> why it needs no path, on either database.
EXEMPT = {
    "alerts.looking.look:": "it says that nobody can be sure; the next look says the same",
    "alerts.telling._claim: ours.update(given_up": "what is of no use any more is so for who looks next",
    "alerts.telling._say_late:": "it says for what is waited; what came of it is noted by who sends",
    "alerts.telling.try_out:": "a person tries a channel, and sees whether it worked; trying again does the same",
    "bell._script:": "it calls nobody: the script goes to Redis when it is first run",
    "bell.Listener._say_so: signs.set": "it goes out with the others, which is a point",
    "counted.": "it only reads",
    "drills.keep:": "a single row that stands for itself, and no part of a saga",
    "engine.batches._alone:": "it says why a batch waits for its next round, which does again what was not done",
    "engine.slots.Slots._serve:": "here handlers run in the thread that dies; bench/crashpoints has the real slots",
    "engine.slots.Slots._await:": "as above",
    "engine.slots.Slots._named:": "as above",
    "engine.jumps.": "it is done again at each tick for a while, and doing it twice changes nothing (test_clock_jumps)",
    "engine.planner._plan_by_keys:": "it sets the session's planner; the session ends with the process",
    "engine.room._can_grow:": "it is rolled back, whatever happens",
    "fuse.Fuse._client:": "it changes a setting of the client's, and calls nobody",
    "live.ears.Ears.": "a web process listens for hints; whoever misses one looks into the database",
    "models.token.Token.issue:": "a single row that stands for itself, and no part of a saga",
    "orchestrator.importing.": "one transaction, and the same import again changes nothing (test_portable)",
    "orchestrator.retention.": "what is removed was over for long; acceptance/test_pruning kills it at any moment",
    "rows.select:": "it only reads",
    "searchable.make_indexes:": "an index for searches: what is missing is made after the next migration",
    "soundness.": "it only reads",
    "testing.apart._check_right:": "it only reads",
    "testing.flowing.": "a drill's own rows, in a test database, in a transaction that is always rolled back",
}
#: The beginning of a place's name -> the only database on which it runs.
ONLY_ON = {
    "clock.database_now: cursor.execute('SELECT clock": "postgresql",
    'clock.database_now: cursor.execute("SELECT strftime': "sqlite",
    "rows.wait_at_most:": "postgresql",
    "engine.claims._take:": "postgresql",
    "engine.claims._take_one_by_one:": "sqlite",
    "orchestrator.loading.lock:": "postgresql",
    "orchestrator.loading._rows:": "postgresql",
    "rows.Batch.write:": "sqlite",
    "rows.Batch._write_at_once:": "postgresql",
    "rows._Part._execute_telling:": "sqlite",
    "rows._Part.execute:": "sqlite",
    "rows.firsts:": "sqlite",
}


def owed(vendor: str) -> list[Place]:
    """Return the places that some path has to pass on this database."""
    elsewhere = tuple(name for name, only in ONLY_ON.items() if only != vendor)
    return [place for place in places() if not str(place).startswith((*EXEMPT, *elsewhere))]
