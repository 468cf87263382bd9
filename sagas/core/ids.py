"""Ids that sort by the time they were made (UUID version 7, RFC 9562)."""

import secrets
import time
from uuid import UUID


def uuid7() -> UUID:
    """Return a new id: 48 bits of milliseconds since 1970, then chance."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | secrets.randbits(80)
    return UUID(int=value & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x7000 << 64 | 0x8000 << 48)
