"""A project's own function that alerts are told to, and what a test knows of it."""

from typing import Any

#: What it was called with.
heard: list[dict[str, Any]] = []
#: What it raises, if anything.
faults: list[Exception] = []
#: Titles of what it takes no message with.
refused: set[str] = set()


def listen(message: dict[str, Any]) -> None:
    """Take a message, or raise."""
    if faults:
        raise faults[0]
    if refused.intersection(alert["title"] for alert in message["alerts"]):
        raise ValueError("it has a word that is not said here")
    heard.append(message)


async def listen_later(message: dict[str, Any]) -> None:
    """Take a message, when it is awaited."""
    heard.append(message)


def hear(message: dict[str, Any]) -> None:
    """Take a message, whatever the other does."""
    heard.append(message)


#: Where it is, as settings say it.
LISTEN = f"{__name__}.listen"


def texts() -> list[str]:
    """Return what every alert's line said, in order."""
    return [alert["text"] for message in heard for alert in message["alerts"]]
