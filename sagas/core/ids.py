"""Ids that sort by the time they were made (UUID version 7, RFC 9562)."""

import re
import secrets
import threading
import time
from uuid import UUID

#: Bits of chance behind the time, and in the step from one id to the next in the same millisecond.
_CHANCE, _STRIDE = 74, 32
_last = 0
_lock = threading.Lock()


def uuid7() -> UUID:
    """Return a new id: 48 bits of milliseconds since 1970, then chance.

    The ids of a process only ever rise, also within a millisecond, and when its clock is set back.
    """
    global _last
    now = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << _CHANCE
    with _lock:
        if now >> _CHANCE > _last >> _CHANCE:
            _last = now | secrets.randbits(_CHANCE)
        else:
            _last += 1 + secrets.randbits(_STRIDE)
        value = _last
    high, low = value >> 62, value & (1 << 62) - 1
    return UUID(int=high >> 12 << 80 | 0x7 << 76 | (high & 0xFFF) << 64 | 0x2 << 62 | low)


def id_range(prefix: str) -> tuple[UUID, UUID] | None:
    """Return the first and the last id that begin so; None for what no id begins with.

    A range, and not a comparison of texts: both databases find it in the index.
    """
    digits = prefix.strip().replace("-", "").lower()
    if not re.fullmatch("[0-9a-f]{4,32}", digits):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
