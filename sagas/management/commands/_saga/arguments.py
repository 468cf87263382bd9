"""Arguments that several subcommands read."""

import json
import re
import sys
from argparse import ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.contrib.auth import get_user_model

from sagas.core import waits
from sagas.management.commands._saga.speaking import refused


def json_value(text: str) -> Any:
    """Read a JSON argument; ``-`` reads it from stdin."""
    try:
        value = json.loads(sys.stdin.read() if text == "-" else text, parse_constant=not_json)
        json.dumps(
            value, ensure_ascii=False
        ).encode()  # half a character can be written in JSON, but not kept
    except (ValueError, RecursionError) as wrong:
        raise ArgumentTypeError(f"not JSON: {wrong}") from wrong
    return value


def json_object(text: str) -> dict[str, Any]:
    """Read a JSON argument that must be an object."""
    value = json_value(text)
    if not isinstance(value, dict):
        raise ArgumentTypeError("not a JSON object")
    return value


def not_json(word: str) -> NoReturn:
    """Refuse what Python would read as a number, and JSON does not know."""
    raise ValueError(f"{word} is not a JSON value")


def count(text: str) -> int:
    """Read a number from 1 to 1,000."""
    value = int(text)
    if not 1 <= value <= 1000:
        raise ArgumentTypeError("must be from 1 to 1000")
    return value


#: No database looks back further than this.
LONGEST = timedelta(days=36500)
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def duration(text: str) -> timedelta:
    """Read a duration such as 90d, 12h or 30m."""
    found = re.fullmatch(r"([0-9]{1,6})([dhm])", text.strip())
    if found is None:
        raise ArgumentTypeError(f"{text!r} is not a duration; write 90d, 12h or 30m")
    length = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if length > LONGEST:
        raise ArgumentTypeError(f"{text!r} is too long; write 90d, 12h or 30m, {LONGEST.days}d at most")
    return length


def version(text: str) -> int:
    """Read a saga's version."""
    value = int(text)
    if value < 0:
        raise ArgumentTypeError("must not be negative")
    return value


def moment(text: str) -> datetime:
    """Read a moment with a time zone."""
    try:
        return waits.moment(text)
    except waits.NoMoment as wrong:
        raise ArgumentTypeError(str(wrong)) from wrong


def user_named(username: str | None) -> Any:
    """Return the user to act as; None is whoever has this shell, and with it the database."""
    if username is None:
        return None
    user = get_user_model()._default_manager.filter(**{get_user_model().USERNAME_FIELD: username}).first()
    if user is None or not user.is_active:
        raise refused(f"There is no active user {username!r}.")
    return user
