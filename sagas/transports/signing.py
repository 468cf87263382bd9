"""Signatures between Sagadesk and participants elsewhere, in both directions.

An HMAC-SHA256 over the method, the path, the time, the envelope and the body: whoever can see a message, and change
any of it, cannot make another one of it. Two keys may be live at a time, so that they can be changed without a pause.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

TIMESTAMP, SIGNATURE = "saga-timestamp", "saga-signature"
#: Headers that belong to the envelope begin so, and are signed.
ENVELOPE = "saga-"
#: Seconds by which the clocks of the two may differ, and a message may be late.
TOLERANCE = 300
#: No header can begin or end so.
_OUTER = re.compile(r"^ +| +$")


class BadSignature(Exception):
    """A message that did not come from whom it says, or not now. Its text says which."""


def escaped(value: object) -> str:
    """Return a value as a header can carry it, percent-encoded where it has to be."""
    encoded = quote(str(value), safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")
    return _OUTER.sub(lambda spaces: "%20" * len(spaces[0]), encoded)


def signature(
    key: str, method: str, path: str, timestamp: str, headers: Mapping[str, str], body: bytes
) -> str:
    """Return the signature of a message: ``v1=`` and 64 hexadecimal digits."""
    lines = [
        method.upper(),
        path,
        timestamp,
        *_envelope(headers),
        "",
        "",
    ]  # what is no line of it is the body
    text = "\n".join(lines).encode() + body
    return "v1=" + hmac.new(key.encode(), text, hashlib.sha256).hexdigest()


def _envelope(headers: Mapping[str, str]) -> list[str]:
    named = {name.lower(): value.strip() for name, value in headers.items()}
    apart = {TIMESTAMP, SIGNATURE}
    return sorted(f"{n}:{v}" for n, v in named.items() if n.startswith(ENVELOPE) and n not in apart)


def signed(
    key: str, method: str, path: str, headers: Mapping[str, str], body: bytes, now: float
) -> dict[str, str]:
    """Return the headers of a message with its time and its signature."""
    timestamp = str(int(now))
    proof = signature(key, method, path, timestamp, headers, body)
    return {**headers, TIMESTAMP: timestamp, SIGNATURE: proof}


def verify(
    keys: Iterable[str], method: str, path: str, headers: Mapping[str, str], body: bytes, now: float
) -> None:
    """Make sure that a message is signed by one of the keys, and fresh. Raises :class:`BadSignature`."""
    named = {name.lower(): value for name, value in headers.items()}
    timestamp, given = named.get(TIMESTAMP, ""), named.get(SIGNATURE, "")
    if not timestamp or not given:
        raise BadSignature(f"The headers {TIMESTAMP} and {SIGNATURE} are required.")
    found = [signature(key, method, path, timestamp, named, body) for key in keys]
    if sum(hmac.compare_digest(each.encode(), given.encode()) for each in found) == 0:  # none is passed over
        raise BadSignature("The signature is not that of this message with a key that is valid here.")
    # Only now: an age that anybody may write down says nothing.
    if not timestamp.isascii() or not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE:
        here = f"it is {int(now)} here, and {TOLERANCE} s may lie between"
        raise BadSignature(f"The message is stale: it is of {timestamp[:20]}, {here}.")
