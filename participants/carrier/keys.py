"""Which keys the carrier shares with Sagadesk: what CARRIER_SECRETS says."""

import json

#: Characters, as Sagadesk wants them.
SHORTEST = 16


def keys_from(text: str) -> tuple[str, ...]:
    """Read a JSON list of one key, or of two while it is being changed; any character may be in them.

    Raises ValueError, which says what is wrong and does not repeat what may be a key.
    """
    try:
        keys = json.loads(text)
    except ValueError:
        keys = None
    if not isinstance(keys, list) or not 1 <= len(keys) <= 2:
        raise ValueError(
            'CARRIER_SECRETS must be a JSON list of one or two keys, as ["…"] or ["new…", "old…"].'
        )
    if not all(isinstance(key, str) and len(key) >= SHORTEST for key in keys):
        raise ValueError(f"CARRIER_SECRETS must list texts of at least {SHORTEST} characters.")
    return tuple(keys)
