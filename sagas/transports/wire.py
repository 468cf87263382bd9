"""One HTTP exchange: to an address that is allowed, over a connection of its own, with a bound on what is read.

No proxy of the environment, no cookie and no redirect has a say in where a command goes.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult

import h11

#: The largest answer that is read; the API takes no larger body either.
LARGEST = 1024 * 1024
#: Seconds to find a host and connect to it.
CONNECT = 10.0
_CHUNK = 65_536

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotAllowed(Exception):
    """An address that no command may be sent to, or a host that is not the one it says."""


class Answer(NamedTuple):
    """What came back. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def post(
    url: SplitResult, path: str, headers: Sequence[tuple[str, str]], body: bytes, *, private: bool
) -> Answer:
    """Send a request and read its answer to the end.

    Raises :class:`NotAllowed` if nothing was sent and nothing will be; OSError if it is not known what became of it.
    """
    host = url.hostname or ""
    async with asyncio.timeout(CONNECT):
        address = await _address(host, _port(url), private=private)
        reader, writer = await _connect(address, url)
    try:
        writer.write(_request(path, [("host", url.netloc.rpartition("@")[2]), *headers], body))
        await writer.drain()
        return await _read(reader)
    finally:
        writer.transport.abort()


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


async def _address(host: str, port: int, *, private: bool) -> str:
    """Find the host's address once, so that what was checked is what is connected to."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=1)  # SOCK_STREAM
    allowed = [each for each in dict.fromkeys(str(entry[4][0]) for entry in found) if _may(each, private)]
    if not allowed:
        raise NotAllowed(
            f"{host} has no address that commands may be sent to: those of a private network have to be allowed for"
            " its service (private=True), those of this link never are"
        )
    return allowed[0]


def _may(address: str, private: bool) -> bool:
    ip = _inmost(ipaddress.ip_address(address.partition("%")[0]))
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified:  # among them a cloud's metadata
        return False
    return ip.is_global or private


#: Addresses of IPv4 in IPv6, as translators on the way read them (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _inmost(ip: _Address) -> _Address:
    """Return the address of IPv4 that one of IPv6 stands for, if it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


async def _connect(address: str, url: SplitResult) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    tls = _tls() if url.scheme == "https" else None
    try:
        return await asyncio.open_connection(
            address, _port(url), ssl=tls, server_hostname=url.hostname if tls else None
        )
    except ssl.SSLCertVerificationError as wrong:
        raise NotAllowed(
            f"the certificate of {url.hostname} does not prove that it is {url.hostname}: {wrong.verify_message};"
            " nothing was sent"
        ) from wrong


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _request(path: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    ours = h11.Connection(h11.CLIENT)
    lines = [*headers, ("content-length", str(len(body))), ("connection", "close")]
    parts = (h11.Request(method="POST", target=path, headers=lines), h11.Data(data=body), h11.EndOfMessage())
    return b"".join(ours.send(part) or b"" for part in parts)


async def _read(reader: asyncio.StreamReader) -> Answer:
    theirs = h11.Connection(h11.CLIENT)
    theirs.send(h11.Request(method="POST", target="/", headers=[("host", "-"), ("content-length", "0")]))
    theirs.send(h11.EndOfMessage())
    head, parts, size = None, [], 0
    while True:
        event = _next(theirs)
        match event:
            case h11.NEED_DATA:
                chunk = await reader.read(_CHUNK)
                if not chunk and head is None:
                    raise ConnectionError("it closed the connection without an answer")
                theirs.receive_data(chunk)
            case h11.Response():
                head = event
            case h11.Data(data=data):
                parts.append(bytes(data))
                size += len(data)
                if size > LARGEST:
                    raise ConnectionError(f"its answer is larger than {LARGEST} bytes")
            case h11.EndOfMessage():
                break
    assert head is not None  # it comes before the end of the message
    named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head.headers}
    return Answer(head.status_code, named, b"".join(parts))


def _next(theirs: h11.Connection) -> object:
    try:
        return theirs.next_event()
    except h11.RemoteProtocolError as wrong:
        raise ConnectionError(f"its answer is not HTTP, or breaks off: {wrong}") from wrong
