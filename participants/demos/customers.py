"""Who orders and travels, where nobody is chosen."""

import random

from participants.opening.books import CUSTOMERS


def customer(chosen: str | None) -> tuple[str, str, str]:
    """Return a customer's id, card and address: the chosen one's, or somebody's."""
    who = chosen or random.choice(list(CUSTOMERS))
    known = who if who in CUSTOMERS else random.choice(list(CUSTOMERS))
    return who, f"card-{known}", CUSTOMERS[known][1]
