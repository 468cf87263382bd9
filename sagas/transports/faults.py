"""What went wrong between us and a participant elsewhere, as somebody reads it who was woken by it."""

import os
import socket
import ssl

from sagas.core.plain import printable
from sagas.transports import signing
from sagas.transports.wire import CONNECT

#: Status -> what is likely the matter, where it is with us and not with the participant.
_OURS = {
    401: (
        "it refused our signature: its key has to be one of {setting}['secrets'], whose first one signs,"
        f" and its clock and ours may be {signing.TOLERANCE} s apart"
    ),
    403: (
        "it, or what stands before it, does not let us in; if it refused our signature, its key has to be one of"
        " {setting}['secrets'], whose first one signs"
    ),
    404: "nothing is there: is {setting}['url'] right, and is the command's handler deployed there?",
    413: "the command is larger than it takes",
}


def refused(status: int, service: str) -> str:
    """Return what to look at after an answer that says that the fault is ours; "" if there is nothing to say."""
    hint = _OURS.get(status, "").format(setting=f"SAGAS['HTTP']['{service}']")
    return f"; {hint}" if hint else ""


def unanswered(fault: OSError | UnicodeError, host: str) -> str:
    """Return why a command to a host, with its port, has no answer."""
    match fault:
        case socket.gaierror() | UnicodeError():
            why = fault.strerror if isinstance(fault, OSError) else "it is no name of a host"
            return f"the address of {host} cannot be found ({why}): is the name right, and does the name server answer?"
        case ConnectionRefusedError():
            return f"nobody listens at {host}: is the service running, and is the port right?"
        case TimeoutError():
            return f"{host} took no connection within {CONNECT:g} s: is it running, and does a firewall let us through?"
        case ssl.SSLError():
            reason = (fault.reason or str(fault)).replace("_", " ").lower()
            return f"TLS with {host} failed ({reason}): does it speak https at that port?"
        case OSError(errno=int(number)):
            return f"the connection to {host} failed: {os.strerror(number)}"
        case _:
            return printable(str(fault))
