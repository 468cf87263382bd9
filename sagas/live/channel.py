"""Where hints go: one Redis channel, and how its messages read."""

import json
from collections.abc import Mapping
from uuid import UUID

CHANNEL = "sagadesk:live"
#: A hint names at most so many sagas; whoever missed one finds out by comparing versions.
MOST = 200


def pack(versions: Mapping[UUID, int]) -> str:
    """Write a hint."""
    named = list(versions.items())[:MOST]
    return json.dumps({"sagas": {str(saga_id): version for saga_id, version in named}})


def unpack(message: bytes | str) -> dict[UUID, int]:
    """Read a hint; nonsense says nothing."""
    try:
        sagas = json.loads(message)["sagas"]
        return {UUID(saga_id): int(version) for saga_id, version in list(sagas.items())[:MOST]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
