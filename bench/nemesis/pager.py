"""The pager: a channel that alerts are told by. It loses some, and takes some of which it then says that it has not."""

import json
import os
import random
from typing import Any

#: Shares of the messages.
LOST, DENIED = 0.1, 0.1


class OutOfReach(Exception):
    """It has not taken the message, as far as it says."""


def page(message: dict[str, Any]) -> None:
    """Note what it was told, a line for each alert; on some days of the week."""
    chance = random.random()
    if chance < LOST:
        raise OutOfReach("no signal")
    with open(os.environ["CHAOS_PAGER"], "a") as journal:
        for alert in message["alerts"]:
            journal.write(json.dumps({name: alert[name] for name in ("notice", "what", "id")}) + "\n")
    if chance < LOST + DENIED:
        raise OutOfReach("the line went dead")
